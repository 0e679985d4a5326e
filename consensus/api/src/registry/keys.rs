//! State keys of the registry.

use paralith_types::{PublicKey, RuntimeId};

use crate::key::key;

/// [`Entity`](super::Entity).
pub fn entity(id: &PublicKey) -> Vec<u8> {
    key("registry/entity/", &[id.as_bytes()])
}

/// [`Node`](super::Node).
pub fn node(id: &PublicKey) -> Vec<u8> {
    key("registry/node/", &[id.as_bytes()])
}

/// All nodes, sorted by id.
pub fn nodes() -> Vec<u8> {
    key("registry/node/", &[])
}

/// [`NodeStatus`](super::NodeStatus).
pub fn node_status(id: &PublicKey) -> Vec<u8> {
    key("registry/node-status/", &[id.as_bytes()])
}

/// The node that a consensus key belongs to, 32 bytes.
pub fn node_by_consensus_key(consensus_key: &PublicKey) -> Vec<u8> {
    key("registry/node-by-consensus-key/", &[consensus_key.as_bytes()])
}

/// The node that an address of CometBFT (20 bytes) belongs to, 32 bytes.
pub fn node_by_comet_address(address: &[u8; 20]) -> Vec<u8> {
    key("registry/node-by-comet-address/", &[address])
}

/// [`Runtime`](super::Runtime).
pub fn runtime(id: &RuntimeId) -> Vec<u8> {
    key("registry/runtime/", &[id.as_bytes()])
}

/// All runtimes, sorted by id.
pub fn runtimes() -> Vec<u8> {
    key("registry/runtime/", &[])
}

/// [`Runtime`](super::Runtime) as it will be from the next epoch on, if it changes.
pub fn next_runtime(id: &RuntimeId) -> Vec<u8> {
    key("registry/next-runtime/", &[id.as_bytes()])
}

/// All changes of runtimes that wait for the next epoch, sorted by id.
pub fn next_runtimes() -> Vec<u8> {
    key("registry/next-runtime/", &[])
}

/// [`Freshness`](super::Freshness) of a node's enclave of a runtime.
pub fn freshness(node: &PublicKey, runtime: &RuntimeId) -> Vec<u8> {
    key("registry/freshness/", &[node.as_bytes(), runtime.as_bytes()])
}

/// All freshness proofs, by node and runtime.
pub fn freshness_proofs() -> Vec<u8> {
    key("registry/freshness/", &[])
}

/// [`Params`](super::Params).
pub fn params() -> Vec<u8> {
    key("registry/params", &[])
}
