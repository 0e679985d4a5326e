//! Byte strings of one length that only this system has.

use std::fmt;

use paralith_proto::{DecodeError, Wire};

macro_rules! bytes {
    ($($(#[$doc:meta])* $name:ident, $len:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;

            /// The bytes, borrowed.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8] {
                &self.0
            }

            /// The bytes in lower-case hex.
            #[must_use]
            pub fn to_hex(&self) -> String {
                const DIGITS: &[u8; 16] = b"0123456789abcdef";
                let digit = |nibble: u8| char::from(DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0'));
                self.0.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = DecodeError;
            fn try_from(bytes: &[u8]) -> Result<Self, DecodeError> {
                let reason = || format!("takes {} bytes, got {}", $len, bytes.len());
                bytes.try_into().map(Self).map_err(|_| DecodeError::field("", reason()))
            }
        }

        impl Wire for $name {
            type Pb = Vec<u8>;
            fn to_pb(&self) -> Vec<u8> {
                self.0.to_vec()
            }
            fn from_pb(pb: Vec<u8>) -> Result<Self, DecodeError> {
                Self::try_from(pb.as_slice())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.to_hex())
            }
        }
    )*};
}

bytes! {
    /// A private contract: see `contract_id` of the crate `core`.
    ContractId, 32;
    /// SHA3-256 of sealed content, the name under which it is stored and fetched.
    ContentHash, 32;
    /// A BLS key in G2, compressed.
    VoteKey, 96;
    /// A BLS signature or proof of possession in G1, compressed.
    VoteSignature, 48;
    /// 32 secret bytes that a message carries: `sk` of a complaint.
    Revealed, 32;
}
