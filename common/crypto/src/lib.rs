//! paralith-crypto
