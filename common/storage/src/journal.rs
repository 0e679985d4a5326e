//! What a version changed: enough to prune what it made obsolete, and to take it back.

use crate::StorageError;
use crate::page::NodeId;

/// One version's journal. Deleted when no older version is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Journal {
    /// The version before it; none for the first.
    pub(crate) base: Option<u64>,
    /// How many pages it wrote.
    pub(crate) written: u32,
    /// The older pages that it does not use any more.
    pub(crate) replaced: Vec<NodeId>,
    /// The user keys that it set or removed.
    pub(crate) keys: Vec<Vec<u8>>,
}

impl Journal {
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, StorageError> {
        let count = |n: usize| {
            u32::try_from(n)
                .map(u32::to_be_bytes)
                .map_err(|_| StorageError::TooLarge { what: "a version's set of changes" })
        };
        let mut out = vec![u8::from(self.base.is_some())];
        out.extend_from_slice(&self.base.unwrap_or(0).to_be_bytes());
        out.extend_from_slice(&self.written.to_be_bytes());
        out.extend_from_slice(&count(self.replaced.len())?);
        for id in &self.replaced {
            out.extend_from_slice(&id.to_bytes());
        }
        for key in &self.keys {
            out.extend_from_slice(&count(key.len())?);
            out.extend_from_slice(key);
        }
        Ok(out)
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, StorageError> {
        Self::parse(bytes).ok_or_else(|| StorageError::corrupt("a journal of unknown form"))
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (has_base, rest) = bytes.split_first()?;
        let (base, rest) = rest.split_first_chunk::<8>()?;
        let (written, mut rest) = take_u32(rest)?;
        let base = (*has_base == 1).then(|| u64::from_be_bytes(*base));
        let (replaced_count, after) = take_u32(rest)?;
        rest = after;
        let mut replaced = Vec::new();
        for _ in 0..replaced_count {
            let (id, after) = rest.split_first_chunk::<{ NodeId::LEN }>()?;
            replaced.push(NodeId::from_bytes(id)?);
            rest = after;
        }
        let mut keys = Vec::new();
        while !rest.is_empty() {
            let (len, after) = take_u32(rest)?;
            let (key, after) = after.split_at_checked(usize::try_from(len).ok()?)?;
            keys.push(key.to_vec());
            rest = after;
        }
        Some(Self { base, written, replaced, keys })
    }
}

fn take_u32(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*number), rest))
}
