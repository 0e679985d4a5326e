//! paralith-worker
