//! The policy tree: encoding, validity, and the two questions that it answers.

use std::collections::BTreeSet;

use prost::Message;

use crate::{MAX_MEMBERS, Members, PolicyError, pb};

/// Deepest nesting; a member alone has depth 1.
pub const MAX_DEPTH: usize = 4;

/// Most nodes, members counted.
pub const MAX_NODES: usize = 512;

/// Longer than the encoding of any policy of [`MAX_NODES`] nodes (29 bytes each at most).
pub const MAX_ENCODED_BYTES: usize = 16 * 1024;

/// Who together may decide, over the indices of a list of members.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Policy {
    /// This member, by its index from 0.
    Member(u32),
    /// Children that weigh this much together, at least. All of n is n of n, any is 1 of n.
    AtLeast {
        /// The least weight.
        weight: u64,
        /// The children, each with its weight.
        of: Vec<(u32, Policy)>,
    },
}

impl Policy {
    /// All of these: a threshold of their number.
    #[must_use]
    pub fn all(of: Vec<Policy>) -> Self {
        let of: Vec<_> = of.into_iter().map(|child| (1, child)).collect();
        Self::AtLeast { weight: of.len() as u64, of }
    }

    /// This many of members 0 to `members - 1`.
    #[must_use]
    pub fn threshold(weight: u64, members: u32) -> Self {
        Self::AtLeast { weight, of: (0..members).map(|member| (1, Self::Member(member))).collect() }
    }

    /// Reads the canonical encoding.
    ///
    /// Refuses other encodings of the same policy, and what nests deeper than [`MAX_DEPTH`] or has
    /// more nodes than [`MAX_NODES`]. It does not ask whether the policy makes sense: that is
    /// [`Policy::check`], which knows the list of members.
    pub fn decode(bytes: &[u8]) -> Result<Self, PolicyError> {
        if bytes.len() > MAX_ENCODED_BYTES {
            return Err(PolicyError::TooLarge { limit: MAX_ENCODED_BYTES, got: bytes.len() });
        }
        let pb = pb::Policy::decode(bytes).map_err(|e| PolicyError::malformed(e.to_string()))?;
        let policy = Self::from_pb(&pb)?;
        if policy.encode() != bytes {
            return Err(PolicyError::NotCanonical);
        }
        Ok(policy)
    }

    /// The one encoding: the message `paralith.policy.v1.Policy` in canonical form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.to_pb().encode_to_vec()
    }

    /// The message, for messages that contain it.
    #[must_use]
    pub fn to_pb(&self) -> pb::Policy {
        let kind = match self {
            Self::Member(member) => pb::policy::Kind::Member(*member),
            Self::AtLeast { weight, of } => {
                let of = of.iter().map(|(weight, child)| pb::Weighted {
                    weight: *weight,
                    policy: Some(child.to_pb()),
                });
                pb::policy::Kind::AtLeast(pb::AtLeast { weight: *weight, of: of.collect() })
            }
        };
        pb::Policy { kind: Some(kind) }
    }

    /// The policy of a message that was part of another. Bounded as [`Policy::decode`]; that the
    /// bytes were canonical is for the outer message to check.
    pub fn from_pb(pb: &pb::Policy) -> Result<Self, PolicyError> {
        Self::read(pb, 1, &mut 0)
    }

    fn read(pb: &pb::Policy, depth: usize, nodes: &mut usize) -> Result<Self, PolicyError> {
        count(depth, nodes)?;
        match &pb.kind {
            None => Err(PolicyError::malformed("neither a member nor a threshold")),
            Some(pb::policy::Kind::Member(member)) => Ok(Self::Member(*member)),
            Some(pb::policy::Kind::AtLeast(pb::AtLeast { weight, of })) => {
                let children = of.iter().map(|child| {
                    let Some(policy) = &child.policy else {
                        return Err(PolicyError::malformed("a weight without a policy"));
                    };
                    Ok((child.weight, Self::read(policy, depth.saturating_add(1), nodes)?))
                });
                Ok(Self::AtLeast { weight: *weight, of: children.collect::<Result<_, _>>()? })
            }
        }
    }

    /// Whether it is a valid policy over a list of this many members.
    ///
    /// Each index exists; no weight and no threshold is 0; each threshold can be reached by all its
    /// children; no member stands twice directly under one threshold, since `2 of (a, a)` would be
    /// `a` alone. Then all members together satisfy it and no members do not.
    pub fn check(&self, members: usize) -> Result<(), PolicyError> {
        self.check_at(members, 1, &mut 0)
    }

    fn check_at(&self, members: usize, depth: usize, nodes: &mut usize) -> Result<(), PolicyError> {
        // PO-1
        count(depth, nodes)?;
        let (weight, of) = match self {
            Self::Member(member) => {
                let known = *member < MAX_MEMBERS && (*member as usize) < members;
                let error = PolicyError::NoSuchMember { member: *member, members };
                return if known { Ok(()) } else { Err(error) };
            }
            Self::AtLeast { weight, of } => (*weight, of),
        };
        if weight == 0 {
            return Err(PolicyError::ZeroThreshold);
        }
        let (mut sum, mut seen) = (0_u64, BTreeSet::new());
        for (weight, child) in of {
            if *weight == 0 {
                return Err(PolicyError::ZeroWeight);
            }
            if let Self::Member(member) = child
                && !seen.insert(*member)
            {
                return Err(PolicyError::Repeated { member: *member });
            }
            child.check_at(members, depth.saturating_add(1), nodes)?;
            sum = sum.saturating_add(u64::from(*weight));
        }
        if sum < weight {
            return Err(PolicyError::Unsatisfiable { weight, sum });
        }
        Ok(())
    }

    /// Whether these members together may decide. Monotone: what a set satisfies, every larger set
    /// satisfies too.
    #[must_use]
    pub fn satisfied(&self, yes: &Members) -> bool {
        match self {
            Self::Member(member) => yes.contains(*member),
            Self::AtLeast { weight, of } => {
                let satisfied = of.iter().filter(|(_, child)| child.satisfied(yes));
                let reached = satisfied.map(|(weight, _)| u64::from(*weight));
                reached.fold(0, u64::saturating_add) >= *weight
            }
        }
    }

    /// Whether it can still be satisfied when only these members, who have not decided otherwise,
    /// are left. As long as this set contains those who said yes, `satisfied` implies it.
    #[must_use]
    pub fn still_possible(&self, not_against: &Members) -> bool {
        self.satisfied(not_against)
    }

    /// The members that it names.
    #[must_use]
    pub fn members(&self) -> Members {
        let mut named = Members::new();
        self.collect(&mut named);
        named
    }

    fn collect(&self, named: &mut Members) {
        match self {
            Self::Member(member) => drop(named.insert(*member)),
            Self::AtLeast { of, .. } => of.iter().for_each(|(_, child)| child.collect(named)),
        }
    }
}

/// Counts one more node at this depth.
pub(crate) fn count(depth: usize, nodes: &mut usize) -> Result<(), PolicyError> {
    *nodes = nodes.saturating_add(1);
    if depth > MAX_DEPTH {
        return Err(PolicyError::TooDeep { limit: MAX_DEPTH });
    }
    if *nodes > MAX_NODES {
        return Err(PolicyError::TooManyNodes { limit: MAX_NODES });
    }
    Ok(())
}
