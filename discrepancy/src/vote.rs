//! A vote, and why one may be ignored.
//!
//! To ignore a vote is never an error of the transaction that carried it: one transaction carries
//! the votes of many nodes, and nobody may spoil the whole.

use std::fmt;

use thiserror::Error;

use crate::committee::Signer;

/// Names a proposal: the hash of its signed header, which pins every input of the batch.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProposalId(pub [u8; 32]);

/// Names what an execution led to: the hash of its results header.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResultHash(pub [u8; 32]);

impl fmt::Debug for ProposalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, "ProposalId", &self.0)
    }
}

impl fmt::Debug for ResultHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, "ResultHash", &self.0)
    }
}

/// Short on purpose: eight digits tell the members of one round apart in a failed assertion.
pub(crate) fn write_hex(f: &mut fmt::Formatter<'_>, name: &str, bytes: &[u8]) -> fmt::Result {
    write!(f, "{name}(")?;
    for byte in bytes.iter().take(4) {
        write!(f, "{byte:02x}")?;
    }
    write!(f, ")")
}

/// One node's vote for what a proposal leads to.
///
/// The caller has verified the signatures of signer and header, and that the vote belongs to this
/// round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vote {
    /// Who votes.
    pub signer: Signer,
    /// The rank in the proposal's header, signed by that rank's scheduler.
    pub rank: u64,
    /// The proposal.
    pub proposal: ProposalId,
    /// What its execution led to; `None` is a `fail`: the signer could not execute it.
    pub result: Option<ResultHash>,
}

/// Why a vote did not enter the pool.
///
/// All are the sender's fault or bad luck, never the validator's. Only
/// [`ConflictingProposal`](Self::ConflictingProposal) and [`Equivocated`](Self::Equivocated) change
/// the pool: they name an equivocator.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ignored {
    /// The rank is known with another proposal, so its scheduler signed two. Unless the rank is in
    /// dispute, it is void from now on.
    #[error("the scheduler {scheduler:?} signed two proposals of one rank")]
    ConflictingProposal {
        /// The equivocator.
        scheduler: Signer,
    },
    /// The signer has cast this very vote before.
    #[error("the vote is known")]
    Duplicate,
    /// The signer has cast another vote at this rank; the first one stands.
    #[error("the signer voted differently before, its first vote stands")]
    Equivocated,
    /// The round is in dispute, and only backups may still vote.
    #[error("the round is in dispute and the signer is not a backup")]
    NotBackupInDispute,
    /// The signer is neither worker nor backup.
    #[error("the signer is not in the committee")]
    NotInCommittee,
    /// The round is in dispute over another rank.
    #[error("the round is in dispute over another rank")]
    OtherRankInDispute,
    /// No scheduler has this rank.
    #[error("the rank has no scheduler")]
    RankUnknown,
    /// The rank's scheduler equivocated.
    #[error("the rank is void")]
    RankVoid,
    /// The round has its verdict.
    #[error("the round is closed")]
    RoundClosed,
    /// A scheduler says that it could not execute its own proposal.
    #[error("a scheduler cannot fail its own proposal")]
    SchedulersOwnFail,
    /// A better scheduler leads the round.
    #[error("a better rank leads the round")]
    WorseRank,
}

impl Ignored {
    /// A number that never changes, for events and logs.
    pub const fn code(&self) -> u32 {
        match self {
            Self::NotInCommittee => 1,
            Self::RankUnknown => 2,
            Self::SchedulersOwnFail => 3,
            Self::RankVoid => 4,
            Self::ConflictingProposal { .. } => 5,
            Self::WorseRank => 6,
            Self::OtherRankInDispute => 7,
            Self::NotBackupInDispute => 8,
            Self::Duplicate => 9,
            Self::Equivocated => 10,
            Self::RoundClosed => 11,
        }
    }
}
