//! Transactions of the registry.

use paralith_crypto::hash::Domain;
use paralith_proto::pb;
use paralith_types::{ChainContext, Hash, PublicKey, RuntimeId, Signature};

use super::types::{Entity, Node, Runtime};
use crate::message::message;

/// Domain of [`RegisterNode::consensus_signature`].
pub const CONSENSUS_KEY_DOMAIN: Domain = Domain::new("paralith/registry/consensus-key/v1");

/// The chain for which the consensus keys of genesis nodes sign: the context of the real one is the
/// hash of the document that holds these signatures. No transaction of a chain can use them.
pub const GENESIS_CONTEXT: ChainContext = ChainContext([0; ChainContext::LEN]);

message! {
    /// Registers the signer as an entity, or changes its nodes.
    RegisterEntity = pb::registry::v1::RegisterEntity {
    }
    nested {
        /// The entity; its id is the signer.
        entity: Entity,
    }
}

message! {
    /// Registers the signer as a node, or renews it.
    RegisterNode = pb::registry::v1::RegisterNode {
        /// The consensus key's signature over the encoded node.
        consensus_signature: Signature,
    }
    nested {
        /// The node; its id is the signer.
        node: Node,
    }
}

message! {
    /// Registers a runtime of the signer's entity, or changes it.
    RegisterRuntime = pb::registry::v1::RegisterRuntime {
    }
    nested {
        /// The runtime.
        runtime: Runtime,
    }
}

message! {
    /// Includes a random blob of a node's enclave, so that the enclave learns that it sees the
    /// living chain. Each of a node's runtimes has its own.
    ProveFreshness = pb::registry::v1::ProveFreshness {
        /// The runtime of the enclave.
        runtime_id: RuntimeId,
        /// The blob.
        blob: Hash,
    }
}

message! {
    /// Approves a proposed descriptor, for the organisation that signs. Its newer approval for the
    /// same sequence replaces the older one.
    ApproveRuntime = pb::registry::v1::ApproveRuntime {
        /// The runtime.
        runtime_id: RuntimeId,
        /// The descriptor's sequence.
        sequence: u64,
        /// [`Runtime::descriptor_hash`](super::Runtime::descriptor_hash); zero withdraws.
        descriptor: Hash,
    }
}

message! {
    /// Revokes an enclave for ever, for its own entity; for the runtime's owner where nobody else
    /// approves its changes; or for enough of its organisations, each of which signs one.
    RevokeEnclave = pb::registry::v1::RevokeEnclave {
        /// The enclave's runtime.
        runtime_id: RuntimeId,
        /// The enclave.
        rak: PublicKey,
    }
}
