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
pub use event::{EntityRegistered, NodeExpired, NodeFrozen, NodeRegistered, RuntimeRegistered};
pub use params::Params;
pub use tx::{
    CONSENSUS_KEY_DOMAIN, GENESIS_CONTEXT, ProveFreshness, RegisterEntity, RegisterNode,
    RegisterRuntime,
};
pub use types::{
    Batching, CapabilityTee, Code, ConsensusKeyOwner, Entity, Executor, Freshness, Liveness,
    MAX_BATCH_SIZE, Node, NodeRuntime, NodeStatus, ROLE_COMPUTE, ROLE_KEYMANAGER, ROLE_VALIDATOR,
    Runtime, RuntimeChange, RuntimeKind, RuntimeStaking, TeePolicy,
};
