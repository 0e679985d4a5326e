//! The two groups behind one trait.
//!
//! Callers use [`Point`](crate::Point), [`Scalar`](crate::Scalar) and [`Secret`](crate::Secret), which are
//! checked; the raw elements of this trait may be zero or the identity.

mod ed25519;
mod secp256k1;

use std::fmt::Debug;

use subtle::{ConditionallySelectable, ConstantTimeEq};
use zeroize::Zeroize;

pub use ed25519::Ed25519;
pub use secp256k1::Secp256k1;

use crate::CosignerError;

/// The byte that names a curve in messages and hashes. 0 names none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum CurveId {
    /// secp256k1, signatures of BIP340.
    Secp256k1 = 1,
    /// The prime-order group of Ed25519, signatures of RFC 8032.
    Ed25519 = 2,
}

impl CurveId {
    /// The byte.
    #[must_use]
    pub fn byte(self) -> u8 {
        match self {
            Self::Secp256k1 => 1,
            Self::Ed25519 => 2,
        }
    }

    /// The curve that this byte names.
    ///
    /// # Errors
    /// [`CosignerError::Point`] if it names none.
    pub fn from_byte(byte: u8) -> Result<Self, CosignerError> {
        match byte {
            1 => Ok(Self::Secp256k1),
            2 => Ok(Self::Ed25519),
            _ => Err(CosignerError::Point),
        }
    }
}

mod sealed {
    /// No other crate adds a curve.
    pub trait Sealed {}
}

/// A group of prime order with a generator G, and the signatures that verify on it.
///
/// Everything takes constant time but `from_bytes` and [`Self::sum_of_products`], which get public
/// values only.
pub trait Curve: sealed::Sealed + Copy + Eq + Debug + Send + Sync + 'static {
    /// Its name in messages.
    const ID: CurveId;
    /// Length of an encoded point.
    const POINT_LEN: usize;

    /// An encoded point: 33 bytes compressed, or 32.
    type Bytes: AsRef<[u8]> + Copy + Eq + Ord + Debug + Send + Sync;
    /// A number modulo the group's order.
    type Scalar: Copy + ConstantTimeEq + ConditionallySelectable + Zeroize + Send + Sync;
    /// An element of the group, perhaps the identity.
    type Element: Copy + PartialEq + Send + Sync;

    /// A scalar in its one encoding; zero, too.
    fn scalar_from_bytes(bytes: &[u8; 32]) -> Option<Self::Scalar>;
    /// That encoding: big-endian on secp256k1, little-endian on Ed25519.
    fn scalar_to_bytes(scalar: &Self::Scalar) -> [u8; 32];
    /// A number of 64 bytes, big-endian on both curves, modulo the order.
    fn scalar_from_wide(bytes: &[u8; 64]) -> Self::Scalar;
    /// A small number.
    fn scalar_from_u64(number: u64) -> Self::Scalar;
    /// a + b
    fn add_scalars(a: &Self::Scalar, b: &Self::Scalar) -> Self::Scalar;
    /// a b
    fn multiply_scalars(a: &Self::Scalar, b: &Self::Scalar) -> Self::Scalar;
    /// -a
    fn negate_scalar(a: &Self::Scalar) -> Self::Scalar;
    /// 1/a, and 0 for 0.
    fn invert_scalar(a: &Self::Scalar) -> Self::Scalar;

    /// An element in its one encoding, of prime order, not the identity.
    fn element_from_bytes(bytes: &[u8]) -> Option<Self::Element>;
    /// That encoding.
    fn element_to_bytes(element: &Self::Element) -> Self::Bytes;
    /// G
    fn generator() -> Self::Element;
    /// Whether it is the identity.
    fn is_identity(element: &Self::Element) -> bool;
    /// a + b
    fn add(a: &Self::Element, b: &Self::Element) -> Self::Element;
    /// -a
    fn negate(a: &Self::Element) -> Self::Element;
    /// xG
    fn multiply_generator(scalar: &Self::Scalar) -> Self::Element;
    /// xA
    fn multiply(element: &Self::Element, scalar: &Self::Scalar) -> Self::Element;
    /// The sum of xA over public pairs, in variable time.
    fn sum_of_products(pairs: &[(Self::Element, Self::Scalar)]) -> Self::Element;

    /// Whether a signature stands for the negative of this point: BIP340 leaves the sign of y out.
    fn is_negative(element: &Self::Element) -> bool;
    /// A point as it stands in signatures and public keys.
    fn signed_form(element: &Self::Element) -> [u8; 32];
    /// The challenge of a signature with this nonce, under this key, of this message.
    fn challenge(nonce: &[u8; 32], key: &[u8; 32], message: &[u8]) -> Self::Scalar;
}

/// `scalar`, or its negative, without a branch.
pub(crate) fn negate_if<C: Curve>(scalar: &C::Scalar, negate: bool) -> C::Scalar {
    let negative = C::negate_scalar(scalar);
    C::Scalar::conditional_select(scalar, &negative, u8::from(negate).into())
}

/// Whether a scalar is zero, in constant time.
pub(crate) fn is_zero<C: Curve>(scalar: &C::Scalar) -> bool {
    scalar.ct_eq(&C::scalar_from_u64(0)).into()
}
