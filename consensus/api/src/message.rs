//! A domain type together with its wire form, written once.

/// Declares the domain type of a protobuf message: a struct whose fields bear the message's field
/// names, its JSON form (for genesis and `--json`) and its one encoding. Fields after `nested` are
/// messages that must be there.
macro_rules! message {
    (
        $(#[$doc:meta])*
        $name:ident = $pb:ty {
            $($(#[$field_doc:meta])* $field:ident: $type:ty,)*
        }
        $(nested {
            $($(#[$nested_doc:meta])* $nested:ident: $nested_type:ty,)*
        })?
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)*
            $($($(#[$nested_doc])* pub $nested: $nested_type,)*)?
        }
        paralith_proto::wire_struct!($name, $pb, { $($field),* }, { $($($nested),*)? });
    };
}
pub(crate) use message;

/// Declares an enum of the protobuf tree whose zero stands for "not given" and is refused.
macro_rules! message_enum {
    (
        $(#[$doc:meta])*
        $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $number:literal,)* }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[derive(serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name {
            $($(#[$variant_doc])* $variant = $number,)*
        }

        impl paralith_proto::Wire for $name {
            type Pb = i32;
            fn to_pb(&self) -> i32 {
                *self as i32
            }
            fn from_pb(pb: i32) -> Result<Self, paralith_proto::DecodeError> {
                match pb {
                    $($number => Ok(Self::$variant),)*
                    other => Err(paralith_proto::DecodeError::field(
                        "",
                        format!("{other} is no {}", stringify!($name)),
                    )),
                }
            }
        }
    };
}
pub(crate) use message_enum;
