//! Why the accounts refuse.

use crate::error::SDK_MODULE;
use crate::{Error, SdkError};

/// A refusal of [`Accounts`](super::Accounts). The texts name no balance: hosts see those of
/// `check`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccountsError {
    /// The account holds less than it shall pay or lock. The sender's fault.
    #[error("the balance is lower than the amount")]
    Balance,
    /// Less has been deposited than shall be withdrawn. The sender's fault.
    #[error("the runtime holds fewer deposits than that; withdraw less")]
    Backing,
    /// The balance does not cover the fee. The sender's fault.
    #[error("the balance does not cover the fee")]
    Fee,
    /// Less is locked for this purpose than shall be taken or given back. The runtime's fault.
    #[error("less than that is locked for this purpose")]
    Locked,
    /// The lock's end has not come. The sender's fault.
    #[error(
        "the lock has not ended: its height has not come, or this is not the call that ends it"
    )]
    NotEnded,
    /// The purpose is locked already, until another end. The runtime's fault.
    #[error("this purpose is locked already, and ends in another way or earlier")]
    OtherEnd,
    /// The pot holds less than shall be paid from it. The runtime's fault.
    #[error("the pot holds less than that")]
    Pot,
    /// The total supply would exceed its limit. The minter's fault.
    #[error("the total supply would exceed 2^127")]
    Supply,
    /// The state, the transaction or the queue of messages to consensus: the SDK's own refusal.
    #[error(transparent)]
    Sdk(#[from] Error),
}

impl AccountsError {
    /// Sums do not add up, which the accounts themselves cannot cause.
    pub(super) const BROKEN: SdkError = SdkError::CorruptState { what: "accounts that add up" };

    /// The stable code, in module "sdk", beside those of [`SdkError`].
    #[must_use]
    pub fn code(&self) -> u32 {
        match self {
            Self::Balance => 20,
            Self::Backing => 21,
            Self::Fee => 22,
            Self::Locked => 23,
            Self::NotEnded => 24,
            Self::OtherEnd => 25,
            Self::Pot => 26,
            Self::Supply => 27,
            Self::Sdk(error) => error.code,
        }
    }
}

impl From<SdkError> for AccountsError {
    fn from(error: SdkError) -> Self {
        Self::Sdk(error.into())
    }
}

impl From<AccountsError> for Error {
    fn from(error: AccountsError) -> Self {
        match error {
            AccountsError::Sdk(error) => error,
            refusal => Self {
                module: SDK_MODULE.into(),
                code: refusal.code(),
                message: refusal.to_string(),
            },
        }
    }
}
