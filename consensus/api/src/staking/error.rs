//! Refusals of the token.

/// Why a transaction of this module is refused. Always the sender's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum Error {
    #[error("invalid argument: {reason}")]
    InvalidArgument { reason: String },
    #[error("the balance of {balance} does not cover {amount}")]
    InsufficientBalance { balance: String, amount: String },
    #[error("the stake of {stake} does not cover the claims of {needed}: add escrow first")]
    InsufficientStake { stake: String, needed: String },
    #[error("forbidden: {reason}")]
    Forbidden { reason: String },
    #[error("the smallest delegation is {minimum}")]
    UnderMinDelegation { minimum: String },
    #[error("the smallest transfer is {minimum}")]
    UnderMinTransfer { minimum: String },
    #[error("only {owned} shares are delegated, {asked} were asked for")]
    InsufficientShares { owned: String, asked: String },
    #[error("the amounts overflow")]
    Overflow,
}

impl Error {
    /// Stable code within module "staking"; those of Oasis where the meaning is the same.
    pub fn code(&self) -> u32 {
        match self {
            Self::InvalidArgument { .. } => 1,
            Self::InsufficientBalance { .. } => 3,
            Self::InsufficientStake { .. } => 4,
            Self::Forbidden { .. } => 5,
            Self::UnderMinDelegation { .. } => 8,
            Self::UnderMinTransfer { .. } => 9,
            Self::InsufficientShares { .. } => 12,
            Self::Overflow => 13,
        }
    }
}
