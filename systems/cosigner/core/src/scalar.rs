//! Scalars from 1 to the group's order, exclusive: public ones and secret ones.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use crate::CosignerError;
use crate::curve::{Curve, is_zero};
use crate::point::Point;

/// A public scalar, never zero: a challenge, an answer, a proof.
#[derive(Clone, Copy)]
pub struct Scalar<C: Curve>(pub(crate) C::Scalar);

impl<C: Curve> Scalar<C> {
    /// Reads the one encoding.
    ///
    /// # Errors
    /// [`CosignerError::Scalar`] for zero, and for numbers that are not below the order.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, CosignerError> {
        // CO-2
        C::scalar_from_bytes(bytes)
            .filter(|scalar| !is_zero::<C>(scalar))
            .map(Self)
            .ok_or(CosignerError::Scalar)
    }

    /// The one encoding: big-endian on secp256k1, little-endian on Ed25519.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 32] {
        C::scalar_to_bytes(&self.0)
    }

    pub(crate) fn nonzero(scalar: C::Scalar) -> Result<Self, CosignerError> {
        if is_zero::<C>(&scalar) { Err(CosignerError::Degenerate) } else { Ok(Self(scalar)) }
    }
}

impl<C: Curve> PartialEq for Scalar<C> {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl<C: Curve> Eq for Scalar<C> {}

impl<C: Curve> fmt::Debug for Scalar<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scalar(")?;
        for byte in self.to_bytes() {
            write!(f, "{byte:02x}")?;
        }
        f.write_str(")")
    }
}

/// A secret scalar, never zero: a share, a coefficient, an owner's secret. Wiped when dropped,
/// compared in constant time, and not shown by `Debug`.
#[derive(Clone)]
pub struct Secret<C: Curve>(pub(crate) C::Scalar);

impl<C: Curve> Secret<C> {
    /// A secret from 64 random bytes, taken as a number modulo the order.
    ///
    /// # Errors
    /// [`CosignerError::Degenerate`] if that is zero.
    pub fn from_random(bytes: &Zeroizing<[u8; 64]>) -> Result<Self, CosignerError> {
        Self::nonzero(C::scalar_from_wide(bytes))
    }

    /// Reads the one encoding.
    ///
    /// # Errors
    /// [`CosignerError::Scalar`] for zero, and for numbers that are not below the order.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, CosignerError> {
        Scalar::<C>::from_bytes(bytes).map(|scalar| Self(scalar.0))
    }

    /// The one encoding, as [`Scalar::to_bytes`] has it.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(C::scalar_to_bytes(&self.0))
    }

    /// xG
    #[must_use]
    pub fn public(&self) -> Point<C> {
        // Not the identity: the scalar is not zero, and the order is prime.
        Point(C::multiply_generator(&self.0))
    }

    /// a + b
    ///
    /// # Errors
    /// [`CosignerError::Degenerate`] if the sum is zero.
    pub fn add(&self, other: &Self) -> Result<Self, CosignerError> {
        Self::nonzero(C::add_scalars(&self.0, &other.0))
    }

    pub(crate) fn nonzero(mut scalar: C::Scalar) -> Result<Self, CosignerError> {
        let checked =
            if is_zero::<C>(&scalar) { Err(CosignerError::Degenerate) } else { Ok(Self(scalar)) };
        scalar.zeroize();
        checked
    }
}

impl<C: Curve> Drop for Secret<C> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<C: Curve> PartialEq for Secret<C> {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl<C: Curve> Eq for Secret<C> {}

impl<C: Curve> fmt::Debug for Secret<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}
