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
pub use event::{EntityRegistered, NodeExpired, NodeRegistered, RuntimeRegistered};
pub use params::Params;
pub use tx::{
    CONSENSUS_KEY_DOMAIN, GENESIS_CONTEXT, ProveFreshness, RegisterEntity, RegisterNode,
    RegisterRuntime,
};
pub use types::{
    Batching, CapabilityTee, Code, Entity, Executor, Freshness, Node, NodeRuntime, NodeStatus,
    ROLE_COMPUTE, ROLE_KEYMANAGER, ROLE_VALIDATOR, Runtime, RuntimeKind, RuntimeStaking, TeePolicy,
};
