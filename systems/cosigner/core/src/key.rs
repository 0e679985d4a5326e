//! A shared key: a member's share of it, and its public side.

use crate::CosignerError;
use crate::curve::Curve;
use crate::federation::{Federation, Member, Set};
use crate::point::Point;
use crate::scalar::Secret;
use crate::sharing::count;

/// A member's share x_i of a server key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share<C: Curve> {
    member: Member,
    secret: Secret<C>,
}

impl<C: Curve> Share<C> {
    /// The share of this member, read from where it was kept.
    #[must_use]
    pub fn new(member: Member, secret: Secret<C>) -> Self {
        Self { member, secret }
    }

    /// Whose it is.
    #[must_use]
    pub fn member(&self) -> Member {
        self.member
    }

    /// The secret.
    #[must_use]
    pub fn secret(&self) -> &Secret<C> {
        &self.secret
    }
}

/// The public side of a server key: S = F(0)G and X_i = F(i)G for all members, of one polynomial F
/// of degree T - 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedKey<C: Curve> {
    federation: Federation,
    server_key: Point<C>,
    shares: Vec<Point<C>>,
}

impl<C: Curve> SharedKey<C> {
    /// S and X_1 to X_N as they were stored, after a check that they are of one polynomial.
    ///
    /// # Errors
    /// [`CosignerError::Count`] for another number than N, [`CosignerError::Inconsistent`].
    pub fn new(
        federation: Federation,
        server_key: Point<C>,
        shares: Vec<Point<C>>,
    ) -> Result<Self, CosignerError> {
        count("public shares", usize::from(federation.members()), shares.len())?;
        let key = Self { federation, server_key, shares };
        // CO-6: T points fix a polynomial, and S and all others must be on it.
        let base = federation.first_set(0)?;
        let at_zero = key.interpolate(&base, &C::scalar_from_u64(0))?;
        let mut consistent = at_zero == key.server_key.0;
        for member in federation.all().filter(|member| !base.has(*member)) {
            let expected = key.interpolate(&base, &member.abscissa::<C>())?;
            consistent &= key.share(member)?.0 == expected;
        }
        if consistent { Ok(key) } else { Err(CosignerError::Inconsistent) }
    }

    /// Points that were computed from commitments, and so are of one polynomial.
    pub(crate) fn computed(
        federation: Federation,
        server_key: C::Element,
        shares: impl Iterator<Item = C::Element>,
    ) -> Result<Self, CosignerError> {
        let shares: Result<Vec<Point<C>>, _> = shares.map(Point::not_identity).collect();
        Ok(Self { federation, server_key: Point::not_identity(server_key)?, shares: shares? })
    }

    /// How many members, and how many of them sign.
    #[must_use]
    pub fn federation(&self) -> Federation {
        self.federation
    }

    /// S
    #[must_use]
    pub fn server_key(&self) -> &Point<C> {
        &self.server_key
    }

    /// X_1 to X_N.
    #[must_use]
    pub fn shares(&self) -> &[Point<C>] {
        &self.shares
    }

    /// X_i
    ///
    /// # Errors
    /// [`CosignerError::NoSuchMember`] above N.
    pub fn share(&self, member: Member) -> Result<&Point<C>, CosignerError> {
        self.shares
            .get(member.position())
            .ok_or(CosignerError::NoSuchMember { number: u64::from(member.number()) })
    }

    /// Whether a share is the member's share of this key: x_i G = X_i.
    #[must_use]
    pub fn has(&self, share: &Share<C>) -> bool {
        self.share(share.member).is_ok_and(|expected| share.secret.public() == *expected)
    }

    /// The value at x of the polynomial through the points of the set.
    fn interpolate(&self, set: &Set, x: &C::Scalar) -> Result<C::Element, CosignerError> {
        let mut pairs = Vec::with_capacity(set.members().len());
        for member in set.members() {
            pairs.push((self.share(*member)?.0, set.coefficient_at::<C>(*member, x)));
        }
        Ok(C::sum_of_products(&pairs))
    }
}
