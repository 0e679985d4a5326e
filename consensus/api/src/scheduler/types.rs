//! What state holds of elections.

use paralith_proto::pb;
use paralith_types::{Epoch, PublicKey, RuntimeId};

use crate::message::message;

message! {
    /// A validator of CometBFT.
    Validator = pb::scheduler::v1::Validator {
        /// Its key in CometBFT.
        consensus_key: PublicKey,
        /// Its node.
        node_id: PublicKey,
        /// Who answers for it.
        entity_id: PublicKey,
        /// Voting power.
        power: u64,
    }
}

message! {
    /// The validators that were elected last, sorted by consensus key.
    #[derive(Default)]
    Validators = pb::scheduler::v1::Validators {
        /// The validators.
        validators: Vec<Validator>,
    }
}

message! {
    /// Who executes a runtime's rounds for one epoch. One node may be worker and backup.
    Committee = pb::scheduler::v1::Committee {
        /// The runtime.
        runtime_id: RuntimeId,
        /// The epoch.
        epoch: Epoch,
        /// Node ids, in committee order: the order of the schedulers' ranks.
        workers: Vec<PublicKey>,
        /// Node ids of those who resolve discrepancies.
        backups: Vec<PublicKey>,
    }
}
