//! State keys of the registry.

use paralith_types::{Hash, PublicKey, RuntimeId};

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

/// [`ConsensusKeyOwner`](super::ConsensusKeyOwner) by the key's address in CometBFT.
pub fn consensus_key_owner(address: &[u8; 20]) -> Vec<u8> {
    key("registry/consensus-key-owner/", &[address])
}

/// All owners of consensus keys.
pub fn consensus_key_owners() -> Vec<u8> {
    key("registry/consensus-key-owner/", &[])
}

/// [`Runtime`](super::Runtime).
pub fn runtime(id: &RuntimeId) -> Vec<u8> {
    key("registry/runtime/", &[id.as_bytes()])
}

/// All runtimes, sorted by id.
pub fn runtimes() -> Vec<u8> {
    key("registry/runtime/", &[])
}

/// [`RuntimeChange`](super::RuntimeChange) that waits for its epoch.
pub fn runtime_change(id: &RuntimeId) -> Vec<u8> {
    key("registry/runtime-change/", &[id.as_bytes()])
}

/// All changes of runtimes that wait for their epoch, sorted by id.
pub fn runtime_changes() -> Vec<u8> {
    key("registry/runtime-change/", &[])
}

/// [`Decisions`](super::Decisions) about a runtime.
pub fn decisions(id: &RuntimeId) -> Vec<u8> {
    key("registry/decisions/", &[id.as_bytes()])
}

/// All that is being decided, sorted by runtime.
pub fn all_decisions() -> Vec<u8> {
    key("registry/decisions/", &[])
}

/// A proposed [`Runtime`](super::Runtime), under its hash.
pub fn proposal(id: &RuntimeId, descriptor: &Hash) -> Vec<u8> {
    key("registry/proposal/", &[id.as_bytes(), descriptor.as_bytes()])
}

/// [`Enclave`](super::Enclave) by its RAK.
pub fn enclave(runtime: &RuntimeId, rak: &PublicKey) -> Vec<u8> {
    key("registry/enclave/", &[runtime.as_bytes(), rak.as_bytes()])
}

/// All enclaves of a runtime, sorted by RAK.
pub fn enclaves(runtime: &RuntimeId) -> Vec<u8> {
    key("registry/enclave/", &[runtime.as_bytes()])
}

/// The key of the node that has a RAK in its registration, expired or frozen nodes included: no
/// other node may register it.
pub fn rak_node(runtime: &RuntimeId, rak: &PublicKey) -> Vec<u8> {
    key("registry/rak-node/", &[runtime.as_bytes(), rak.as_bytes()])
}

/// [`Revoked`](super::Revoked), if the enclave is.
pub fn revoked(runtime: &RuntimeId, rak: &PublicKey) -> Vec<u8> {
    key("registry/revoked/", &[runtime.as_bytes(), rak.as_bytes()])
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
