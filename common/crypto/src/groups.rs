//! Arithmetic on public points: sums of multiples on secp256k1 and Ed25519, signatures of BIP340, and
//! keys recovered from ECDSA signatures.
//!
//! **Everything takes variable time: give it no secrets.** A scalar or a point has one encoding; no other
//! is taken, so that two machines never disagree about the bytes of a result.

mod ed25519;
mod secp256k1;
#[cfg(test)]
mod tests;

pub use secp256k1::{recover, schnorr_verify};

/// Length of a scalar: big-endian on secp256k1, little-endian on Ed25519.
pub const SCALAR_LEN: usize = 32;

/// A group of points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// secp256k1. Points are the 33 bytes of SEC 1, compressed.
    Secp256k1,
    /// The prime-order group of Ed25519. Points are the 32 bytes of RFC 8032.
    Ed25519,
}

impl Group {
    /// Length of a point.
    #[must_use]
    pub const fn point_len(self) -> usize {
        match self {
            Self::Secp256k1 => secp256k1::POINT_LEN,
            Self::Ed25519 => ed25519::POINT_LEN,
        }
    }

    /// Length of a scalar and a point.
    #[must_use]
    pub const fn pair_len(self) -> usize {
        SCALAR_LEN + self.point_len()
    }
}

/// The sum of the multiples: `pairs` is scalar, point, scalar, point and so on. A scalar may be 0; a point
/// of zero bytes stands for the generator.
///
/// Nothing if there is no pair or a part of one, if a scalar or a point is not in its encoding, if a point
/// of Ed25519 has torsion, or if the sum is the identity. The identity of Ed25519 has an encoding and may
/// be among the points.
///
/// Takes memory by the number of pairs: the caller bounds it.
#[must_use]
pub fn combine(group: Group, pairs: &[u8]) -> Option<Vec<u8>> {
    match group {
        Group::Secp256k1 => Some(secp256k1::combine(pairs)?.to_vec()),
        Group::Ed25519 => Some(ed25519::combine(pairs)?.to_vec()),
    }
}
