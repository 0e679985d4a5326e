//! Who takes part: entities, nodes, runtimes.

mod error;
mod event;
pub mod keys;
mod params;
#[cfg(test)]
mod tests;
mod tx;
mod types;

pub use error::Error;
pub use event::{
    EnclaveRegistered, EnclaveRevoked, EntityRegistered, NodeExpired, NodeFrozen, NodeRegistered,
    RuntimeApproved, RuntimeProposed, RuntimeRegistered,
};
pub use params::Params;
pub use tx::{
    ApproveRuntime, CONSENSUS_KEY_DOMAIN, GENESIS_CONTEXT, ProveFreshness, RegisterEntity,
    RegisterNode, RegisterRuntime, RevokeEnclave,
};
pub use types::{
    Approval, Approved, Batching, CapabilityTee, Code, ConsensusKeyOwner, DECISION_EPOCHS,
    DESCRIPTOR_DOMAIN, Decisions, Enclave, Entity, Executor, Freshness, Liveness, MAX_BATCH_SIZE,
    MAX_ORGANISATIONS, MAX_REVOCATION_VOTES, MAX_TERMS_BYTES, Node, NodeRuntime, NodeStatus,
    Proposed, ROLE_APPLICATION, ROLE_COMPUTE, ROLE_KEYMANAGER, ROLE_VALIDATOR, RevocationVote,
    Revoked, Runtime, RuntimeChange, RuntimeKind, RuntimeStaking, TeePolicy,
};
