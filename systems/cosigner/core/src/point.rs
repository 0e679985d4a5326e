//! Points of the group that are not the identity.

use std::fmt;

use crate::CosignerError;
use crate::curve::Curve;

/// A point of prime order, never the identity.
#[derive(Clone, Copy)]
pub struct Point<C: Curve>(pub(crate) C::Element);

impl<C: Curve> Point<C> {
    /// Reads the one encoding.
    ///
    /// # Errors
    /// [`CosignerError::Point`] for every other encoding, the identity and, on Ed25519, torsion.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CosignerError> {
        // CO-1
        C::element_from_bytes(bytes).map(Self).ok_or(CosignerError::Point)
    }

    /// The one encoding: 33 bytes on secp256k1, 32 on Ed25519.
    #[must_use]
    pub fn to_bytes(&self) -> C::Bytes {
        C::element_to_bytes(&self.0)
    }

    /// As it stands in signatures and public keys of the curve: x alone on secp256k1.
    #[must_use]
    pub fn signed_form(&self) -> [u8; 32] {
        C::signed_form(&self.0)
    }

    /// a + b
    ///
    /// # Errors
    /// [`CosignerError::Degenerate`] if the sum is the identity.
    pub fn add(&self, other: &Self) -> Result<Self, CosignerError> {
        Self::not_identity(C::add(&self.0, &other.0))
    }

    /// The sum of the points.
    ///
    /// # Errors
    /// [`CosignerError::Degenerate`] if it is the identity, as for no points.
    pub fn sum(points: &[Self]) -> Result<Self, CosignerError> {
        let (first, rest) = points.split_first().ok_or(CosignerError::Degenerate)?;
        Self::not_identity(rest.iter().fold(first.0, |sum, point| C::add(&sum, &point.0)))
    }

    pub(crate) fn not_identity(element: C::Element) -> Result<Self, CosignerError> {
        if C::is_identity(&element) { Err(CosignerError::Degenerate) } else { Ok(Self(element)) }
    }
}

impl<C: Curve> PartialEq for Point<C> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<C: Curve> Eq for Point<C> {}

impl<C: Curve> fmt::Debug for Point<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Point(")?;
        for byte in self.to_bytes().as_ref() {
            write!(f, "{byte:02x}")?;
        }
        f.write_str(")")
    }
}
