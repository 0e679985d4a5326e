//! Why the enclave gives no answer.

use paralith_consensus_api::roothash::VoteError;
use paralith_keymanager_core::{Refusal, SecretError};
use paralith_proto::DecodeError;
use paralith_storage::StorageError;
use paralith_tee_channel::{BoundaryError, Failure, ViewError};
use paralith_tee_enclave::TeeError;
use paralith_types::PublicKey;

use paralith_runtime_vm::{EngineError, NodeFault, UploadError};

/// Why the enclave gives no answer. None of these is ever a result: a compute node that meets
/// one while it executes votes a failure. The fault is the host's, except where noted.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum EnclaveError {
    #[error("the enclave is not started yet")]
    NotStarted,
    #[error("the enclave is started already")]
    AlreadyStarted,
    #[error("cannot start: {0}")]
    BadStart(String),
    #[error(
        "what was sealed does not open here: another chain, runtime, build or machine sealed it"
    )]
    SealedState,
    #[error(transparent)]
    View(#[from] ViewError),
    #[error("the chain has no {what} at height {height}")]
    NotProven { what: &'static str, height: u64 },
    #[error("freshness is not proven in epoch {epoch} or the one before: prove it and try again")]
    NotFresh { epoch: u64 },
    #[error("the code is {got}, the chain has {expected}: restart with that one")]
    WrongCode { expected: String, got: String },
    #[error("there is no code yet: restart with it")]
    NoCode,
    #[error("keys are missing: {0}")]
    NoKeys(String),
    #[error("this node is not in the runtime's committee of epoch {epoch}")]
    NotInCommittee { epoch: u64 },
    /// The scheduler's, or a host's that hands over another batch than was proposed.
    #[error("the proposal cannot be executed: {0}")]
    BadProposal(String),
    /// The scheduler's.
    #[error("the batch has {got} {what}, at most {limit} are allowed")]
    BatchTooLarge { what: &'static str, limit: u64, got: u64 },
    #[error("the runtime's state cannot be had: {0}")]
    StateUnavailable(String),
    /// This machine's.
    #[error(transparent)]
    Node(NodeFault),
    #[error("round {round} is not proven to be final with results")]
    NotFinal { round: u64 },
    /// The asker's.
    #[error("round {round} did not ask to reveal this")]
    IntentNotFound { round: u64 },
    #[error("these are not the round's outputs: {0}")]
    BadOutputs(String),
    #[error("the key manager's reply is not taken: {0}")]
    KeyReply(String),
    #[error("this enclave runs a compute runtime and does not answer that")]
    WrongCall,
    #[error("the call cannot be read: {0}")]
    BadCall(DecodeError),
    /// This machine's.
    #[error("the system gives no randomness: {0}")]
    NoRandomness(String),
    #[error(transparent)]
    Boundary(#[from] BoundaryError),
    /// An older identity was put back, or the node runs another enclave of this application.
    #[error(
        "the registry names the enclave {registered} for this node: remove the sealed identity and start again"
    )]
    IdentityReplaced { registered: PublicKey },
    /// The asker's: a transaction or query that is refused before it runs, under its own module.
    #[error("{0}")]
    Refused(Failure),
}

impl EnclaveError {
    /// Stable code within module "enclave".
    pub fn code(&self) -> u32 {
        match self {
            Self::NotStarted => 1,
            Self::AlreadyStarted => 2,
            Self::BadStart(_) => 3,
            Self::SealedState => 4,
            Self::View(_) => 5,
            Self::NotProven { .. } => 6,
            Self::NotFresh { .. } => 7,
            Self::WrongCode { .. } => 8,
            Self::NoCode => 9,
            Self::NoKeys(_) => 10,
            Self::NotInCommittee { .. } => 11,
            Self::BadProposal(_) => 12,
            Self::BatchTooLarge { .. } => 13,
            Self::StateUnavailable(_) => 14,
            Self::Node(_) => 15,
            Self::NotFinal { .. } => 16,
            Self::IntentNotFound { .. } => 17,
            Self::BadOutputs(_) => 18,
            Self::KeyReply(_) => 19,
            Self::WrongCall => 20,
            Self::BadCall(_) => 21,
            Self::NoRandomness(_) => 22,
            Self::Boundary(_) => 23,
            Self::Refused(_) => 24,
            Self::IdentityReplaced { .. } => 25,
        }
    }
}

/// Failures of the view, of the boundary and of transactions keep their own module and code.
impl From<EnclaveError> for Failure {
    #[allow(clippy::wildcard_enum_match_arm, reason = "all others are this module's own")]
    fn from(error: EnclaveError) -> Self {
        match error {
            EnclaveError::View(error) => error.into(),
            EnclaveError::Boundary(error) => error.into(),
            EnclaveError::Refused(failure) => failure,
            other => Self::new("enclave", other.code(), &other),
        }
    }
}

/// A missing or false node of the state is the host's doing, every other fault the machine's.
impl From<NodeFault> for EnclaveError {
    #[allow(clippy::wildcard_enum_match_arm, reason = "only the state is the host's")]
    fn from(fault: NodeFault) -> Self {
        match fault {
            NodeFault::State(error) => Self::StateUnavailable(error.reason),
            other => Self::Node(other),
        }
    }
}

impl From<TeeError> for EnclaveError {
    fn from(error: TeeError) -> Self {
        match error {
            TeeError::BadStart { reason } => Self::BadStart(reason),
            TeeError::CannotUnseal => Self::SealedState,
            TeeError::NoRandomness => Self::NoRandomness(error.to_string()),
            TeeError::NotFresh { epoch } => Self::NotFresh { epoch },
        }
    }
}

impl From<StorageError> for EnclaveError {
    fn from(error: StorageError) -> Self {
        Self::StateUnavailable(error.to_string())
    }
}

impl From<VoteError> for EnclaveError {
    fn from(error: VoteError) -> Self {
        Self::BadProposal(error.to_string())
    }
}

impl From<DecodeError> for EnclaveError {
    fn from(error: DecodeError) -> Self {
        Self::BadCall(error)
    }
}

impl From<Refusal> for EnclaveError {
    fn from(error: Refusal) -> Self {
        Self::KeyReply(error.to_string())
    }
}

impl From<SecretError> for EnclaveError {
    fn from(error: SecretError) -> Self {
        Self::KeyReply(error.to_string())
    }
}

impl From<EngineError> for EnclaveError {
    fn from(error: EngineError) -> Self {
        Self::BadStart(error.to_string())
    }
}

impl From<UploadError> for EnclaveError {
    fn from(error: UploadError) -> Self {
        Self::BadStart(error.to_string())
    }
}
