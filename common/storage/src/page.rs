//! Nodes as they are stored and sent: pages of sixteen slots, four levels of the binary tree each.
//!
//! A slot is empty, a leaf, or the way to a page further down. Leaves lie inside their parent's
//! page with both their hashes, so a page's hash and the place of each of its leaves can be checked
//! from the page alone. The encoding is canonical: one page, one byte string.
//!
//! The hash of a page is that of the binary tree over its slots, in which a subtree without keys
//! has the hash of emptiness and a subtree with a single leaf has that leaf's hash.

use std::sync::Arc;

use paralith_types::Hash;

use crate::StorageError;
use crate::hash::{EMPTY_ROOT, inner_hash, leaf_hash, nibble};

/// No encoded node is longer.
pub const MAX_NODE_BYTES: usize = 4 + SLOTS * LEAF_BYTES;

/// Pages on the way to a leaf, at most: a key has 256 bits, a page consumes four.
pub(crate) const MAX_DEPTH: usize = 64;

pub(crate) const SLOTS: usize = 16;

/// Where a page is stored: the version that wrote it, and its number among that version's pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NodeId {
    pub(crate) version: u64,
    pub(crate) index: u32,
}

impl NodeId {
    pub(crate) const LEN: usize = 12;

    pub(crate) fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..8].copy_from_slice(&self.version.to_be_bytes());
        bytes[8..].copy_from_slice(&self.index.to_be_bytes());
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (version, index) = bytes.split_first_chunk::<8>()?;
        Some(Self {
            version: u64::from_be_bytes(*version),
            index: u32::from_be_bytes(index.try_into().ok()?),
        })
    }
}

/// What is at one place of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    Empty,
    Leaf { key: Hash, value: Hash },
    Page { hash: Hash, id: NodeId },
}

impl Slot {
    pub(crate) fn hash(&self) -> Hash {
        match self {
            Self::Empty => EMPTY_ROOT,
            Self::Leaf { key, value } => leaf_hash(key, value),
            Self::Page { hash, .. } => *hash,
        }
    }

    /// The form in which a version's root is stored and sent.
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = vec![match self {
            Self::Empty => 0,
            Self::Leaf { .. } => 1,
            Self::Page { .. } => 2,
        }];
        self.write(&mut bytes);
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (tag, mut rest) = bytes.split_first()?;
        let slot = match tag {
            0 => Self::Empty,
            1 => Self::read_leaf(&mut rest)?,
            2 => Self::read_page(&mut rest)?,
            _ => return None,
        };
        rest.is_empty().then_some(slot)
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Empty => {}
            Self::Leaf { key, value } => {
                out.extend_from_slice(&key.0);
                out.extend_from_slice(&value.0);
            }
            Self::Page { hash, id } => {
                out.extend_from_slice(&hash.0);
                out.extend_from_slice(&id.to_bytes());
            }
        }
    }

    fn read_leaf(from: &mut &[u8]) -> Option<Self> {
        Some(Self::Leaf { key: take_hash(from)?, value: take_hash(from)? })
    }

    fn read_page(from: &mut &[u8]) -> Option<Self> {
        let hash = take_hash(from)?;
        // A page is never empty. Without this line a liar could put an empty place's hash under
        // the name of a page.
        if hash == EMPTY_ROOT {
            return None;
        }
        let (id, rest) = from.split_first_chunk::<{ NodeId::LEN }>()?;
        *from = rest;
        Some(Self::Page { hash, id: NodeId::from_bytes(id)? })
    }
}

fn take_hash(from: &mut &[u8]) -> Option<Hash> {
    let (hash, rest) = from.split_first_chunk::<32>()?;
    *from = rest;
    Some(Hash(*hash))
}

/// Sixteen neighbouring places of the tree, four levels below a common one, with the hashes of the
/// binary tree over them.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    slots: [Slot; SLOTS],
    /// The binary tree: 1 is its top, 2n and 2n + 1 are below n, and what would be 16 to 31 are
    /// the slots.
    inner: [Subtree; SLOTS],
}

impl Page {
    pub(crate) fn new(slots: [Slot; SLOTS]) -> Self {
        let mut page = Self { slots, inner: [Subtree::EMPTY; SLOTS] };
        for n in (1..SLOTS).rev() {
            page.inner[n] = Subtree::over(page.subtree(2 * n), page.subtree(2 * n + 1));
        }
        page
    }

    /// This page with other slots: only what lies over a changed one is hashed again.
    pub(crate) fn with_slots(&self, slots: [Slot; SLOTS]) -> Self {
        let mut page = Self { slots, inner: self.inner };
        let mut changed = [false; 2 * SLOTS];
        for (n, (before, after)) in self.slots.iter().zip(&page.slots).enumerate() {
            changed[SLOTS + n] = before != after;
        }
        for n in (1..SLOTS).rev() {
            if changed[2 * n] || changed[2 * n + 1] {
                changed[n] = true;
                page.inner[n] = Subtree::over(page.subtree(2 * n), page.subtree(2 * n + 1));
            }
        }
        page
    }

    pub(crate) fn slots(&self) -> &[Slot; SLOTS] {
        &self.slots
    }

    pub(crate) fn hash(&self) -> Hash {
        self.inner[1].hash
    }

    /// Presence bitmap, leaf bitmap, then the present slots in order.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let (mut present, mut leaves) = (0u16, 0u16);
        for (n, slot) in self.slots.iter().enumerate() {
            present |= u16::from(!matches!(slot, Slot::Empty)) << n;
            leaves |= u16::from(matches!(slot, Slot::Leaf { .. })) << n;
        }
        let mut bytes = Vec::with_capacity(4 + present.count_ones() as usize * LEAF_BYTES);
        bytes.extend_from_slice(&present.to_be_bytes());
        bytes.extend_from_slice(&leaves.to_be_bytes());
        for slot in &self.slots {
            slot.write(&mut bytes);
        }
        bytes
    }

    /// Reads one page. Refuses every other form than [`Self::to_bytes`] gives, and a page that
    /// would not exist: empty, or with a single leaf, which belongs one level higher.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (present, rest) = bytes.split_first_chunk::<2>()?;
        let (leaves, mut rest) = rest.split_first_chunk::<2>()?;
        let (present, leaves) = (u16::from_be_bytes(*present), u16::from_be_bytes(*leaves));
        if leaves & !present != 0 || present == 0 || (present.count_ones() == 1 && leaves != 0) {
            return None;
        }
        let mut slots = [Slot::Empty; SLOTS];
        for (n, slot) in slots.iter_mut().enumerate() {
            if (leaves >> n) & 1 == 1 {
                *slot = Slot::read_leaf(&mut rest)?;
            } else if (present >> n) & 1 == 1 {
                *slot = Slot::read_page(&mut rest)?;
            }
        }
        rest.is_empty().then(|| Self::new(slots))
    }

    /// Whether each leaf is where its key says, for a page that hangs at `depth` on the path of
    /// `path`.
    pub(crate) fn is_on_path(&self, path: &Hash, depth: usize) -> bool {
        self.slots.iter().enumerate().all(|(n, slot)| match slot {
            Slot::Leaf { key, .. } => {
                nibble(key, depth) == n && (0..depth).all(|d| nibble(key, d) == nibble(path, d))
            }
            Slot::Empty | Slot::Page { .. } => true,
        })
    }

    /// What a key meets in this page, and the hashes beside its way, top level first.
    pub(crate) fn descend(&self, key: &Hash, depth: usize) -> (Slot, Vec<Hash>) {
        let target = SLOTS + nibble(key, depth);
        let mut siblings = Vec::with_capacity(4);
        for height in (0..4).rev() {
            let n = target >> height;
            siblings.push(self.subtree(n ^ 1).hash);
            match self.subtree(n).only {
                Only::Nothing => return (Slot::Empty, siblings),
                Only::Leaf(slot) => return (self.slots[slot], siblings),
                Only::More => {}
            }
        }
        (self.slots[target - SLOTS], siblings)
    }

    /// The n-th node of the binary tree, `n` from 1 to 31.
    fn subtree(&self, n: usize) -> Subtree {
        if n < SLOTS {
            return self.inner[n];
        }
        let slot = &self.slots[n - SLOTS];
        let only = match slot {
            Slot::Empty => Only::Nothing,
            Slot::Leaf { .. } => Only::Leaf(n - SLOTS),
            Slot::Page { .. } => Only::More,
        };
        Subtree { hash: slot.hash(), only }
    }
}

#[derive(Debug, Clone, Copy)]
struct Subtree {
    hash: Hash,
    only: Only,
}

/// What a subtree holds: nothing, the leaf of one slot alone, or more (a page is always more).
#[derive(Debug, Clone, Copy)]
enum Only {
    Nothing,
    Leaf(usize),
    More,
}

impl Subtree {
    const EMPTY: Self = Self { hash: EMPTY_ROOT, only: Only::Nothing };

    fn over(left: Self, right: Self) -> Self {
        match (left.only, right.only) {
            (Only::Nothing, Only::Nothing | Only::Leaf(_)) => right,
            (Only::Leaf(_), Only::Nothing) => left,
            _ => Self { hash: inner_hash(&left.hash, &right.hash), only: Only::More },
        }
    }
}

/// Where pages come from: the local store, which is believed, or a host, which is not.
pub(crate) trait Pages {
    /// The page with this hash and id, which hangs at `depth` on the path of `path`.
    fn page(
        &mut self,
        hash: &Hash,
        id: NodeId,
        path: &Hash,
        depth: usize,
    ) -> Result<Arc<Page>, StorageError>;

    /// Makes sure that a slot which says that it leads to a page does not hide a leaf.
    ///
    /// A parent's hash does not tell the two apart as long as the slot's neighbour is taken. When
    /// the neighbour goes, a leaf would rise and a page would not.
    fn confirm_page(
        &mut self,
        hash: &Hash,
        id: NodeId,
        path: &Hash,
        depth: usize,
    ) -> Result<(), StorageError>;
}

/// Walks from the root towards a key: what is there, and the hashes beside the way, top first.
pub(crate) fn walk(
    pages: &mut impl Pages,
    root: Slot,
    key: &Hash,
) -> Result<(Slot, Vec<Hash>), StorageError> {
    let (mut slot, mut siblings) = (root, Vec::new());
    for depth in 0..MAX_DEPTH {
        let Slot::Page { hash, id } = slot else { break };
        let (next, beside) = pages.page(&hash, id, key, depth)?.descend(key, depth);
        siblings.extend(beside);
        slot = next;
    }
    match slot {
        Slot::Page { .. } => Err(StorageError::Unverifiable { what: "path: longer than a key" }),
        Slot::Empty | Slot::Leaf { .. } => Ok((slot, siblings)),
    }
}

const LEAF_BYTES: usize = 64;
