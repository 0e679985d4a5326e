//! paralith-abi
