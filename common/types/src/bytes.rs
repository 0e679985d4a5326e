//! Fixed-length byte strings, each with its own type.

use std::fmt;
use std::str::FromStr;

use crate::Invalid;

macro_rules! fixed_bytes {
    ($(#[$doc:meta])* $name:ident, $len:expr, $what:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;

            /// The bytes, borrowed.
            pub fn as_bytes(&self) -> &[u8] {
                &self.0
            }
        }

        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = Invalid;
            fn try_from(bytes: &[u8]) -> Result<Self, Invalid> {
                bytes.try_into().map($name).map_err(|_| Invalid::Length {
                    what: $what,
                    expected: $len,
                    got: bytes.len(),
                })
            }
        }

        impl FromStr for $name {
            type Err = Invalid;
            fn from_str(text: &str) -> Result<Self, Invalid> {
                let bytes = hex::decode(text)
                    .map_err(|e| Invalid::NotHex { what: $what, reason: e.to_string() })?;
                Self::try_from(bytes.as_slice())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), hex::encode(self.0))
            }
        }

        crate::serde_as_text!($name);
    };
}

fixed_bytes! {
    /// A SHA-256 digest, always made under a domain (see `paralith-crypto::hash`).
    Hash, 32, "a hash"
}
fixed_bytes! {
    /// An Ed25519 public key: accounts, entities, nodes, consensus keys, RAKs.
    PublicKey, 32, "a public key"
}
fixed_bytes! {
    /// An X25519 public key: REKs and the runtimes' epoch keys.
    X25519PublicKey, 32, "an X25519 public key"
}
fixed_bytes! {
    /// An Ed25519 signature over a domain-separated message.
    Signature, 64, "a signature"
}
fixed_bytes! {
    /// Identifies a ParaTime or a key manager on chain.
    RuntimeId, 32, "a runtime id"
}
fixed_bytes! {
    /// Hash of a WebAssembly module's bytes.
    CodeId, 32, "a code id"
}
fixed_bytes! {
    /// Hash of the genesis document: separates the signatures of one chain from all others.
    ChainContext, 32, "a chain context"
}

impl Hash {
    /// The hash that stands for "nothing there": all zero, which no preimage is known to give.
    pub const ZERO: Self = Self([0; 32]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_bytes_parse_back() {
        let hash = Hash([0xab; 32]);
        assert_eq!(hash.to_string().parse::<Hash>(), Ok(hash));
        assert_eq!(Hash::try_from(hash.as_bytes()), Ok(hash));
    }

    #[test]
    fn a_wrong_length_names_both_lengths() {
        assert_eq!(
            "abcd".parse::<PublicKey>(),
            Err(Invalid::Length { what: "a public key", expected: 32, got: 2 })
        );
    }
}
