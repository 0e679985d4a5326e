//! 32 secret bytes.

use std::fmt;

use paralith_crypto::{Zeroizing, constant_time_eq};
use paralith_proto::{DecodeError, Wire};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// 32 secret bytes. Wiped when dropped, compared in constant time, never shown.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secret([u8; 32]);

impl Secret {
    /// The secret of these bytes, uniformly random or derived from such.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, borrowed.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<Zeroizing<[u8; 32]>> for Secret {
    fn from(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(*bytes)
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        constant_time_eq(&self.0, &other.0)
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Wire for Secret {
    type Pb = Vec<u8>;

    fn to_pb(&self) -> Vec<u8> {
        self.0.to_vec()
    }

    fn from_pb(pb: Vec<u8>) -> Result<Self, DecodeError> {
        let pb = Zeroizing::new(pb);
        <[u8; 32]>::try_from(pb.as_slice())
            .map(Self)
            .map_err(|_| DecodeError::field("", "a secret takes 32 bytes"))
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn debug_does_not_show_it() {
        assert_eq!(format!("{:?}", Secret::new([0xa7; 32])), "Secret(..)");
    }

    #[test]
    fn equal_means_every_byte() {
        let mut other = [7; 32];
        assert_eq!(Secret::new([7; 32]), Secret::new(other));
        other[31] = 8;
        assert_ne!(Secret::new([7; 32]), Secret::new(other));
    }
}
