//! The gRPC service of an endorser of chaincode, generated from `proto/`.
//!
//! What is signed, hashed or sealed is inside as bytes in its one encoding: the messages of the crate
//! `messages`. `make protos` writes the generated code.

/// The service and its messages.
#[allow(
    missing_docs,
    unreachable_pub,
    missing_debug_implementations,
    clippy::all,
    clippy::unwrap_used
)]
pub mod pb {
    include!("generated/mod.rs");
    pub use self::paralith::chaincode::rpc::v1::*;
}

/// Its files as encoded `FileDescriptorSet`s, for gRPC reflection.
pub const DESCRIPTORS: &[&[u8]] = include!("generated/descriptors.rs");
