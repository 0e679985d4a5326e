//! How values are stored.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Address, Amount, Hash, PublicKey};

/// Something that the state can hold, or a [`Map`](crate::Map)'s key.
///
/// A value has one byte form, which parses back to it. Numbers have a fixed length, so that the
/// length of a sealed value does not tell its size. A type of your own is stored as [`Json`] or
/// [`Proto`], or implements this.
pub trait Value: Sized {
    /// The byte form.
    fn to_bytes(&self) -> Vec<u8>;

    /// The inverse, or nothing if these are not the bytes of such a value.
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
}

macro_rules! number {
    ($($type:ty),*) => {$(
        impl Value for $type {
            fn to_bytes(&self) -> Vec<u8> {
                self.to_be_bytes().to_vec()
            }

            fn from_bytes(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self::from_be_bytes)
            }
        }
    )*};
}

number!(u8, u16, u32, u64, u128);

impl Value for bool {
    fn to_bytes(&self) -> Vec<u8> {
        vec![u8::from(*self)]
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0] => Some(false),
            [1] => Some(true),
            _ => None,
        }
    }
}

impl Value for Amount {
    fn to_bytes(&self) -> Vec<u8> {
        self.0.to_bytes()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        u128::from_bytes(bytes).map(Self)
    }
}

impl Value for String {
    fn to_bytes(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        std::str::from_utf8(bytes).ok().map(Self::from)
    }
}

impl Value for Vec<u8> {
    fn to_bytes(&self) -> Vec<u8> {
        self.clone()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(bytes.to_vec())
    }
}

impl<const N: usize> Value for [u8; N] {
    fn to_bytes(&self) -> Vec<u8> {
        self.to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok()
    }
}

macro_rules! fixed_bytes {
    ($($type:ty),*) => {$(
        impl Value for $type {
            fn to_bytes(&self) -> Vec<u8> {
                self.as_bytes().to_vec()
            }

            fn from_bytes(bytes: &[u8]) -> Option<Self> {
                Self::try_from(bytes).ok()
            }
        }
    )*};
}

fixed_bytes!(Address, Hash, PublicKey);

/// Stores any serde type as JSON. Maps inside must be ordered (`BTreeMap`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Json<T>(pub T);

impl<T: Serialize + DeserializeOwned> Value for Json<T> {
    /// A type without a JSON form (a map with keys that are no text) gives no bytes, which do not
    /// parse back.
    fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(&self.0).unwrap_or_default()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok().map(Self)
    }
}

/// Stores a protobuf message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Proto<T>(pub T);

impl<T: prost::Message + Default> Value for Proto<T> {
    fn to_bytes(&self) -> Vec<u8> {
        self.0.encode_to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        T::decode(bytes).ok().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fmt::Debug;

    use super::*;

    fn parses_back<V: Value + PartialEq + Debug>(value: V, len: usize) {
        let bytes = value.to_bytes();
        assert_eq!(bytes.len(), len, "{value:?}");
        assert_eq!(V::from_bytes(&bytes), Some(value));
    }

    #[test]
    fn values_parse_back_and_numbers_have_a_fixed_length() {
        parses_back(7u8, 1);
        parses_back(7u64, 8);
        parses_back(u64::MAX, 8);
        parses_back(Amount(0), 16);
        parses_back(Amount(u128::MAX), 16);
        parses_back(true, 1);
        parses_back(String::from("ab"), 2);
        parses_back(vec![1u8, 2, 3], 3);
        parses_back([9u8; 5], 5);
        parses_back(Address([0; 21]), 21);
        parses_back(Hash([1; 32]), 32);
        parses_back(Json(BTreeMap::from([("a".to_string(), 1)])), 7);
        parses_back(Proto(paralith_runtime_abi::Call { method: "a".into(), args: vec![] }), 3);
    }

    #[test]
    fn foreign_bytes_are_refused() {
        assert_eq!(u64::from_bytes(&[0; 7]), None);
        assert_eq!(bool::from_bytes(&[2]), None);
        assert_eq!(String::from_bytes(&[0xff]), None);
        assert_eq!(Address::from_bytes(&[1; 21]), None);
        assert_eq!(Json::<u64>::from_bytes(b""), None);
    }
}
