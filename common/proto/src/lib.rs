//! The one protobuf tree of Paralith, and the codec that gives each value exactly one encoding.
//!
//! [`pb`] holds the generated messages. What is signed, hashed or stored is never such a message
//! but a domain type that implements [`Wire`]; [`Canonical::decode`] reads untrusted bytes into it
//! and refuses every encoding but the one that [`Canonical::encode`] gives: unknown and duplicate
//! fields, explicit defaults, non-minimal numbers, leading zeros, unknown enum values.

mod canonical;
mod refusal;
#[cfg(feature = "grpc")]
pub mod status;

pub use canonical::{Canonical, DecodeError, Wire, required};
pub use prost::Message;

/// The generated messages, by package: `make protos` writes them from `proto/`.
#[allow(
    missing_docs,
    unreachable_pub,
    missing_debug_implementations,
    clippy::all,
    clippy::unwrap_used
)]
pub mod pb {
    include!("generated/mod.rs");
    pub use self::paralith::*;
}

/// The files of each package as an encoded `FileDescriptorSet`, for gRPC reflection.
pub const DESCRIPTORS: &[&[u8]] = include!("generated/descriptors.rs");

/// Implements [`Wire`] for a struct whose fields bear the names of the message's fields.
///
/// A field in the first list is a value (scalar, bytes, list, optional); one in the second list is
/// a nested message that must be there.
#[macro_export]
macro_rules! wire_struct {
    ($type:ty, $pb:ty, { $($field:ident),* $(,)? }, { $($nested:ident),* $(,)? }) => {
        impl $crate::Wire for $type {
            type Pb = $pb;
            fn to_pb(&self) -> Self::Pb {
                type Pb = $pb;
                Pb {
                    $($field: $crate::Wire::to_pb(&self.$field),)*
                    $($nested: Some($crate::Wire::to_pb(&self.$nested)),)*
                }
            }
            fn from_pb(pb: Self::Pb) -> Result<Self, $crate::DecodeError> {
                Ok(Self {
                    $($field: $crate::Wire::from_pb(pb.$field)
                        .map_err(|e: $crate::DecodeError| e.within(stringify!($field)))?,)*
                    $($nested: $crate::required(pb.$nested, stringify!($nested))?,)*
                })
            }
        }
    };
}
