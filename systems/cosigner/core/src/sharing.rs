//! A polynomial, commitments to its coefficients, and its values as shares.

use std::fmt;

use paralith_crypto::hash;
use paralith_types::Hash;

use crate::CosignerError;
use crate::curve::Curve;
use crate::domains::COMMITMENTS;
use crate::federation::{Federation, Member};
use crate::point::Point;
use crate::scalar::Secret;

/// A secret polynomial of degree T - 1: a dealer's, or an owner's for an update.
#[derive(Clone, PartialEq, Eq)]
pub struct Polynomial<C: Curve> {
    constant: Secret<C>,
    others: Vec<Secret<C>>,
}

impl<C: Curve> Polynomial<C> {
    /// The polynomial of these T coefficients, the constant first.
    ///
    /// # Errors
    /// [`CosignerError::Count`] for another number than T.
    pub fn new(
        federation: Federation,
        coefficients: Vec<Secret<C>>,
    ) -> Result<Self, CosignerError> {
        count("coefficients", usize::from(federation.threshold()), coefficients.len())?;
        let mut coefficients = coefficients.into_iter();
        let constant = coefficients.next().ok_or(CosignerError::Degenerate)?;
        Ok(Self { constant, others: coefficients.collect() })
    }

    /// The share of a member: the value at its number.
    ///
    /// # Errors
    /// [`CosignerError::Degenerate`] if it is zero.
    pub fn share(&self, member: Member) -> Result<Secret<C>, CosignerError> {
        let x = member.abscissa::<C>();
        let zero = C::scalar_from_u64(0);
        let value = self.coefficients().rev().fold(zero, |sum, coefficient| {
            C::add_scalars(&C::multiply_scalars(&sum, &x), &coefficient.0)
        });
        Secret::nonzero(value)
    }

    /// The points of the coefficients.
    #[must_use]
    pub fn commitments(&self) -> Commitments<C> {
        Commitments {
            constant: self.constant.public(),
            others: self.others.iter().map(Secret::public).collect(),
        }
    }

    /// What is shared.
    pub(crate) fn constant(&self) -> &Secret<C> {
        &self.constant
    }

    fn coefficients(&self) -> impl DoubleEndedIterator<Item = &Secret<C>> {
        std::iter::once(&self.constant).chain(&self.others)
    }
}

impl<C: Curve> fmt::Debug for Polynomial<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Polynomial({} coefficients)", self.coefficients().count())
    }
}

/// Public commitments to the T coefficients of a polynomial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commitments<C: Curve> {
    constant: Point<C>,
    others: Vec<Point<C>>,
}

impl<C: Curve> Commitments<C> {
    /// These T points, that of the constant first.
    ///
    /// # Errors
    /// [`CosignerError::Count`] for another number than T.
    pub fn new(federation: Federation, points: Vec<Point<C>>) -> Result<Self, CosignerError> {
        count("commitments", usize::from(federation.threshold()), points.len())?;
        let mut points = points.into_iter();
        let constant = points.next().ok_or(CosignerError::Degenerate)?;
        Ok(Self { constant, others: points.collect() })
    }

    /// Reads encoded points.
    ///
    /// # Errors
    /// As [`Self::new`] and [`Point::from_bytes`].
    pub fn from_bytes<B: AsRef<[u8]>>(
        federation: Federation,
        points: &[B],
    ) -> Result<Self, CosignerError> {
        count("commitments", usize::from(federation.threshold()), points.len())?;
        let points: Result<Vec<Point<C>>, _> =
            points.iter().map(|point| Point::from_bytes(point.as_ref())).collect();
        Self::new(federation, points?)
    }

    /// The points, that of the constant first.
    pub fn points(&self) -> impl Iterator<Item = &Point<C>> {
        std::iter::once(&self.constant).chain(&self.others)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.others.len().saturating_add(1)
    }

    /// Fails if `share` is not the member's value of the committed polynomial.
    ///
    /// # Errors
    /// [`CosignerError::ShareDiffers`].
    pub fn check(&self, member: Member, share: &Secret<C>) -> Result<(), CosignerError> {
        // CO-4
        if C::multiply_generator(&share.0) == self.value(member) {
            Ok(())
        } else {
            Err(CosignerError::ShareDiffers)
        }
    }

    /// `H(commitments, [D_0, …])`, over the points of several polynomials one after another.
    #[must_use]
    pub fn hash(all: &[&Self]) -> Hash {
        let points = all.iter().flat_map(|commitments| commitments.points());
        Self::hash_points(points)
    }

    /// The same over single points: X_i, for the seal of a released share.
    #[must_use]
    pub fn hash_points<'a>(points: impl IntoIterator<Item = &'a Point<C>>) -> Hash {
        let encoded: Vec<C::Bytes> = points.into_iter().map(Point::to_bytes).collect();
        let parts: Vec<&[u8]> = encoded.iter().map(AsRef::as_ref).collect();
        hash(COMMITMENTS, &parts)
    }

    /// The point of the member's value: the sum of i^k A_k.
    pub(crate) fn value(&self, member: Member) -> C::Element {
        let x = member.abscissa::<C>();
        let mut power = C::scalar_from_u64(1);
        let mut pairs = Vec::with_capacity(self.count());
        for point in self.points() {
            pairs.push((point.0, power));
            power = C::multiply_scalars(&power, &x);
        }
        C::sum_of_products(&pairs)
    }

    /// The point of the constant.
    #[must_use]
    pub fn constant(&self) -> &Point<C> {
        &self.constant
    }
}

/// Fails if there are not as many as there must be.
pub(crate) fn count(what: &'static str, expected: usize, got: usize) -> Result<(), CosignerError> {
    if expected == got { Ok(()) } else { Err(CosignerError::Count { what, expected, got }) }
}
