//! Parameters of the registry.

use paralith_proto::pb;
use paralith_types::PublicKey;

use crate::message::message;

message! {
    /// Parameters of the registry.
    Params = pb::registry::v1::Params {
        /// How far ahead a node may register.
        max_node_expiration_epochs: u64,
        /// Gas of registering an entity.
        gas_register_entity: u64,
        /// Gas of registering a node, for each of its runtimes and epochs.
        gas_register_node: u64,
        /// Gas of registering, changing or approving a runtime, and of revoking an enclave.
        gas_register_runtime: u64,
        /// Gas of a freshness proof.
        gas_prove_freshness: u64,
        /// Largest module.
        max_code_bytes: u32,
        /// Keys whose software attestations are accepted. Software protects nothing: a chain that
        /// lists one is a test chain, and every listing says so.
        software_platforms: Vec<PublicKey>,
    }
}
