//! Why the enclave refuses its host.

use paralith_keymanager_core::{Refusal, SecretError};
use paralith_tee_channel::{Failure, ViewError};
use paralith_tee_enclave::TeeError;

/// Why a call is refused. The fault is the host's, except where noted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum ServiceError {
    #[error("not started yet, or stopped")]
    NotStarted,
    #[error("already started for another node, runtime or chain")]
    AlreadyStarted,
    #[error("cannot start: {reason}")]
    BadStart { reason: String },
    /// Sealed by another enclave, on another platform, for another chain, or damaged. Starting with
    /// nothing replicates everything from the other key managers.
    #[error("what was sealed does not open here")]
    CannotUnseal,
    #[error("the operating system gives no randomness")]
    NoRandomness,
    #[error("a key manager does not answer this call")]
    NotForKeyManagers,
    #[error("state has no epoch or no status for this key manager: is it registered?")]
    NotRegistered,
    /// The operator's: this code may not hold the secrets any more, or not yet.
    #[error("the policy does not allow this enclave's measurement")]
    NotAllowed,
    /// Nobody's who follows the rules: the sealed secrets are not those that the chain accepted.
    #[error("the secrets held here do not lead to the checksum in state")]
    WrongState,
    #[error("epoch {expected} is next, not {got}")]
    WrongEpoch { expected: u64, got: u64 },
    #[error("no generation is due: {reason}")]
    NotDue { reason: &'static str },
    #[error("this enclave's keys are not registered in the committee yet")]
    NotInCommittee,
    /// The blob is not in state: not included yet, replaced by a newer one, or too old to count.
    #[error("no freshness blob of this enclave is in the state of epoch {epoch}: prove it again")]
    NotFresh { epoch: u64 },
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error(transparent)]
    View(#[from] ViewError),
}

impl ServiceError {
    /// Stable code within module "keymanager-service"; refusals of requests (module "keys"), of
    /// secrets ("secrets") and of what the host says about the chain ("view") have their own.
    #[must_use]
    pub fn code(&self) -> u32 {
        match self {
            Self::NotStarted => 1,
            Self::AlreadyStarted => 2,
            Self::BadStart { .. } => 3,
            Self::CannotUnseal => 4,
            Self::NoRandomness => 5,
            Self::NotForKeyManagers => 6,
            Self::NotRegistered => 7,
            Self::NotAllowed => 8,
            Self::WrongState => 9,
            Self::WrongEpoch { .. } => 10,
            Self::NotDue { .. } => 11,
            Self::NotInCommittee => 12,
            Self::NotFresh { .. } => 13,
            Self::Refused(refusal) => refusal.code(),
            Self::Secret(error) => error.code(),
            Self::View(error) => error.code(),
        }
    }
}

impl From<TeeError> for ServiceError {
    fn from(error: TeeError) -> Self {
        match error {
            TeeError::BadStart { reason } => Self::BadStart { reason },
            TeeError::CannotUnseal => Self::CannotUnseal,
            TeeError::NoRandomness => Self::NoRandomness,
            TeeError::NotFresh { epoch } => Self::NotFresh { epoch },
        }
    }
}

impl From<ServiceError> for Failure {
    fn from(error: ServiceError) -> Self {
        let module = match &error {
            ServiceError::Refused(_) => "keys",
            ServiceError::Secret(_) => "secrets",
            ServiceError::View(error) => return error.clone().into(),
            _ => "keymanager-service",
        };
        Self::new(module, error.code(), &error)
    }
}
