//! consensus-api
