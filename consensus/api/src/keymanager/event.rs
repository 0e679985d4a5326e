//! Events of key managers.

use paralith_proto::pb;
use paralith_types::{Epoch, RuntimeId};

use super::types::Status;
use crate::message::message;

message! {
    /// A key manager's status changed.
    StatusUpdated = pb::keymanager::v1::StatusUpdated {
    }
    nested {
        /// The new status.
        status: Status,
    }
}

message! {
    /// A generation of the master secret was proposed.
    MasterSecretPublished = pb::keymanager::v1::MasterSecretPublished {
        /// The key manager.
        id: RuntimeId,
        /// Which generation.
        generation: u64,
        /// The epoch in which it is to be accepted.
        epoch: Epoch,
    }
}

message! {
    /// An epoch's secret was published.
    EpochSecretPublished = pb::keymanager::v1::EpochSecretPublished {
        /// The key manager.
        id: RuntimeId,
        /// Which epoch.
        epoch: Epoch,
    }
}
