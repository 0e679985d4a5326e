//! Domain types, their protobuf messages, and the one encoding of each.

use paralith_policy::{Certificate, Policy};
use paralith_types::{
    ChainContext, CodeId, Epoch, Hash, Height, PublicKey, Round, RuntimeId, Signature,
};

/// Why bytes are not the canonical encoding of a message. The fault is the sender's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Longer than the limit; nothing was decoded.
    #[error("{got} bytes are more than the limit of {limit}")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
        /// The length in bytes.
        got: usize,
    },
    /// Not protobuf.
    #[error("not a valid message: {0}")]
    Malformed(String),
    /// A field that does not hold a valid value.
    #[error("field {field}: {reason}")]
    Field {
        /// Which field.
        field: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// Another encoding than the one canonical one.
    #[error("not in canonical form: unknown or repeated fields, explicit defaults or long numbers")]
    NotCanonical,
}

impl DecodeError {
    /// The same in a field of an outer message.
    pub(crate) fn within(self, name: &'static str) -> Self {
        match self {
            Self::Field { field: "", reason } => Self::Field { field: name, reason },
            other => Self::Field { field: name, reason: other.to_string() },
        }
    }
}

fn invalid(reason: impl ToString) -> DecodeError {
    DecodeError::Field { field: "", reason: reason.to_string() }
}

/// A message with one encoding.
pub trait Message: Sized {
    /// Longest encoding that [`Message::decode`] reads.
    const MAX_BYTES: usize;
    /// The one encoding.
    fn encode(&self) -> Vec<u8>;
    /// Reads untrusted bytes. Refuses every encoding but the one that [`Message::encode`] gives.
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError>;
}

/// A value and the form in which a message carries it.
pub(crate) trait Wire: Sized {
    type Pb;
    fn to_pb(&self) -> Self::Pb;
    fn from_pb(pb: Self::Pb) -> Result<Self, DecodeError>;
}

macro_rules! plain {
    ($($type:ty),*) => {$(
        impl Wire for $type {
            type Pb = Self;
            fn to_pb(&self) -> Self { self.clone() }
            fn from_pb(pb: Self) -> Result<Self, DecodeError> { Ok(pb) }
        }
    )*};
}
plain!(bool, u32, u64, String, Vec<u8>);

macro_rules! fixed {
    ($($type:ty),*) => {$(
        impl Wire for $type {
            type Pb = Vec<u8>;
            fn to_pb(&self) -> Vec<u8> { self.as_bytes().to_vec() }
            fn from_pb(pb: Vec<u8>) -> Result<Self, DecodeError> {
                Self::try_from(pb.as_slice()).map_err(invalid)
            }
        }
    )*};
}
fixed!(ChainContext, CodeId, Hash, PublicKey, RuntimeId, Signature);

impl Wire for [u8; 32] {
    type Pb = Vec<u8>;
    fn to_pb(&self) -> Vec<u8> {
        self.to_vec()
    }
    fn from_pb(pb: Vec<u8>) -> Result<Self, DecodeError> {
        Self::try_from(pb.as_slice()).map_err(|_| invalid("it takes 32 bytes"))
    }
}

macro_rules! counters {
    ($($type:ident),*) => {$(
        impl Wire for $type {
            type Pb = u64;
            fn to_pb(&self) -> u64 { self.0 }
            fn from_pb(pb: u64) -> Result<Self, DecodeError> { Ok(Self(pb)) }
        }
    )*};
}
counters!(Epoch, Height, Round);

impl<T: Wire> Wire for Vec<T> {
    type Pb = Vec<T::Pb>;
    fn to_pb(&self) -> Self::Pb {
        self.iter().map(Wire::to_pb).collect()
    }
    fn from_pb(pb: Self::Pb) -> Result<Self, DecodeError> {
        pb.into_iter().map(T::from_pb).collect()
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

/// A nested message that must be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Required<T>(pub(crate) T);

impl<T: Wire> Wire for Required<T> {
    type Pb = Option<T::Pb>;
    fn to_pb(&self) -> Self::Pb {
        Some(self.0.to_pb())
    }
    fn from_pb(pb: Self::Pb) -> Result<Self, DecodeError> {
        Ok(Self(T::from_pb(pb.ok_or_else(|| invalid("is missing"))?)?))
    }
}

impl Wire for Certificate {
    type Pb = paralith_policy::pb::Certificate;
    fn to_pb(&self) -> Self::Pb {
        Certificate::to_pb(self)
    }
    fn from_pb(pb: Self::Pb) -> Result<Self, DecodeError> {
        Certificate::from_pb(&pb).map_err(invalid)
    }
}

impl Wire for Policy {
    type Pb = paralith_policy::pb::Policy;
    fn to_pb(&self) -> Self::Pb {
        Policy::to_pb(self)
    }
    fn from_pb(pb: Self::Pb) -> Result<Self, DecodeError> {
        Policy::from_pb(&pb).map_err(invalid)
    }
}

/// Declares a message: the domain type, its protobuf form in a module of the given name, and the
/// codec. A field's first bracket is its `prost` attribute.
macro_rules! message {
    (
        $(#[$doc:meta])*
        $name:ident, $pb:ident, $limit:expr, {
            $($(#[$field_doc:meta])* [$($attr:tt)*] $field:ident: $type:ty,)*
        }
        $(nested { $($(#[$nested_doc:meta])* [$($nested_attr:tt)*] $nested:ident: $nested_type:ty,)* })?
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)*
            $($($(#[$nested_doc])* pub $nested: $nested_type,)*)?
        }

        #[derive(Clone, PartialEq, ::prost::Message)]
        pub(crate) struct $pb {
            $(#[prost($($attr)*)] $field: <$type as $crate::wire::Wire>::Pb,)*
            $($(#[prost($($nested_attr)*)]
                $nested: Option<<$nested_type as $crate::wire::Wire>::Pb>,)*)?
        }

        impl $crate::wire::Wire for $name {
            type Pb = $pb;
            fn to_pb(&self) -> $pb {
                $pb {
                    $($field: $crate::wire::Wire::to_pb(&self.$field),)*
                    $($($nested: Some($crate::wire::Wire::to_pb(&self.$nested)),)*)?
                }
            }
            fn from_pb(pb: $pb) -> Result<Self, $crate::wire::DecodeError> {
                Ok(Self {
                    $($field: <$type as $crate::wire::Wire>::from_pb(pb.$field)
                        .map_err(|e| e.within(stringify!($field)))?,)*
                    $($($nested: <$crate::wire::Required<$nested_type> as $crate::wire::Wire>::from_pb(pb.$nested)
                        .map_err(|e| e.within(stringify!($nested)))?.0,)*)?
                })
            }
        }

        impl $crate::wire::Message for $name {
            const MAX_BYTES: usize = $limit;
            fn encode(&self) -> Vec<u8> {
                ::prost::Message::encode_to_vec(&$crate::wire::Wire::to_pb(self))
            }
            fn decode(bytes: &[u8]) -> Result<Self, $crate::wire::DecodeError> {
                use $crate::wire::DecodeError;
                if bytes.len() > Self::MAX_BYTES {
                    return Err(DecodeError::TooLarge { limit: Self::MAX_BYTES, got: bytes.len() });
                }
                let pb = <$pb as ::prost::Message>::decode(bytes)
                    .map_err(|e| DecodeError::Malformed(e.to_string()))?;
                let value = <Self as $crate::wire::Wire>::from_pb(pb)?;
                // From the value, not from the message: what the conversion ignored must not pass.
                if $crate::wire::Message::encode(&value) != bytes {
                    return Err(DecodeError::NotCanonical);
                }
                Ok(value)
            }
        }
    };
}
pub(crate) use message;
