//! Transactions of ParaTimes and the signed objects inside them.

use paralith_proto::{DecodeError, Wire, pb};
use paralith_types::{Address, Amount, Hash, Height, PublicKey, Round, RuntimeId, Signature};
use serde::{Deserialize, Serialize};

use crate::message::{message, message_enum};

message! {
    /// What a scheduler proposes. It pins every input of the round.
    ProposalHeader = pb::roothash::v1::ProposalHeader {
        /// The runtime.
        runtime_id: RuntimeId,
        /// The round that it proposes.
        round: Round,
        /// Hash of the block before.
        previous_hash: Hash,
        /// The proposer's rank; 0 is best.
        rank: u64,
        /// Messages, epoch, generation and code are read at this height.
        consensus_height: Height,
        /// Merkle root over the ordered hashes of the raw transactions.
        batch_hash: Hash,
    }
}

message! {
    /// A proposal header with its scheduler's signature.
    SignedProposal = pb::roothash::v1::SignedProposal {
        /// A [`ProposalHeader`], encoded.
        #[serde(with = "paralith_types::hex_bytes")]
        header: Vec<u8>,
        /// The scheduler's node key.
        scheduler: PublicKey,
        /// Over the encoded header.
        signature: Signature,
    }
}

message! {
    /// What executing a batch gave.
    ResultsHeader = pb::roothash::v1::ResultsHeader {
        /// The round.
        round: Round,
        /// Hash of the block before.
        previous_hash: Hash,
        /// Root of inputs and outputs.
        io_root: Hash,
        /// Root of the state.
        state_root: Hash,
        /// Hash of the messages to consensus.
        messages_hash: Hash,
        /// Hash of the messages taken from consensus.
        in_messages_hash: Hash,
        /// How many those were.
        in_messages_count: u32,
        /// How many results of its own messages the runtime took, from the front of its
        /// [`ResultQueue`](super::ResultQueue). `previous_hash` pins the queue: it changes with
        /// final rounds only.
        results_taken: u32,
    }
}

message_enum! {
    /// Why a member gives no results.
    Failure {
        /// Something broke.
        Unknown = 1,
        /// State, key, module, batch or proof was missing.
        Unavailable = 2,
    }
}

/// One member's commitment: results, or a failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// The member.
    pub node: PublicKey,
    /// Which proposal it executed.
    pub proposal_id: Hash,
    /// What that gave; none in a failure.
    pub results: Option<ResultsHeader>,
    /// Why there are none; none with results.
    pub failure: Option<Failure>,
    /// The enclave's signature, in confidential runtimes.
    pub rak_signature: Option<Signature>,
    /// The node's signature over all of the above.
    pub signature: Signature,
}

impl Wire for Vote {
    type Pb = pb::roothash::v1::Vote;

    fn to_pb(&self) -> Self::Pb {
        Self::Pb {
            node: self.node.to_pb(),
            proposal_id: self.proposal_id.to_pb(),
            results: self.results.to_pb(),
            failure: self.failure.map_or(0, |failure| failure as i32),
            rak_signature: self.rak_signature.map(|s| s.0.to_vec()).unwrap_or_default(),
            signature: self.signature.to_pb(),
        }
    }

    fn from_pb(pb: Self::Pb) -> Result<Self, DecodeError> {
        let vote = Self {
            node: Wire::from_pb(pb.node)?,
            proposal_id: Wire::from_pb(pb.proposal_id)?,
            results: Wire::from_pb(pb.results)?,
            failure: if pb.failure == 0 { None } else { Some(Failure::from_pb(pb.failure)?) },
            rak_signature: if pb.rak_signature.is_empty() {
                None
            } else {
                Some(Wire::from_pb(pb.rak_signature)?)
            },
            signature: Wire::from_pb(pb.signature)?,
        };
        if vote.results.is_some() == vote.failure.is_some() {
            return Err(DecodeError::field("results", "a vote has results or a failure"));
        }
        if vote.failure.is_some() && vote.rak_signature.is_some() {
            return Err(DecodeError::field("rak_signature", "a failure has none"));
        }
        Ok(vote)
    }
}

message! {
    /// A transfer out of the runtime's account.
    TransferMessage = pb::roothash::v1::TransferMessage {
        /// To whom.
        to: Address,
        /// Base units.
        amount: Amount,
    }
}

/// A message from a runtime, executed as the runtime's account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// Moves base units out: a withdrawal.
    Transfer(TransferMessage),
}

impl Wire for Message {
    type Pb = pb::roothash::v1::Message;

    fn to_pb(&self) -> Self::Pb {
        use pb::roothash::v1::message::Kind;
        let Self::Transfer(transfer) = self;
        Self::Pb { kind: Some(Kind::Transfer(transfer.to_pb())) }
    }

    fn from_pb(pb: Self::Pb) -> Result<Self, DecodeError> {
        use pb::roothash::v1::message::Kind;
        match pb.kind {
            Some(Kind::Transfer(transfer)) => Ok(Self::Transfer(Wire::from_pb(transfer)?)),
            None => Err(DecodeError::field("kind", "is missing")),
        }
    }
}

message! {
    /// Votes of a round and the proposals they name, in one transaction.
    ExecutorCommit = pb::roothash::v1::ExecutorCommit {
        /// The runtime.
        runtime_id: RuntimeId,
        /// Every proposal that a vote names.
        proposals: Vec<SignedProposal>,
        /// The votes.
        votes: Vec<Vote>,
        /// Messages of the results that the lead's scheduler voted for.
        messages: Vec<Message>,
    }
}

message! {
    /// Sends a message, and tokens, to a runtime.
    SubmitMessage = pb::roothash::v1::SubmitMessage {
        /// The runtime.
        runtime_id: RuntimeId,
        /// The sender's own tag.
        tag: u64,
        /// Paid to the runtime's account as fee.
        fee: Amount,
        /// Paid to the runtime's account as deposit.
        tokens: Amount,
        /// Free data.
        #[serde(with = "paralith_types::hex_bytes")]
        data: Vec<u8>,
    }
}

message! {
    /// Two proposals of one scheduler for one round and rank.
    EquivocatedProposals = pb::roothash::v1::EquivocatedProposals {
    }
    nested {
        /// One.
        a: SignedProposal,
        /// The other.
        b: SignedProposal,
    }
}

message! {
    /// Two votes of one node for one round and rank.
    EquivocatedVotes = pb::roothash::v1::EquivocatedVotes {
    }
    nested {
        /// What `vote_a` names.
        proposal_a: SignedProposal,
        /// One.
        vote_a: Vote,
        /// What `vote_b` names.
        proposal_b: SignedProposal,
        /// The other.
        vote_b: Vote,
    }
}

/// The kinds of evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::large_enum_variant, reason = "there is never more than one at a time")]
pub enum EvidenceKind {
    /// Two proposals.
    Proposals(EquivocatedProposals),
    /// Two votes.
    Votes(EquivocatedVotes),
}

/// Two signed contradictory objects of one signer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The runtime.
    pub runtime_id: RuntimeId,
    /// The objects.
    pub kind: EvidenceKind,
}

impl Wire for Evidence {
    type Pb = pb::roothash::v1::Evidence;

    fn to_pb(&self) -> Self::Pb {
        use pb::roothash::v1::evidence::Kind;
        let kind = match &self.kind {
            EvidenceKind::Proposals(two) => Kind::Proposals(two.to_pb()),
            EvidenceKind::Votes(two) => Kind::Votes(two.to_pb()),
        };
        Self::Pb { runtime_id: self.runtime_id.to_pb(), kind: Some(kind) }
    }

    fn from_pb(pb: Self::Pb) -> Result<Self, DecodeError> {
        use pb::roothash::v1::evidence::Kind;
        let kind = match pb.kind {
            Some(Kind::Proposals(two)) => EvidenceKind::Proposals(Wire::from_pb(two)?),
            Some(Kind::Votes(two)) => EvidenceKind::Votes(Wire::from_pb(two)?),
            None => return Err(DecodeError::field("kind", "is missing")),
        };
        Ok(Self { runtime_id: Wire::from_pb(pb.runtime_id)?, kind })
    }
}
