//! Events of the registry.

use paralith_proto::pb;
use paralith_types::{Epoch, PublicKey, RuntimeId};

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
