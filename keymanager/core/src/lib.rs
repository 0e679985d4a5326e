//! keymanager-core
