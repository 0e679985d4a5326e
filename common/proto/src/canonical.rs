//! Domain types to messages and back, and the canonical codec over both.

use paralith_types::{
    Address, Amount, ChainContext, CodeId, Epoch, Hash, Height, Invalid, PublicKey, Round,
    RuntimeId, Signature, X25519PublicKey,
};
use prost::Message;

/// Why bytes are not the canonical encoding of a value. The fault is the sender's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A field is there but does not hold a valid value.
    #[error("field {path}: {reason}")]
    Field {
        /// Names of the fields from the outside in.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// Not protobuf at all.
    #[error("not a valid message: {reason}")]
    Malformed {
        /// What the parser says.
        reason: String,
    },
    /// The value is fine, but it is written in another way than the one canonical way.
    #[error("not in canonical form: unknown or repeated fields, explicit defaults or long numbers")]
    NotCanonical,
    /// Longer than the limit; nothing was decoded.
    #[error("{got} bytes are more than the limit of {limit}")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
        /// The length in bytes.
        got: usize,
    },
}

impl DecodeError {
    /// A field with an invalid value.
    pub fn field(path: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Field { path: path.into(), reason: reason.into() }
    }

    /// The same error, seen from one message further out.
    #[must_use]
    pub fn within(self, field: &str) -> Self {
        match self {
            Self::Field { path, reason } if path.is_empty() => {
                Self::Field { path: field.into(), reason }
            }
            Self::Field { path, reason } => Self::Field { path: format!("{field}.{path}"), reason },
            other => other,
        }
    }

    /// Stable code, the same in every module that decodes.
    pub fn code(&self) -> u32 {
        match self {
            Self::TooLarge { .. } => 1,
            Self::Malformed { .. } => 2,
            Self::Field { .. } => 3,
            Self::NotCanonical => 4,
        }
    }
}

impl From<Invalid> for DecodeError {
    fn from(invalid: Invalid) -> Self {
        Self::Field { path: String::new(), reason: invalid.to_string() }
    }
}

/// A domain type and the message that carries it.
pub trait Wire: Sized {
    /// The generated type.
    type Pb;
    /// The message for this value.
    fn to_pb(&self) -> Self::Pb;
    /// The value of a message, or what is wrong with it.
    fn from_pb(pb: Self::Pb) -> Result<Self, DecodeError>;
}

/// A domain type with exactly one encoding.
pub trait Canonical: Wire {
    /// The one encoding of this value.
    fn encode(&self) -> Vec<u8>;

    /// Reads untrusted bytes of at most `limit_bytes`.
    fn decode(bytes: &[u8], limit_bytes: usize) -> Result<Self, DecodeError>;
}

impl<T> Canonical for T
where
    T: Wire,
    T::Pb: Message + Default,
{
    fn encode(&self) -> Vec<u8> {
        self.to_pb().encode_to_vec()
    }

    fn decode(bytes: &[u8], limit_bytes: usize) -> Result<Self, DecodeError> {
        if bytes.len() > limit_bytes {
            return Err(DecodeError::TooLarge { limit: limit_bytes, got: bytes.len() });
        }
        let pb =
            T::Pb::decode(bytes).map_err(|e| DecodeError::Malformed { reason: e.to_string() })?;
        let value = T::from_pb(pb)?;
        // From the domain type, not from the message: what the conversion ignored must not pass.
        if value.encode() != bytes {
            return Err(DecodeError::NotCanonical);
        }
        Ok(value)
    }
}

/// A nested message that must be there.
pub fn required<T: Wire>(pb: Option<T::Pb>, field: &str) -> Result<T, DecodeError> {
    match pb {
        Some(pb) => T::from_pb(pb).map_err(|e| e.within(field)),
        None => Err(DecodeError::field(field, "is missing")),
    }
}

impl<T: Wire> Wire for Option<T> {
    type Pb = Option<T::Pb>;
    fn to_pb(&self) -> Self::Pb {
        self.as_ref().map(Wire::to_pb)
    }
    fn from_pb(pb: Self::Pb) -> Result<Self, DecodeError> {
        pb.map(T::from_pb).transpose()
    }
}

impl<T: Wire> Wire for Vec<T> {
    type Pb = Vec<T::Pb>;
    fn to_pb(&self) -> Self::Pb {
        self.iter().map(Wire::to_pb).collect()
    }
    fn from_pb(pb: Self::Pb) -> Result<Self, DecodeError> {
        pb.into_iter()
            .enumerate()
            .map(|(index, item)| T::from_pb(item).map_err(|e| e.within(&format!("[{index}]"))))
            .collect()
    }
}

macro_rules! plain {
    ($($type:ty),*) => {$(
        impl Wire for $type {
            type Pb = Self;
            fn to_pb(&self) -> Self {
                self.clone()
            }
            fn from_pb(pb: Self) -> Result<Self, DecodeError> {
                Ok(pb)
            }
        }
    )*};
}

plain!(bool, u32, u64, String, Vec<u8>);

macro_rules! fixed {
    ($($type:ty),*) => {$(
        impl Wire for $type {
            type Pb = Vec<u8>;
            fn to_pb(&self) -> Vec<u8> {
                self.as_bytes().to_vec()
            }
            fn from_pb(pb: Vec<u8>) -> Result<Self, DecodeError> {
                Ok(Self::try_from(pb.as_slice())?)
            }
        }
    )*};
}

fixed!(Address, ChainContext, CodeId, Hash, PublicKey, RuntimeId, Signature, X25519PublicKey);

macro_rules! counters {
    ($($type:ident),*) => {$(
        impl Wire for $type {
            type Pb = u64;
            fn to_pb(&self) -> u64 {
                self.0
            }
            fn from_pb(pb: u64) -> Result<Self, DecodeError> {
                Ok(Self(pb))
            }
        }
    )*};
}

counters!(Epoch, Height, Round);

impl Wire for Amount {
    type Pb = Vec<u8>;
    fn to_pb(&self) -> Vec<u8> {
        self.to_be_bytes_minimal()
    }
    fn from_pb(pb: Vec<u8>) -> Result<Self, DecodeError> {
        Ok(Self::from_be_bytes_minimal(&pb)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb;

    #[derive(Debug, Clone, PartialEq)]
    struct Transfer {
        to: Address,
        amount: Amount,
    }
    crate::wire_struct!(Transfer, pb::staking::v1::Transfer, { to, amount }, {});

    fn good() -> Vec<u8> {
        Transfer { to: Address([0; 21]), amount: Amount(300) }.encode()
    }

    #[test]
    fn the_one_encoding_is_frozen_and_parses_back() {
        let bytes = good();
        let mut frozen = vec![0x0a, 21];
        frozen.extend([0; 21]);
        frozen.extend([0x12, 2, 1, 44]);
        assert_eq!(bytes, frozen);
        assert_eq!(
            Transfer::decode(&bytes, 100),
            Ok(Transfer { to: Address([0; 21]), amount: Amount(300) })
        );
    }

    #[test]
    fn every_other_encoding_is_refused() {
        let good = good();
        let unknown_field = [good.as_slice(), &[0x1a, 0]].concat();
        let twice = [good.as_slice(), &[0x12, 2, 1, 44]].concat();
        let swapped = [&good[23..], &good[..23]].concat();
        let long_length = [&[0x0a, 0x95, 0x00], &good[2..]].concat();
        for (bytes, code) in [
            (unknown_field, 4),
            (twice, 4),
            (swapped, 4),
            (long_length, 4),
            ([&good[..23], &[0x12, 3, 0, 1, 44]].concat(), 3),
            (good[..10].to_vec(), 2),
            (vec![], 3),
        ] {
            let error = Transfer::decode(&bytes, 100).unwrap_err();
            assert_eq!(error.code(), code, "{bytes:?}: {error}");
        }
        assert_eq!(Transfer::decode(&good, 26).unwrap_err().code(), 1);
    }
}
