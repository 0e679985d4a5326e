//! Refusals that can meet any transaction.

use paralith_proto::DecodeError;

/// Why a transaction is refused before its method runs. The sender's fault unless it says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum Error {
    #[error("the nonce is {got}, the account's next is {expected}: sign again with it")]
    InvalidNonce { expected: u64, got: u64 },
    #[error("the balance of {balance} does not cover the fee of {fee}")]
    InsufficientFeeBalance { balance: String, fee: String },
    #[error("the fee pays less than {minimum} a unit of gas: raise the fee")]
    GasPriceTooLow { minimum: String },
    #[error("out of gas: the transaction needs {needed}, its limit is {limit}")]
    OutOfGas { needed: u64, limit: u64 },
    #[error("unknown method {method}")]
    UnknownMethod { method: String },
    #[error("a transaction may have {limit} bytes, this has {got}")]
    Oversized { limit: usize, got: usize },
    #[error("cannot read the transaction: {0}")]
    Malformed(DecodeError),
    #[error("the signature does not fit: was it made for another chain or with another key?")]
    InvalidSignature,
    #[error("the transaction is for the chain {got}, this is {expected}")]
    WrongChain { expected: String, got: String },
    #[error("the address {address} belongs to the chain itself")]
    ReservedAddress { address: String },
    #[error("the block has no gas left: it will be tried in a later one")]
    BlockGasExhausted,
    /// This node's fault: it must stop rather than vote.
    #[error("state is unavailable: {reason}")]
    StateUnavailable { reason: String },
    #[error("the transaction is known already")]
    Duplicate,
    #[error("an account needs a balance of {minimum} to send, this has {balance}: fund it first")]
    BalanceTooLow { balance: String, minimum: String },
}

impl Error {
    /// Stable code within module "consensus".
    pub fn code(&self) -> u32 {
        match self {
            Self::InvalidNonce { .. } => 1,
            Self::InsufficientFeeBalance { .. } => 2,
            Self::GasPriceTooLow { .. } => 3,
            Self::OutOfGas { .. } => 4,
            Self::UnknownMethod { .. } => 5,
            Self::Oversized { .. } => 6,
            Self::Malformed(_) => 7,
            Self::InvalidSignature => 8,
            Self::WrongChain { .. } => 9,
            Self::ReservedAddress { .. } => 10,
            Self::BlockGasExhausted => 11,
            Self::StateUnavailable { .. } => 12,
            Self::Duplicate => 13,
            Self::BalanceTooLow { .. } => 14,
        }
    }
}
