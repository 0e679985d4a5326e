//! One list of fields for a message's Rust type, its protobuf form and the way between them.

/// Declares messages. A field is `value` (its type implements [`paralith_proto::Wire`]), `nested` (a message that
/// must be there) or `foreign` (a nested message of `paralith-policy`).
macro_rules! messages {
    ($(
        $(#[$doc:meta])*
        $name:ident {
            $($(#[$field_doc:meta])* $kind:ident $field:ident: $type:ty as $pb:ty, ($($attr:tt)*);)*
        }
    )*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq, Eq)]
            pub struct $name {
                $($(#[$field_doc])* pub $field: $type,)*
            }

            impl ::paralith_proto::Wire for $name {
                type Pb = pb::$name;
                fn to_pb(&self) -> Self::Pb {
                    pb::$name { $($field: messages!(@to $kind self.$field),)* }
                }
                fn from_pb(pb: Self::Pb) -> Result<Self, ::paralith_proto::DecodeError> {
                    Ok(Self { $($field: messages!(@from $kind pb.$field, $field, $type),)* })
                }
            }
        )*

        /// The same as protobuf messages. What the fields mean stands at the types that they become.
        pub mod pb {
            #![allow(missing_docs, clippy::derive_partial_eq_without_eq)]
            #[allow(unused_imports)]
            use super::*;
            $(
                #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
                pub struct $name {
                    $(#[prost($($attr)*)] pub $field: $pb,)*
                }
            )*
        }
    };
    (@to value $value:expr) => { ::paralith_proto::Wire::to_pb(&$value) };
    (@to nested $value:expr) => { Some(::paralith_proto::Wire::to_pb(&$value)) };
    (@to foreign $value:expr) => { Some($value.to_pb()) };
    (@from value $value:expr, $field:ident, $type:ty) => {
        ::paralith_proto::Wire::from_pb($value)
            .map_err(|e: ::paralith_proto::DecodeError| e.within(stringify!($field)))?
    };
    (@from nested $value:expr, $field:ident, $type:ty) => {
        ::paralith_proto::required($value, stringify!($field))?
    };
    (@from foreign $value:expr, $field:ident, $type:ty) => {
        match &$value {
            Some(value) => <$type>::from_pb(value).map_err(|e| {
                ::paralith_proto::DecodeError::field(stringify!($field), e.to_string())
            })?,
            None => {
                return Err(::paralith_proto::DecodeError::field(stringify!($field), "is missing"));
            }
        }
    };
}

pub(crate) use messages;
