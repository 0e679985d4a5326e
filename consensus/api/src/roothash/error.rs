//! Refusals of whole transactions, and reasons why single votes are not counted.

use discrepancy::Ignored;

/// Why a transaction of this module is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum Error {
    #[error("invalid argument: {reason}")]
    InvalidArgument { reason: String },
    #[error("there is no runtime {runtime} that executes rounds")]
    NoSuchRuntime { runtime: String },
    #[error("runtime {runtime} is suspended: it has no committee in this epoch")]
    RuntimeSuspended { runtime: String },
    #[error("runtime {runtime} does not punish this")]
    RuntimeDoesNotSlash { runtime: String },
    #[error("node {node} was punished for this round already")]
    DuplicateEvidence { node: String },
    #[error("invalid evidence: {reason}")]
    InvalidEvidence { reason: &'static str },
    #[error("the queue of runtime {runtime} is full: try again when rounds have been made")]
    IncomingQueueFull { runtime: String },
    #[error("the fee of {fee} is below the runtime's minimum of {minimum}")]
    IncomingFeeTooLow { fee: String, minimum: String },
    #[error("the message has {got} bytes of data, at most {limit} are allowed: send less in one")]
    IncomingMessageTooLarge { got: u64, limit: u32 },
    #[error("none of the votes counts: {first}")]
    NothingCounted { first: VoteError },
    #[error("the signer {signer} is not in the committee of runtime {runtime}")]
    NotInCommittee { signer: String, runtime: String },
}

impl Error {
    /// Stable code within module "roothash"; those of Oasis where the meaning is the same.
    pub fn code(&self) -> u32 {
        match self {
            Self::InvalidArgument { .. } => 1,
            Self::NoSuchRuntime { .. } => 3,
            Self::RuntimeSuspended { .. } => 5,
            Self::NotInCommittee { .. } => 6,
            Self::RuntimeDoesNotSlash { .. } => 8,
            Self::DuplicateEvidence { .. } => 9,
            Self::InvalidEvidence { .. } => 10,
            Self::IncomingQueueFull { .. } => 11,
            Self::IncomingFeeTooLow { .. } => 12,
            Self::NothingCounted { .. } => 14,
            Self::IncomingMessageTooLarge { .. } => 15,
        }
    }

    /// Whether the same transaction may be fine later.
    pub fn is_timing(&self) -> bool {
        matches!(self, Self::RuntimeSuspended { .. } | Self::IncomingQueueFull { .. })
    }
}

/// Codes of [`Ignored`] start here among those of [`VoteError`].
pub const IGNORED_BASE: u32 = 100;

/// Why one vote is not counted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum VoteError {
    #[error("it names a proposal that is not in the transaction")]
    UnknownProposal,
    #[error("the proposal header cannot be read")]
    MalformedProposal,
    #[error("the scheduler's signature does not fit")]
    BadProposalSignature,
    #[error("the proposal is not signed by its rank's scheduler")]
    NotTheScheduler,
    #[error("the vote's signature does not fit")]
    BadVoteSignature,
    #[error("the enclave's signature does not fit the registered RAK")]
    BadRakSignature,
    #[error("it is for another runtime")]
    WrongRuntime,
    #[error("it is for another round")]
    WrongRound,
    #[error("it builds on another block")]
    WrongPreviousHash,
    #[error(
        "the proposal's height lies outside this epoch, in the future, or below the last block's"
    )]
    WrongHeight,
    #[error("the messages of the scheduler's results are missing or others")]
    BadMessages,
    #[error("the enclave that signed the results is revoked")]
    EnclaveRevoked,
    #[error("the pool ignores it: {0}")]
    Ignored(Ignored),
}

impl VoteError {
    /// Stable code.
    pub fn code(&self) -> u32 {
        match self {
            Self::UnknownProposal => 1,
            Self::MalformedProposal => 2,
            Self::BadProposalSignature => 3,
            Self::NotTheScheduler => 4,
            Self::BadVoteSignature => 5,
            Self::BadRakSignature => 6,
            Self::WrongRuntime => 7,
            Self::WrongRound => 8,
            Self::WrongPreviousHash => 9,
            Self::WrongHeight => 10,
            Self::BadMessages => 11,
            Self::EnclaveRevoked => 12,
            Self::Ignored(reason) => IGNORED_BASE.saturating_add(reason.code()),
        }
    }
}
