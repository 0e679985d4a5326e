//! consensus-engine
