//! Events of the registry.

use paralith_proto::pb;
use paralith_types::{Epoch, Hash, PublicKey, RuntimeId};

use crate::message::message;

message! {
    /// An entity registered or changed.
    EntityRegistered = pb::registry::v1::EntityRegistered {
        /// Its key.
        entity_id: PublicKey,
    }
}

message! {
    /// A node registered or renewed.
    NodeRegistered = pb::registry::v1::NodeRegistered {
        /// Its key.
        node_id: PublicKey,
        /// Until when it counts.
        expiration: Epoch,
    }
}

message! {
    /// A node did not renew in time.
    NodeExpired = pb::registry::v1::NodeExpired {
        /// Its key.
        node_id: PublicKey,
    }
}

message! {
    /// A node misbehaved as a validator: it is in no election for some time.
    NodeFrozen = pb::registry::v1::NodeFrozen {
        /// Its key.
        node_id: PublicKey,
        /// The last epoch in which it is in no election.
        until: Epoch,
    }
}

message! {
    /// A runtime registered or changed.
    RuntimeRegistered = pb::registry::v1::RuntimeRegistered {
        /// Its id.
        runtime_id: RuntimeId,
    }
}

message! {
    /// A descriptor was proposed for a runtime whose changes organisations approve.
    RuntimeProposed = pb::registry::v1::RuntimeProposed {
        /// The runtime.
        runtime_id: RuntimeId,
        /// The descriptor's sequence.
        sequence: u64,
        /// Its hash.
        descriptor: Hash,
        /// Who proposed it.
        proposer: PublicKey,
    }
}

message! {
    /// An organisation approved a descriptor, or withdrew its approval.
    RuntimeApproved = pb::registry::v1::RuntimeApproved {
        /// The runtime.
        runtime_id: RuntimeId,
        /// The descriptor's sequence.
        sequence: u64,
        /// Its hash; zero: withdrawn.
        descriptor: Hash,
        /// Who approved it.
        organisation: PublicKey,
    }
}

message! {
    /// An enclave is in the index from now on.
    EnclaveRegistered = pb::registry::v1::EnclaveRegistered {
        /// Its runtime.
        runtime_id: RuntimeId,
        /// The enclave.
        rak: PublicKey,
        /// The node that runs it.
        node_id: PublicKey,
    }
}

message! {
    /// An enclave is revoked for ever.
    EnclaveRevoked = pb::registry::v1::EnclaveRevoked {
        /// Its runtime.
        runtime_id: RuntimeId,
        /// The enclave.
        rak: PublicKey,
    }
}
