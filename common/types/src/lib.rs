//! What every layer of Paralith speaks: identifiers, amounts, and counters of time.
//!
//! Nothing here knows the chain. Each type has exactly one byte form and one text form; both
//! parse back to the same value or to an [`Invalid`] that says what was wrong.

mod text;

mod address;
mod amount;
mod bytes;
mod refusal;
mod time;

pub use address::{ADDRESS_HRP, Address};
pub use amount::{Amount, AmountError};
pub use bytes::{ChainContext, CodeId, Hash, PublicKey, RuntimeId, Signature, X25519PublicKey};
pub use refusal::{Error, Retry};
pub use text::hex_bytes;
pub use time::{Epoch, Height, Round};

/// A value that is not in its type's one valid form. The fault is the sender's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// An address with a wrong prefix, length or checksum.
    #[error("not a Paralith address: {reason}")]
    Address {
        /// What is wrong with it.
        reason: String,
    },
    /// An amount that is not a decimal number of base units, or not in minimal big-endian form.
    #[error("not an amount of base units: {reason}")]
    Amount {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A fixed-length value of another length.
    #[error("{what} takes {expected} bytes, got {got}")]
    Length {
        /// Which type was wanted.
        what: &'static str,
        /// Its length in bytes.
        expected: usize,
        /// The length that came.
        got: usize,
    },
    /// Text that is not hexadecimal.
    #[error("{what} is written as hexadecimal: {reason}")]
    NotHex {
        /// Which type was wanted.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}
