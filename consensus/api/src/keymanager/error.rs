//! Refusals of key-manager transactions.

/// Why a transaction of this module is refused. Always the sender's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum Error {
    #[error("invalid argument: {reason}")]
    InvalidArgument { reason: String },
    #[error("there is no key manager {id}")]
    NoSuchStatus { id: String },
    #[error("node {node} is not in the key manager's committee")]
    NotInCommittee { node: String },
    #[error("signed by {got}, must be signed by {expected}")]
    IncorrectSigner { expected: String, got: String },
    #[error("the enclave's signature does not fit the registered RAK")]
    InvalidSignature,
    #[error("the next generation is {expected} for epoch {epoch}, not {got}")]
    WrongGeneration { expected: u64, epoch: u64, got: u64 },
    #[error("epoch {expected} is next, not {got}")]
    WrongEpoch { expected: u64, got: u64 },
    #[error("a secret for epoch {epoch} is published already")]
    AlreadyPublished { epoch: u64 },
    #[error(
        "members of weight {got} can open it, of {total} in all {needed} are needed: seal it to the keys that the members have registered"
    )]
    TooFewRecipients { got: String, total: String, needed: String },
    #[error("ciphertexts must be sorted by recipient, one each, and at most {limit}")]
    WrongRecipients { limit: u64 },
    #[error("the master secret is not due: rotation is {reason}")]
    RotationNotDue { reason: &'static str },
    #[error("the policy's serial must be above {current}, is {got}")]
    SerialTooLow { current: u32, got: u32 },
    #[error("the enclave of node {node} is revoked")]
    EnclaveRevoked { node: String },
}

impl Error {
    /// Stable code within module "keymanager"; those of Oasis where the meaning is the same.
    pub fn code(&self) -> u32 {
        match self {
            Self::InvalidArgument { .. } => 1,
            Self::NoSuchStatus { .. } => 2,
            Self::NotInCommittee { .. } => 5,
            Self::IncorrectSigner { .. } => 6,
            Self::InvalidSignature => 7,
            Self::WrongGeneration { .. } => 8,
            Self::WrongEpoch { .. } => 9,
            Self::AlreadyPublished { .. } => 10,
            Self::TooFewRecipients { .. } => 11,
            Self::WrongRecipients { .. } => 12,
            Self::RotationNotDue { .. } => 13,
            Self::SerialTooLow { .. } => 14,
            Self::EnclaveRevoked { .. } => 16,
        }
    }
}
