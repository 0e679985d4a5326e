//! The tree for somebody who trusts a root and nobody's disk: an enclave and its host.
//!
//! Every node is checked against the hash that its parent gives for it, from the root down, and
//! every value against its leaf. A source can refuse to answer, but whatever it answers, a value
//! that comes out is the one under the root, "absent" is the truth, and [`VerifiedTree::root_after`]
//! gives the root that honest replicas get.

use std::fmt;
use std::sync::Arc;

use paralith_types::Hash;

use crate::cache::{VerifiedPages, VerifiedValues};
use crate::hash::{EMPTY_ROOT, key_hash, nibble, value_hash};
use crate::page::{MAX_DEPTH, MAX_NODE_BYTES, NodeId, Page, Pages, Slot};
use crate::update::{Update, update};
use crate::{Changes, StorageError};

/// Where nodes and values come from. What it says is not believed.
pub trait NodeSource {
    /// The node with this id: eight bytes name a version's root, twelve a page. The bytes are as
    /// the tree stores them, at most [`crate::MAX_NODE_BYTES`].
    fn node(&mut self, id: &[u8]) -> Result<Option<Vec<u8>>, StorageError>;

    /// The value of a key at the version that is read.
    fn value(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError>;
}

/// One version of a tree, read through a source that is not believed.
pub struct VerifiedTree<S> {
    source: S,
    version: u64,
    root: Hash,
    /// The root's node, once it was verified.
    root_slot: Option<Slot>,
    /// The root that the last changes lead to, and the version they were for.
    computed: Option<(u64, Slot)>,
    pages: VerifiedPages,
    values: VerifiedValues,
}

impl<S: NodeSource> VerifiedTree<S> {
    /// Reads under this root, which the caller knows to be the version's.
    pub fn new(source: S, version: u64, root: Hash) -> Self {
        let (pages, values) = Default::default();
        Self { source, version, root, root_slot: None, computed: None, pages, values }
    }

    /// The same with room for another number of pages (of about two kilobytes) in the cache.
    pub fn with_cache(source: S, version: u64, root: Hash, pages_max: usize) -> Self {
        Self::new(source, version, root).with_pages(VerifiedPages::new(pages_max))
    }

    /// Shares verified pages with other trees.
    #[must_use]
    pub fn with_pages(self, pages: VerifiedPages) -> Self {
        Self { pages, ..self }
    }

    /// Shares verified values with other trees.
    #[must_use]
    pub fn with_values(self, values: VerifiedValues) -> Self {
        Self { values, ..self }
    }

    /// The version that is read.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The root that everything is checked against.
    pub fn root(&self) -> Hash {
        self.root
    }

    /// The source, to set which version is read.
    pub fn source_mut(&mut self) -> &mut S {
        &mut self.source
    }

    /// Goes on to another version, whose root the caller knows. Verified pages stay verified.
    pub fn advance(&mut self, version: u64, root: Hash) {
        self.root_slot = self
            .computed
            .take()
            .filter(|(at, slot)| *at == version && slot.hash() == root)
            .map(|(_, slot)| slot);
        (self.version, self.root) = (version, root);
    }

    /// The value of a key.
    pub fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        let hashed = key_hash(key);
        let mut slot = self.verified_root()?;
        for depth in 0..MAX_DEPTH {
            let Slot::Page { hash, id } = slot else { break };
            let page = self.source_of_pages().page(&hash, id, &hashed, depth)?;
            slot = page.slots().get(nibble(&hashed, depth)).copied().unwrap_or(Slot::Empty);
        }
        match slot {
            Slot::Leaf { key: found, value } if found == hashed => {
                if let Some(bytes) = self.values.get(&value) {
                    return Ok(Some(bytes));
                }
                let bytes =
                    self.source.value(key)?.ok_or(StorageError::Missing { what: "a value" })?;
                // ST-12: a value counts only under the hash that its leaf gives.
                if value_hash(&bytes) != value {
                    return Err(StorageError::Unverifiable { what: "value" });
                }
                self.values.insert(value, &bytes);
                Ok(Some(bytes))
            }
            Slot::Empty | Slot::Leaf { .. } => Ok(None),
            Slot::Page { .. } => Err(StorageError::Unverifiable { what: "path" }),
        }
    }

    /// The root that these changes lead to: the one of [`crate::Tree::prepare`].
    pub fn root_after(
        &mut self,
        next_version: u64,
        changes: &Changes,
    ) -> Result<Hash, StorageError> {
        if next_version <= self.version && self.root != EMPTY_ROOT {
            return Err(StorageError::NotAfter { version: next_version, latest: self.version });
        }
        let root = self.verified_root()?;
        let Update { root, written, .. } =
            update(&mut self.source_of_pages(), root, next_version, changes)?;
        for (hash, page) in written {
            self.pages.insert(hash, page);
        }
        // Most of what a version writes, the next one reads.
        for value in changes.values().flatten() {
            self.values.insert(value_hash(value), value);
        }
        self.computed = Some((next_version, root));
        Ok(root.hash())
    }

    fn verified_root(&mut self) -> Result<Slot, StorageError> {
        if self.root == EMPTY_ROOT {
            return Ok(Slot::Empty);
        }
        if let Some(slot) = self.root_slot {
            return Ok(slot);
        }
        let bytes = self
            .source
            .node(&self.version.to_be_bytes())?
            .ok_or(StorageError::Missing { what: "a root" })?;
        let slot = Slot::from_bytes(&bytes)
            .filter(|slot| slot.hash() == self.root)
            .ok_or(StorageError::Unverifiable { what: "root" })?;
        self.root_slot = Some(slot);
        Ok(slot)
    }

    fn source_of_pages(&mut self) -> PageSource<'_, S> {
        PageSource { source: &mut self.source, verified: &self.pages }
    }
}

impl<S> fmt::Debug for VerifiedTree<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedTree")
            .field("version", &self.version)
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

struct PageSource<'a, S> {
    source: &'a mut S,
    verified: &'a VerifiedPages,
}

impl<S: NodeSource> Pages for PageSource<'_, S> {
    fn page(
        &mut self,
        hash: &Hash,
        id: NodeId,
        path: &Hash,
        depth: usize,
    ) -> Result<Arc<Page>, StorageError> {
        if let Some(page) = self.verified.page(hash) {
            return Ok(page);
        }
        let bytes =
            self.source.node(&id.to_bytes())?.ok_or(StorageError::Missing { what: "a page" })?;
        if bytes.len() > MAX_NODE_BYTES {
            return Err(StorageError::Unverifiable { what: "page" });
        }
        // The hash binds what the leaves are, and the path binds where they have to be.
        let page = Page::from_bytes(&bytes)
            .filter(|page| {
                depth < MAX_DEPTH && page.hash() == *hash && page.is_on_path(path, depth)
            })
            .map(Arc::new)
            .ok_or(StorageError::Unverifiable { what: "page" })?;
        self.verified.insert(*hash, page.clone());
        Ok(page)
    }

    fn confirm_page(
        &mut self,
        hash: &Hash,
        id: NodeId,
        path: &Hash,
        depth: usize,
    ) -> Result<(), StorageError> {
        self.page(hash, id, path, depth).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::SLOTS;
    use crate::{Kv, LocalSource, Tree, WriteBatch};

    /// Tells lies that leave a page's hash as it is, and its depths apart.
    struct Rearranging {
        source: LocalSource,
        /// Which slot of every page is lied about.
        slot: usize,
        /// Where to: the same slot hides its leaf as a page, another one takes the leaf over.
        to: usize,
    }

    impl NodeSource for Rearranging {
        fn node(&mut self, id: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
            let Some(bytes) = self.source.node(id)? else { return Ok(None) };
            let Some(page) = Page::from_bytes(&bytes).filter(|_| id.len() == NodeId::LEN) else {
                return Ok(Some(bytes));
            };
            let mut slots = *page.slots();
            let leaf = slots[self.slot];
            if self.to == self.slot && matches!(leaf, Slot::Leaf { .. }) {
                let id = NodeId { version: 1, index: 0 };
                slots[self.slot] = Slot::Page { hash: leaf.hash(), id };
            } else if slots[self.to] == Slot::Empty {
                slots.swap(self.slot, self.to);
            }
            Ok(Some(Page::new(slots).to_bytes()))
        }

        fn value(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
            self.source.value(key)
        }
    }

    #[test]
    fn a_page_rearranged_under_the_same_hash_is_caught_where_it_matters() {
        let (mut caught, mut harmless, mut false_pages) = (0, 0, 0);
        for keys in 2..14u8 {
            let tree = Tree::new(Kv::memory(), b"a");
            let changes = (0..keys).map(|n| (vec![n], Some(vec![n]))).collect();
            let prepared = tree.prepare(None, 1, &changes).unwrap();
            let root = prepared.root();
            tree.commit(prepared, WriteBatch::new(), crate::Durability::Lazy).unwrap();

            for (slot, to) in (0..SLOTS).flat_map(|slot| (0..SLOTS).map(move |to| (slot, to))) {
                let lie = || {
                    let source = Rearranging { source: tree.node_source(1), slot, to };
                    VerifiedTree::new(source, 1, root)
                };
                for n in 0..keys + 4 {
                    if let Ok(value) = lie().get(&[n]) {
                        assert_eq!(value, (n < keys).then(|| vec![n]), "{slot} to {to}");
                    }
                    let next = Changes::from([(vec![n], (n >= keys).then(|| vec![n]))]);
                    let truth = tree.prepare(Some(1), 2, &next).unwrap().root();
                    match lie().root_after(2, &next) {
                        Ok(root) => {
                            assert_eq!(root, truth, "{keys} keys, {n}, {slot} to {to}");
                            harmless += 1;
                        }
                        Err(StorageError::Missing { .. } | StorageError::Unverifiable { .. }) => {
                            caught += 1;
                            false_pages += usize::from(slot == to);
                        }
                        Err(other) => panic!("{other}"),
                    }
                }
            }
        }
        // Each kind of lie was told, and some were caught.
        assert!(caught > 0 && harmless > 0 && false_pages > 0);
    }
}
