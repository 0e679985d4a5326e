//! Refusals.

use crate::federation::Member;

/// Why something is refused. Most faults are the sender's of the value; the variant says whose it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CosignerError {
    /// Bytes that are no point (CO-1). The sender's fault.
    #[error("not the canonical encoding of a point of the group, or the identity")]
    Point,
    /// Bytes that are no scalar (CO-2). The sender's fault.
    #[error("not a scalar from 1 to the group's order, exclusive")]
    Scalar,
    /// Numbers outside of CO-3. The fault of the parameters.
    #[error("{threshold} of {members} members is outside of the limits")]
    Federation {
        /// N.
        members: u8,
        /// T.
        threshold: u8,
    },
    /// A member outside of 1..N.
    #[error("there is no member {number}")]
    NoSuchMember {
        /// The number.
        number: u64,
    },
    /// Not T members of the federation, each once.
    #[error("a set has {threshold} different members of the federation")]
    Set {
        /// T.
        threshold: u8,
    },
    /// A list of another length.
    #[error("{got} {what}, there must be {expected}")]
    Count {
        /// Of what.
        what: &'static str,
        /// How many there must be.
        expected: usize,
        /// How many there are.
        got: usize,
    },
    /// A place in a deal that no deal has.
    #[error("a deal has at most {limit} keys, there is no key {key}")]
    NoSuchKey {
        /// The most.
        limit: u8,
        /// The position asked for.
        key: u8,
    },
    /// A proof of possession that does not verify (CO-5). The dealer's fault.
    #[error("the proof of possession of dealer {dealer} is not valid")]
    Possession {
        /// The dealer.
        dealer: Member,
    },
    /// A share that its commitments do not show (CO-4). The fault of the dealer or the owner that sealed it.
    #[error("the share is not the one that the commitments commit to")]
    ShareDiffers,
    /// Fewer than T dealers, one twice, or deals of different keys.
    #[error("the deals are not those of {threshold} or more dealers, each once, for one key")]
    Dealers {
        /// T.
        threshold: u8,
    },
    /// A sum that is zero or the identity. Nobody's fault, and so rare that it is not seen.
    #[error("a sum is zero or the identity: draw the random values again")]
    Degenerate,
    /// A stored key that is damaged or made up (CO-6).
    #[error("the public shares are not those of one polynomial")]
    Inconsistent,
    /// The member is not in the set, or the session has another nonce of it (CO-9).
    #[error("member {member} has no part in this session with this nonce")]
    NotInSession {
        /// The member.
        member: Member,
    },
    /// A partial signature that does not verify (CO-8). The member's fault.
    #[error("the partial signature of member {member} is not valid")]
    Partial {
        /// The member.
        member: Member,
    },
    /// The answer does not belong to the challenge and the server key (CO-10).
    #[error("the answer is not the one of this session's challenge")]
    Answer,
    /// The owner's secret does not belong to the joint key (CO-10, CO-13).
    #[error("the owner's secret and the server key do not make the joint key")]
    JointKey,
    /// An opening that does not fit its record (CO-11). Whoever shows it is at fault.
    #[error("opening {number} does not give the recorded challenge")]
    Opening {
        /// Its position from 0.
        number: usize,
    },
    /// Two records opened to one signature (CO-12). Whoever shows them is at fault.
    #[error("the openings {first} and {second} stand for one signature")]
    OpenedTwice {
        /// Position of the first.
        first: usize,
        /// Position of the second.
        second: usize,
    },
    /// A signature that is not the auth key's (CO-14). The sender's fault.
    #[error("the authorisation is not signed by this key")]
    Authorisation,
    /// A released share that is not x_i (CO-13). The member's fault.
    #[error("the released share of member {member} is not the member's")]
    Released {
        /// The member.
        member: Member,
    },
}

impl CosignerError {
    /// The stable number of this error.
    #[must_use]
    pub fn code(&self) -> u32 {
        match self {
            Self::Point => 1,
            Self::Scalar => 2,
            Self::Federation { .. } => 3,
            Self::NoSuchMember { .. } => 4,
            Self::Set { .. } => 5,
            Self::Count { .. } => 6,
            Self::NoSuchKey { .. } => 7,
            Self::Possession { .. } => 8,
            Self::ShareDiffers => 9,
            Self::Dealers { .. } => 10,
            Self::Degenerate => 11,
            Self::Inconsistent => 12,
            Self::NotInSession { .. } => 13,
            Self::Partial { .. } => 14,
            Self::Answer => 15,
            Self::JointKey => 16,
            Self::Opening { .. } => 17,
            Self::OpenedTwice { .. } => 18,
            Self::Authorisation => 19,
            Self::Released { .. } => 20,
        }
    }
}
