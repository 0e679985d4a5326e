//! Proofs that a key has a value under a root, or has none.
//!
//! A proof goes from the place where the key's way ends up to the root. That place holds the key's
//! own leaf, or another key's leaf (whose way is the same that far), or nothing. The bytes are
//! canonical: for a root, a key and a value there is one proof and it has one form.

use paralith_types::Hash;

use crate::hash::{EMPTY_ROOT, bit, common_bits, inner_hash, key_hash, leaf_hash, value_hash};
use crate::page::Slot;

/// Shows a key's value, or its absence, to somebody who knows the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    end: End,
    /// Hashes beside the way, from the root down. Emptiness is left out of the bytes.
    siblings: Vec<Hash>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Nothing,
    OwnLeaf,
    OtherLeaf { key: Hash, value: Hash },
}

/// Why a proof does not hold. The fault is its author's, or of the root it is held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The bytes are not the one form of a proof.
    #[error("not a proof")]
    Malformed,
    /// The proof is about presence where absence is claimed, or the other way round, or about a
    /// place where the key cannot be.
    #[error("the proof is not about this claim")]
    OtherClaim,
    /// The proof leads to another root.
    #[error("the proof leads to another root")]
    OtherRoot,
}

impl ProofError {
    /// The error's number, which never changes.
    pub fn code(&self) -> u32 {
        match self {
            Self::Malformed => 1,
            Self::OtherClaim => 2,
            Self::OtherRoot => 3,
        }
    }
}

impl Proof {
    /// No proof's bytes are longer.
    pub const MAX_BYTES: usize = 1 + 64 + 2 + DEPTH_MAX / 8 + DEPTH_MAX * 32;

    /// Shows of every key that the empty tree has no value of it.
    pub fn of_empty() -> Self {
        Self { end: End::Nothing, siblings: Vec::new() }
    }

    pub(crate) fn new(key: &Hash, leaf: Slot, siblings: Vec<Hash>) -> Self {
        let end = match leaf {
            Slot::Leaf { key: found, .. } if found == *key => End::OwnLeaf,
            Slot::Leaf { key, value } => End::OtherLeaf { key, value },
            Slot::Empty | Slot::Page { .. } => End::Nothing,
        };
        Self { end, siblings }
    }

    /// Holds if under `root` the key has this value, or (with none) no value.
    pub fn verify(&self, root: &Hash, key: &[u8], value: Option<&[u8]>) -> Result<(), ProofError> {
        let key = key_hash(key);
        // PF-1, PF-2, PF-3
        let start = match (self.end, value) {
            (End::OwnLeaf, Some(value)) => leaf_hash(&key, &value_hash(value)),
            (End::Nothing, None) => EMPTY_ROOT,
            (End::OtherLeaf { key: other, value }, None)
                if other != key && common_bits(&other, &key) >= self.siblings.len() =>
            {
                leaf_hash(&other, &value)
            }
            _ => return Err(ProofError::OtherClaim),
        };
        let reached =
            self.siblings.iter().enumerate().rev().fold(start, |hash, (depth, beside)| {
                if bit(&key, depth) { inner_hash(beside, &hash) } else { inner_hash(&hash, beside) }
            });
        if reached == *root { Ok(()) } else { Err(ProofError::OtherRoot) }
    }

    /// Kind, other leaf if there is one, number of levels, a bit for each level that has something
    /// beside the way (first level first), and the hashes of those.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self.end {
            End::Nothing => bytes.push(0),
            End::OwnLeaf => bytes.push(1),
            End::OtherLeaf { key, value } => {
                bytes.push(2);
                bytes.extend_from_slice(&key.0);
                bytes.extend_from_slice(&value.0);
            }
        }
        // There are never more than 256 levels.
        let depth = u16::try_from(self.siblings.len()).unwrap_or(u16::MAX);
        bytes.extend_from_slice(&depth.to_be_bytes());
        for eight in self.siblings.chunks(8) {
            let bits = eight.iter().enumerate().filter(|(_, hash)| **hash != EMPTY_ROOT);
            bytes.push(bits.fold(0, |byte, (n, _)| byte | (0x80 >> n)));
        }
        for hash in self.siblings.iter().filter(|hash| **hash != EMPTY_ROOT) {
            bytes.extend_from_slice(&hash.0);
        }
        bytes
    }

    /// Reads a proof, and only in the form that [`Self::to_bytes`] gives.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ProofError> {
        if bytes.len() > Self::MAX_BYTES {
            return Err(ProofError::Malformed);
        }
        let proof = Self::parse(bytes).ok_or(ProofError::Malformed)?;
        if proof.to_bytes() == bytes { Ok(proof) } else { Err(ProofError::Malformed) }
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        let (end, rest) = match kind {
            0 => (End::Nothing, rest),
            1 => (End::OwnLeaf, rest),
            2 => {
                let (key, rest) = rest.split_first_chunk::<32>()?;
                let (value, rest) = rest.split_first_chunk::<32>()?;
                (End::OtherLeaf { key: Hash(*key), value: Hash(*value) }, rest)
            }
            _ => return None,
        };
        let (depth, rest) = rest.split_first_chunk::<2>()?;
        let depth = usize::from(u16::from_be_bytes(*depth));
        if depth > DEPTH_MAX {
            return None;
        }
        let (bitmap, mut rest) = rest.split_at_checked(depth.div_ceil(8))?;
        let mut siblings = Vec::with_capacity(depth);
        for level in 0..depth {
            if bitmap.get(level / 8)? & (0x80 >> (level % 8)) == 0 {
                siblings.push(EMPTY_ROOT);
            } else {
                let (hash, after) = rest.split_first_chunk::<32>()?;
                siblings.push(Hash(*hash));
                rest = after;
            }
        }
        rest.is_empty().then_some(Self { end, siblings })
    }
}

/// Bits of a key.
const DEPTH_MAX: usize = 256;
