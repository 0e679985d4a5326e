//! Nodes as they are stored and sent: pages of sixteen slots, four levels of the binary tree each.
//!
//! A slot is empty, a leaf, or the way to a page further down. Leaves lie inside their parent's
//! page with both their hashes, so a page's hash and the place of each of its leaves can be checked
//! from the page alone. The encoding is canonical: one page, one byte string.
//!
//! The hash of a page is that of the binary tree over its slots, in which a subtree without keys
//! has the hash of emptiness and a subtree with a single leaf has that leaf's hash.

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

/// Sixteen neighbouring places of the tree, four levels below a common one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) slots: [Slot; SLOTS],
}

impl Page {
    pub(crate) const EMPTY: Self = Self { slots: [Slot::Empty; SLOTS] };

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
        let mut page = Self::EMPTY;
        for (n, slot) in page.slots.iter_mut().enumerate() {
            if (leaves >> n) & 1 == 1 {
                *slot = Slot::read_leaf(&mut rest)?;
            } else if (present >> n) & 1 == 1 {
                *slot = Slot::read_page(&mut rest)?;
            }
        }
        rest.is_empty().then_some(page)
    }

    pub(crate) fn hash(&self) -> Hash {
        self.subtree(0, SLOTS).hash
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
        let target = nibble(key, depth);
        let mut siblings = Vec::with_capacity(4);
        let (mut start, mut width) = (0, SLOTS);
        while width > 1 {
            width /= 2;
            let right = target >= start + width;
            siblings.push(self.subtree(if right { start } else { start + width }, width).hash);
            start += if right { width } else { 0 };
            match self.subtree(start, width).only {
                Only::Nothing => return (Slot::Empty, siblings),
                Only::Leaf(n) => return (self.slot(n), siblings),
                Only::More => {}
            }
        }
        (self.slot(target), siblings)
    }

    fn subtree(&self, start: usize, width: usize) -> Subtree {
        if width <= 1 {
            let slot = self.slot(start);
            let only = match slot {
                Slot::Empty => Only::Nothing,
                Slot::Leaf { .. } => Only::Leaf(start),
                Slot::Page { .. } => Only::More,
            };
            return Subtree { hash: slot.hash(), only };
        }
        let left = self.subtree(start, width / 2);
        let right = self.subtree(start + width / 2, width / 2);
        match (left.only, right.only) {
            (Only::Nothing, Only::Nothing | Only::Leaf(_)) => right,
            (Only::Leaf(_), Only::Nothing) => left,
            _ => Subtree { hash: inner_hash(&left.hash, &right.hash), only: Only::More },
        }
    }

    fn slot(&self, n: usize) -> Slot {
        self.slots.get(n).copied().unwrap_or(Slot::Empty)
    }
}

#[derive(Clone, Copy)]
struct Subtree {
    hash: Hash,
    only: Only,
}

#[derive(Clone, Copy)]
enum Only {
    Nothing,
    Leaf(usize),
    More,
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
    ) -> Result<Page, StorageError>;

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
