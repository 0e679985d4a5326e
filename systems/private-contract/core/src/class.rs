//! The class of a transaction: the first that holds.

use paralith_private_contract_messages::TransactionStatus;

/// What became of a transaction in a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Its wraps, its commitment, or its content's length, seal or encoding are false.
    Malformed = 1,
    /// Nobody had its content in time.
    Missing = 2,
    /// The contract refused it, or it trapped or ran out of gas.
    Failed = 3,
    /// It was executed.
    Executed = 4,
}

/// What a member knows of a content at the end of fetching.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentFound {
    /// Neither a member nor an origin has bytes of this hash.
    No,
    /// It has bytes of this hash, and their length, seal or encoding is false.
    Bad,
    /// It holds a call.
    Good,
}

impl Class {
    /// The class. All but [`Class::Missing`] follow from TX1 and the content alone.
    ///
    /// `wraps_right`: the own wrap opens, its commitment is the published one, and all wraps are those that
    /// the content key gives. `succeeded` is what executing the call gave; `begin_block` that failed makes
    /// every call fail.
    #[must_use]
    pub const fn of(wraps_right: bool, content: ContentFound, succeeded: bool) -> Self {
        match (wraps_right, content, succeeded) {
            (false, _, _) | (true, ContentFound::Bad, _) => Self::Malformed,
            (true, ContentFound::No, _) => Self::Missing,
            (true, ContentFound::Good, false) => Self::Failed,
            (true, ContentFound::Good, true) => Self::Executed,
        }
    }

    /// The transaction's status after a batch that ended YES.
    #[must_use]
    pub const fn status(self) -> TransactionStatus {
        match self {
            Self::Malformed => TransactionStatus::Malformed,
            Self::Missing => TransactionStatus::Expired,
            Self::Failed => TransactionStatus::Failed,
            Self::Executed => TransactionStatus::Yes,
        }
    }

    /// Whether its call ran, so that its payment went in.
    #[must_use]
    pub const fn ran(self) -> bool {
        matches!(self, Self::Failed | Self::Executed)
    }

    const fn bits(self) -> u8 {
        match self {
            Self::Malformed => 0,
            Self::Missing => 1,
            Self::Failed => 2,
            Self::Executed => 3,
        }
    }

    const fn from_bits(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::Malformed,
            1 => Self::Missing,
            2 => Self::Failed,
            _ => Self::Executed,
        }
    }
}

/// The classes of a batch's transactions, in order.
///
/// Byte form (PC-3): that of transaction i is bits 2 (i % 4) and 2 (i % 4) + 1, counted from the least significant,
/// of byte i / 4: 0 malformed, 1 missing, 2 failed, 3 executed. Bits that no transaction has are 0.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Classes(pub Vec<Class>);

impl Classes {
    /// The byte form.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let byte = |four: &[Class]| {
            let places = four.iter().zip([0_u32, 2, 4, 6]);
            places.fold(0_u8, |byte, (class, shift)| byte | (class.bits() << shift))
        };
        self.0.chunks(4).map(byte).collect()
    }

    /// Reads the byte form of so many classes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8], count: usize) -> Option<Self> {
        if bytes.len() != count.div_ceil(4) {
            return None;
        }
        let all = bytes
            .iter()
            .flat_map(|byte| [0_u32, 2, 4, 6].map(|shift| Class::from_bits(byte >> shift)));
        let classes = Self(all.take(count).collect());
        (classes.to_bytes() == bytes).then_some(classes)
    }
}
