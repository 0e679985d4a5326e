//! paralith-attest
