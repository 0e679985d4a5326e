//! keymanager-service
