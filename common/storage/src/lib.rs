//! paralith-storage
