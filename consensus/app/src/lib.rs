//! consensus-app
