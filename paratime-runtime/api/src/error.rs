//! Why a ParaTime's transaction or envelope is refused.

use paralith_proto::DecodeError;
use paralith_types::Amount;

/// Why a transaction is refused before the runtime sees it. The sender's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum TxError {
    #[error("a transaction may have {limit} bytes, this has {got}")]
    Oversized { limit: usize, got: usize },
    #[error("cannot read the transaction: {0}")]
    Malformed(DecodeError),
    #[error("unknown transaction version {got}, this is version 1")]
    UnknownVersion { got: u32 },
    #[error("the transaction is for the chain {got}, this is {expected}")]
    WrongChain { expected: String, got: String },
    #[error("the transaction is for the runtime {got}, this is {expected}")]
    WrongRuntime { expected: String, got: String },
    #[error("the signature does not fit: was it made with another key?")]
    InvalidSignature,
    #[error("this runtime takes encrypted calls only: seal the call to its epoch key")]
    PlainNotAllowed,
    #[error("this runtime is public: it has no key to open an envelope with")]
    EnvelopeNotAllowed,
    #[error("the gas limit is {got}, a transaction may have at most {limit}")]
    GasLimit { limit: u64, got: u64 },
    #[error("the fee is {got}; with this gas limit it must be at least {least}")]
    FeeTooLow { least: Amount, got: Amount },
}

impl TxError {
    /// Stable code within module "paratime".
    pub fn code(&self) -> u32 {
        match self {
            Self::Oversized { .. } => 1,
            Self::Malformed(_) => 2,
            Self::UnknownVersion { .. } => 3,
            Self::WrongChain { .. } => 4,
            Self::WrongRuntime { .. } => 5,
            Self::InvalidSignature => 6,
            Self::PlainNotAllowed => 7,
            Self::EnvelopeNotAllowed => 8,
            Self::GasLimit { .. } => 9,
            Self::FeeTooLow { .. } => 10,
        }
    }
}

/// Why an envelope does not open. The sender's fault: it is a result, and costs fee and nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum EnvelopeError {
    #[error(
        "the envelope is for epoch {got}; epochs {oldest} to {newest} are accepted: seal again"
    )]
    WrongEpoch { oldest: u64, newest: u64, got: u64 },
    /// A node that has not seen the epoch begin is behind its sender by some blocks.
    #[error("the envelope is for epoch {got}, which has not begun here yet: submit it again")]
    NotYet { got: u64 },
    #[error(
        "the envelope does not open here: it was sealed to another key, sender, nonce or runtime"
    )]
    CannotOpen,
    #[error("the envelope opens, but not to a call and a reply key")]
    Malformed,
    #[error("the recipient's key is not a valid X25519 key")]
    BadRecipient,
}

impl EnvelopeError {
    /// The module that its codes count in.
    pub const MODULE: &str = "envelope";
    /// Code of [`Self::NotYet`]: the very same transaction may be submitted again.
    pub const NOT_YET: u32 = 5;

    /// Stable code within module "envelope".
    pub fn code(&self) -> u32 {
        match self {
            Self::WrongEpoch { .. } => 1,
            Self::CannotOpen => 2,
            Self::Malformed => 3,
            Self::BadRecipient => 4,
            Self::NotYet { .. } => Self::NOT_YET,
        }
    }
}
