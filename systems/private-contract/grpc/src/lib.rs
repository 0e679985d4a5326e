//! The gRPC services of private contracts, generated from `proto/`: `ContractLinks` among members,
//! `PrivateContractService` for anyone, `StakeholderService` of a member.
//!
//! What is signed, hashed or stored is inside as bytes in its one encoding: the messages of the crate
//! `messages`. `make protos` writes the generated code.

/// The services and their messages.
#[allow(
    missing_docs,
    unreachable_pub,
    missing_debug_implementations,
    clippy::all,
    clippy::unwrap_used
)]
pub mod pb {
    include!("generated/mod.rs");
    pub use self::paralith::contract::rpc::v1::*;
}

/// Their files as encoded `FileDescriptorSet`s, for gRPC reflection.
pub const DESCRIPTORS: &[&[u8]] = include!("generated/descriptors.rs");

/// The name of the service of links, as gRPC has it.
pub const LINKS_SERVICE: &str = "paralith.contract.rpc.v1.ContractLinks";
