//! What state holds of elections.

use paralith_proto::pb;
use paralith_types::{Amount, Epoch, PublicKey, Round, RuntimeId};

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
    /// The validator set needs its operators: it is smaller than the minimum, or it holds validators
    /// whose registration expired. Kept while that is so, and an event in each of these epochs.
    ValidatorAlarm = pb::scheduler::v1::ValidatorAlarm {
        /// The first epoch of the alarm.
        epoch: Epoch,
        /// How many validators can be elected whose registration has not expired.
        electable: u32,
        /// How many there should be at least.
        minimum: u32,
        /// The nodes of the set whose registration expired, sorted.
        lapsed: Vec<PublicKey>,
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

message! {
    /// A member of a committee as it was when the committee was elected.
    TermMember = pb::scheduler::v1::TermMember {
        /// Its node.
        node_id: PublicKey,
        /// Its entity then: a node that expires may register for another one.
        entity_id: PublicKey,
        /// Whether it is a worker, and so may propose; else it is only a backup.
        worker: bool,
    }
}

message! {
    /// The committee of a runtime from a round on, until the next term begins. Kept as long as
    /// evidence of its rounds is accepted.
    CommitteeTerm = pb::scheduler::v1::CommitteeTerm {
        /// The runtime.
        runtime_id: RuntimeId,
        /// The first round of the committee.
        first_round: Round,
        /// The members, sorted by node; none while the runtime is suspended.
        members: Vec<TermMember>,
        /// The penalty for equivocation that the members accepted.
        slash_equivocation: Amount,
    }
}

impl CommitteeTerm {
    /// The member with this node key.
    pub fn member(&self, node: &PublicKey) -> Option<&TermMember> {
        let place = self.members.binary_search_by(|member| member.node_id.cmp(node)).ok()?;
        self.members.get(place)
    }
}
