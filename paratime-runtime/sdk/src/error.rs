//! Refusals. Each has a module, a stable code and a text for people.

use paralith_types::AmountError;

/// What handlers return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A refusal. Programs match on module and code; the message is for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{module} error {code}: {message}")]
pub struct Error {
    /// Which part refused: `sdk`, or the runtime's own name. Empty stands for
    /// [`Runtime::NAME`](crate::Runtime::NAME), which is filled in when the call returns.
    pub module: String,
    /// Its stable code, not 0.
    pub code: u32,
    /// What, why, what to do.
    pub message: String,
}

impl Error {
    /// A refusal by the runtime itself. Code 0 means success and must not be used.
    #[must_use]
    pub fn new(code: u32, message: impl Into<String>) -> Self {
        Self { module: String::new(), code, message: message.into() }
    }
}

/// Refuses: `return fail(7, "the shop is closed")`. Code 0 means success and must not be used.
pub fn fail<T>(code: u32, message: impl Into<String>) -> Result<T> {
    Err(Error::new(code, message))
}

/// The module of the SDK's own refusals.
pub(crate) const SDK_MODULE: &str = "sdk";

/// The SDK's refusals: module `sdk`, codes below 100, never renumbered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SdkError {
    /// The difference of two amounts would be negative. The sender's fault.
    #[error("the amount would be negative")]
    AmountNegative,
    /// The sum of two amounts has more than 128 bits. The sender's fault.
    #[error("the amount overflows")]
    AmountOverflow,
    /// The arguments do not have the form that the method takes. The sender's fault.
    #[error("the arguments of `{method}` are not what it takes: {reason}")]
    BadArguments {
        /// The method called.
        method: String,
        /// What is wrong with them, and where.
        reason: String,
    },
    /// A stored value does not parse as its type. The runtime's fault: a wrong type, or a change of
    /// form without `migrate`.
    #[error("the state holds something else than {what}")]
    CorruptState {
        /// What was expected.
        what: &'static str,
    },
    /// The host sent a request which this SDK cannot read. The host's fault.
    #[error("the host's request is malformed: {reason}")]
    MalformedRequest {
        /// What is wrong with it.
        reason: String,
    },
    /// The round already sends as many messages to consensus as it may. Nobody's fault: try in
    /// another round.
    #[error("this round sends no more messages to consensus; try again in the next one")]
    MessagesFull,
    /// The nonce lies ahead of the account's. The sender's fault.
    #[error("nonce {got} is too high; the next is {expected}")]
    NonceTooHigh {
        /// The transaction's nonce.
        got: u64,
        /// The one that comes next.
        expected: u64,
    },
    /// The nonce was used. The sender's fault.
    #[error("nonce {got} is used; the next is {expected}")]
    NonceTooLow {
        /// The transaction's nonce.
        got: u64,
        /// The one that comes next.
        expected: u64,
    },
    /// A handler asked for the transaction outside of one. The runtime's fault.
    #[error("this call belongs to no transaction")]
    NoTransaction,
    /// The runtime reveals nothing. The asker's fault.
    #[error("this runtime reveals nothing")]
    NothingToReveal,
    /// A position past the end of a list. The runtime's fault.
    #[error("position {position} lies past the end of a list of {len}")]
    OutOfRange {
        /// The position asked for.
        position: u64,
        /// The list's length.
        len: u64,
    },
    /// A result that JSON cannot express. The runtime's fault.
    #[error("the result has no JSON form: {reason}")]
    Unencodable {
        /// What is wrong with it.
        reason: String,
    },
    /// There is no such method. The sender's fault.
    #[error("there is no method `{method}`")]
    UnknownMethod {
        /// The method called.
        method: String,
    },
    /// The runtime refused with code 0. The runtime's fault.
    #[error("the runtime refused with code 0, which means success: {message}")]
    ZeroCode {
        /// Its message.
        message: String,
    },
}

impl SdkError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> u32 {
        match self {
            Self::NonceTooLow { .. } => 1,
            Self::NonceTooHigh { .. } => 2,
            Self::UnknownMethod { .. } => 3,
            Self::BadArguments { .. } => 4,
            Self::AmountOverflow => 5,
            Self::AmountNegative => 6,
            Self::MessagesFull => 7,
            Self::NoTransaction => 8,
            Self::CorruptState { .. } => 9,
            Self::MalformedRequest { .. } => 10,
            Self::NothingToReveal => 11,
            Self::Unencodable { .. } => 12,
            Self::ZeroCode { .. } => 13,
            Self::OutOfRange { .. } => 14,
        }
    }
}

impl From<AmountError> for Error {
    fn from(error: AmountError) -> Self {
        match error {
            AmountError::Negative => SdkError::AmountNegative.into(),
            AmountError::Overflow => SdkError::AmountOverflow.into(),
        }
    }
}

impl From<SdkError> for Error {
    fn from(error: SdkError) -> Self {
        Self { module: SDK_MODULE.into(), code: error.code(), message: error.to_string() }
    }
}
