//! paralith-host
