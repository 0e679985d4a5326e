//! Events of ParaTimes.

use paralith_proto::pb;
use paralith_types::{Address, Amount, Hash, PublicKey, Round, RuntimeId};

use super::types::{HeaderType, MessageResult, Standing};
use crate::message::message;

message! {
    /// A vote was counted.
    Voted = pb::roothash::v1::Voted {
        /// The runtime.
        runtime_id: RuntimeId,
        /// The round.
        round: Round,
        /// The rank voted for.
        rank: u64,
        /// The member.
        node: PublicKey,
        /// Hash of its results; empty is a failure.
        #[serde(with = "paralith_types::hex_bytes")]
        result: Vec<u8>,
    }
}

message! {
    /// A vote was not counted. The rest of its transaction was.
    VoteIgnored = pb::roothash::v1::VoteIgnored {
        /// The runtime.
        runtime_id: RuntimeId,
        /// Who it claims to be of.
        node: PublicKey,
        /// Why: a code of [`super::VoteError`].
        code: u32,
    }
}

message! {
    /// The workers disagree; the backups decide.
    DiscrepancyDetected = pb::roothash::v1::DiscrepancyDetected {
        /// The runtime.
        runtime_id: RuntimeId,
        /// The round.
        round: Round,
        /// The rank whose proposal is disputed.
        rank: u64,
        /// Whether the timeout, not a different vote, was the reason.
        late: bool,
    }
}

message! {
    /// A ParaTime block was made.
    RoundFinalised = pb::roothash::v1::RoundFinalised {
        /// The runtime.
        runtime_id: RuntimeId,
        /// The round.
        round: Round,
        /// Why it was made.
        header_type: HeaderType,
        /// Its hash.
        header_hash: Hash,
        /// Why the round failed: 0 it did not, 1 lying scheduler, 2 no majority, 3 all ranks void,
        /// 4 the results name other incoming messages than the queue's, 5 they take more results of
        /// own messages than wait or emit more messages than the queue has room for.
        fail_reason: u32,
        /// Who was right, sorted.
        good: Vec<PublicKey>,
        /// Who was wrong and is slashed, sorted.
        bad: Vec<PublicKey>,
        /// Who contradicted itself and is slashed, sorted.
        equivocators: Vec<PublicKey>,
    }
}

message! {
    /// A message to a runtime was processed.
    InMessageProcessed = pb::roothash::v1::InMessageProcessed {
        /// The runtime.
        runtime_id: RuntimeId,
        /// The round.
        round: Round,
        /// The message's number.
        id: u64,
        /// Who sent it.
        caller: Address,
        /// The sender's own tag.
        tag: u64,
    }
}

message! {
    /// A message from a runtime was executed.
    MessageExecuted = pb::roothash::v1::MessageExecuted {
        /// The runtime.
        runtime_id: RuntimeId,
        /// The round.
        round: Round,
    }
    nested {
        /// What became of it.
        result: MessageResult,
    }
}

message! {
    /// A member of a committee did too little in an epoch.
    LivenessFailed = pb::roothash::v1::LivenessFailed {
        /// The runtime.
        runtime_id: RuntimeId,
        /// The node.
        node: PublicKey,
        /// What its entity lost.
        slashed: Amount,
    }
    nested {
        /// Where the node stands now.
        standing: Standing,
    }
}

message! {
    /// Someone proved that a node contradicted itself.
    EvidenceAccepted = pb::roothash::v1::EvidenceAccepted {
        /// The runtime.
        runtime_id: RuntimeId,
        /// The node.
        node: PublicKey,
        /// The round.
        round: Round,
    }
}
