//! N members, a threshold T, and sets of T members that sign together.

use std::fmt;

use crate::CosignerError;
use crate::curve::Curve;

/// The most members.
pub const MAX_MEMBERS: u8 = 15;

/// The most members that may be away, N - T. Above it, a committee that lies to the members can have so
/// many nonces open at a time that signatures can be forged from them.
pub const MAX_SPARE: u8 = 5;

/// A member: a number from 1, which is its abscissa in all polynomials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member(u8);

impl Member {
    /// The member of this number.
    ///
    /// # Errors
    /// [`CosignerError::NoSuchMember`] outside of 1 to [`MAX_MEMBERS`].
    pub fn new(number: u64) -> Result<Self, CosignerError> {
        match u8::try_from(number) {
            Ok(member) if (1..=MAX_MEMBERS).contains(&member) => Ok(Self(member)),
            _ => Err(CosignerError::NoSuchMember { number }),
        }
    }

    /// Its number.
    #[must_use]
    pub fn number(self) -> u8 {
        self.0
    }

    /// Its place in a list of all members.
    pub(crate) fn position(self) -> usize {
        usize::from(self.0).saturating_sub(1)
    }

    pub(crate) fn abscissa<C: Curve>(self) -> C::Scalar {
        C::scalar_from_u64(u64::from(self.0))
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How many members there are, and how many of them sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Federation {
    members: u8,
    threshold: u8,
}

impl Federation {
    /// `threshold` of `members`, with 2 <= T <= N <= 15 and N - T <= 5.
    ///
    /// # Errors
    /// [`CosignerError::Federation`] outside of these limits.
    pub fn new(members: u8, threshold: u8) -> Result<Self, CosignerError> {
        // CO-3
        if threshold < 2 {
            return Err(CosignerError::Federation { members, threshold });
        }
        Self::for_development(members, threshold)
    }

    /// The same with a threshold of 1 allowed, where one member alone holds the server key: for
    /// development networks.
    ///
    /// # Errors
    /// [`CosignerError::Federation`] outside of the limits.
    pub fn for_development(members: u8, threshold: u8) -> Result<Self, CosignerError> {
        let spare = members.checked_sub(threshold);
        let within = threshold >= 1 && members <= MAX_MEMBERS;
        if within && spare.is_some_and(|spare| spare <= MAX_SPARE) {
            Ok(Self { members, threshold })
        } else {
            Err(CosignerError::Federation { members, threshold })
        }
    }

    /// N
    #[must_use]
    pub fn members(self) -> u8 {
        self.members
    }

    /// T
    #[must_use]
    pub fn threshold(self) -> u8 {
        self.threshold
    }

    /// The number of members whose acknowledgements commit an update: max(T, N - T + 1). They can sign,
    /// and fewer than T members are left with shares from before the update.
    #[must_use]
    pub fn quorum(self) -> u8 {
        let rest = self.members.saturating_sub(self.threshold).saturating_add(1);
        self.threshold.max(rest)
    }

    /// The member of this number.
    ///
    /// # Errors
    /// [`CosignerError::NoSuchMember`] outside of 1 to N.
    pub fn member(self, number: u64) -> Result<Member, CosignerError> {
        Member::new(number).and_then(|member| self.check(member))
    }

    /// All members, in order.
    pub fn all(self) -> impl Iterator<Item = Member> {
        (1..=self.members).map(Member)
    }

    /// The first set of the pool's key n: members (n + j) mod N + 1 for j = 0 to T - 1.
    ///
    /// # Errors
    /// None for a federation that was checked when it was made.
    pub fn first_set(self, pool_key: u64) -> Result<Set, CosignerError> {
        let members = u64::from(self.members);
        let first = pool_key.checked_rem(members).unwrap_or_default();
        let number = |j: u8| {
            first
                .saturating_add(u64::from(j))
                .checked_rem(members)
                .unwrap_or_default()
                .saturating_add(1)
        };
        let numbers: Result<Vec<Member>, _> =
            (0..self.threshold).map(|j| self.member(number(j))).collect();
        Set::new(self, &numbers?)
    }

    pub(crate) fn check(self, member: Member) -> Result<Member, CosignerError> {
        if member.0 <= self.members {
            Ok(member)
        } else {
            Err(CosignerError::NoSuchMember { number: u64::from(member.0) })
        }
    }
}

/// T different members that sign together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    federation: Federation,
    members: Vec<Member>,
}

impl Set {
    /// These members, in any order.
    ///
    /// # Errors
    /// [`CosignerError::Set`] for another number than T, a member twice, or one above N.
    pub fn new(federation: Federation, members: &[Member]) -> Result<Self, CosignerError> {
        let mut members = members.to_vec();
        members.sort_unstable();
        let all_known = members.iter().all(|member| federation.check(*member).is_ok());
        let each_once = members.is_sorted_by(|a, b| a < b);
        if all_known && each_once && members.len() == usize::from(federation.threshold) {
            Ok(Self { federation, members })
        } else {
            Err(CosignerError::Set { threshold: federation.threshold })
        }
    }

    /// The members whose bits are set: member i is bit i - 1.
    ///
    /// # Errors
    /// [`CosignerError::Set`] as for [`Self::new`].
    pub fn from_bitmap(federation: Federation, bitmap: u32) -> Result<Self, CosignerError> {
        let refused = CosignerError::Set { threshold: federation.threshold };
        if bitmap.checked_shr(u32::from(federation.members)) != Some(0) {
            return Err(refused);
        }
        let has = |member: &Member| bitmap & member.bit() != 0;
        let members: Vec<Member> = federation.all().filter(has).collect();
        Self::new(federation, &members)
    }

    /// Member i as bit i - 1.
    #[must_use]
    pub fn bitmap(&self) -> u32 {
        self.members.iter().fold(0, |bits, member| bits | member.bit())
    }

    /// The members, in order.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Whether the member is in it.
    #[must_use]
    pub fn has(&self, member: Member) -> bool {
        self.members.contains(&member)
    }

    /// The federation whose set it is.
    #[must_use]
    pub fn federation(&self) -> Federation {
        self.federation
    }

    /// The member's Lagrange coefficient at 0: the product over the others j of j / (j - i).
    pub(crate) fn coefficient<C: Curve>(&self, member: Member) -> C::Scalar {
        self.coefficient_at::<C>(member, &C::scalar_from_u64(0))
    }

    /// The same at another place: the product of (x - j) / (i - j).
    pub(crate) fn coefficient_at<C: Curve>(&self, member: Member, x: &C::Scalar) -> C::Scalar {
        let own = member.abscissa::<C>();
        let one = C::scalar_from_u64(1);
        let (mut numerator, mut denominator) = (one, one);
        for other in self.members.iter().filter(|other| **other != member) {
            let minus_other = C::negate_scalar(&other.abscissa::<C>());
            numerator = C::multiply_scalars(&numerator, &C::add_scalars(x, &minus_other));
            denominator = C::multiply_scalars(&denominator, &C::add_scalars(&own, &minus_other));
        }
        C::multiply_scalars(&numerator, &C::invert_scalar(&denominator))
    }
}

impl Member {
    fn bit(self) -> u32 {
        1_u32.checked_shl(u32::from(self.0.saturating_sub(1))).unwrap_or_default()
    }
}
