//! A set of members, as a bitmap.

use std::fmt;

use crate::PolicyError;

/// No member has this index or a higher one.
pub const MAX_MEMBERS: u32 = 65_536;

/// A set of member indices.
///
/// Byte form: member `i` is bit `i % 8`, counted from the least significant, of byte `i / 8`; the
/// last byte is not 0, so each set has one form and the empty set has no bytes. Members below 64 are
/// also a number, of which member `i` is bit `i`: the byte form is that number's, little-endian.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Members(Vec<u8>);

/// Byte and mask of a member.
fn place(member: u32) -> (usize, u8) {
    // At most MAX_MEMBERS / 8, which fits everywhere.
    ((member / 8) as usize, 1_u8.checked_shl(member % 8).unwrap_or(0))
}

impl Members {
    /// The empty set.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Members 0 to `count - 1`, at most [`MAX_MEMBERS`] of them.
    #[must_use]
    pub fn first(count: u32) -> Self {
        (0..count.min(MAX_MEMBERS)).collect()
    }

    /// Adds a member. Whether it is new; an index from [`MAX_MEMBERS`] on is nobody's, and is not
    /// added.
    pub fn insert(&mut self, member: u32) -> bool {
        if member >= MAX_MEMBERS || self.contains(member) {
            return false;
        }
        let (byte, mask) = place(member);
        if self.0.len() <= byte {
            self.0.resize(byte.saturating_add(1), 0);
        }
        if let Some(bits) = self.0.get_mut(byte) {
            *bits |= mask;
        }
        true
    }

    /// Takes a member out. Whether it was there.
    pub fn remove(&mut self, member: u32) -> bool {
        let was = self.contains(member);
        let (byte, mask) = place(member);
        if let Some(bits) = self.0.get_mut(byte) {
            *bits &= !mask;
        }
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
        was
    }

    /// Whether a member is in it.
    #[must_use]
    pub fn contains(&self, member: u32) -> bool {
        let (byte, mask) = place(member);
        self.0.get(byte).is_some_and(|bits| bits & mask != 0)
    }

    /// How many members there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The members in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        let bytes = u32::try_from(self.0.len()).unwrap_or(0);
        (0..bytes.saturating_mul(8)).filter(|member| self.contains(*member))
    }

    /// Whether each member of this set is in the other.
    #[must_use]
    pub fn is_subset(&self, other: &Self) -> bool {
        self.iter().all(|member| other.contains(member))
    }

    /// Whether no member is in both.
    #[must_use]
    pub fn is_disjoint(&self, other: &Self) -> bool {
        !self.iter().any(|member| other.contains(member))
    }

    /// The byte form.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.clone()
    }

    /// Reads the byte form of a set over a list of this many members.
    pub fn from_bytes(bytes: &[u8], members: usize) -> Result<Self, PolicyError> {
        let refused = |reason| Err(PolicyError::Members { reason });
        let members = members.min(MAX_MEMBERS as usize);
        if bytes.len() > members.div_ceil(8) {
            return refused("it has more bytes than the list has members");
        }
        if bytes.last() == Some(&0) {
            return refused("it ends with a byte 0: leave that out");
        }
        let set = Self(bytes.to_vec());
        if set.iter().any(|member| member as usize >= members) {
            return refused("it names a member that the list does not have");
        }
        Ok(set)
    }

    /// The set of this number: member `i` is bit `i`.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        (0..64).filter(|member| bits.checked_shr(*member).unwrap_or(0) & 1 == 1).collect()
    }

    /// The number of this set, unless it has a member above 63.
    #[must_use]
    pub fn to_bits(&self) -> Option<u64> {
        let mut bytes = [0; 8];
        bytes.get_mut(..self.0.len())?.copy_from_slice(&self.0);
        Some(u64::from_le_bytes(bytes))
    }
}

impl FromIterator<u32> for Members {
    fn from_iter<I: IntoIterator<Item = u32>>(members: I) -> Self {
        let mut set = Self::new();
        set.extend(members);
        set
    }
}

impl Extend<u32> for Members {
    fn extend<I: IntoIterator<Item = u32>>(&mut self, members: I) {
        for member in members {
            self.insert(member);
        }
    }
}

impl fmt::Debug for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
