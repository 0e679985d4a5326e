//! Refusals of this runtime: module `tokens`, codes never renumbered. All are the sender's fault.

use paralith_sdk::Error;

/// Why a call was refused. The texts name no balance: hosts see those of `check`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenError {
    /// The account holds less than it shall pay.
    Balance,
    /// Less has been deposited than shall be withdrawn.
    Backing,
    /// The balance does not cover the fee.
    Fee,
    /// In a confidential deployment an account is shown only to itself.
    Forbidden,
    /// The memo is too long.
    Memo,
    /// Only the minter may do this.
    NotMinter,
    /// The call came in the clear.
    Plain,
    /// The total supply would exceed its limit.
    Supply,
    /// Nobody is named and nobody asks.
    Unnamed,
    /// An amount of zero.
    Zero,
}

impl TokenError {
    fn parts(self) -> (u32, &'static str) {
        match self {
            Self::Balance => (1, "the balance is lower than the amount"),
            Self::Backing => (2, "the runtime holds fewer deposits than that; withdraw less"),
            Self::Fee => (3, "the balance does not cover the fee"),
            Self::Forbidden => (4, "only the account itself may ask this; sign the query"),
            Self::Memo => (5, "a memo has at most 256 bytes"),
            Self::NotMinter => (6, "only the minter may do this"),
            Self::Plain => (7, "this runtime takes calls in an envelope only; encrypt the call"),
            Self::Supply => (8, "the total supply would exceed 2^127"),
            Self::Unnamed => (9, "name an address or sign the query"),
            Self::Zero => (10, "the amount is zero"),
        }
    }
}

impl From<TokenError> for Error {
    fn from(error: TokenError) -> Self {
        let (code, message) = error.parts();
        Self::new(code, message)
    }
}
