//! consensus-light
