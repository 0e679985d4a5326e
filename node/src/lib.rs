//! paralith
