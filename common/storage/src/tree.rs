//! A map with versions: each version has a root hash, and every kept version can be read.
//!
//! * Versions only grow, but need not be contiguous. A version is made from the latest one.
//! * [`Tree::prepare`] computes; [`Tree::commit`] writes everything in one batch, together with
//!   whatever else has to happen at the same moment.
//! * There is one writer. Readers in other threads may go on while it writes and prunes: a read of
//!   a version that is pruned meanwhile gives [`StorageError::VersionMissing`], never a wrong value.
//!   [`Tree::rollback`] is for a start: nobody may read meanwhile.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use paralith_types::Hash;

use crate::cache::PageCache;
use crate::flat;
use crate::hash::key_hash;
use crate::journal::Journal;
use crate::page::{MAX_DEPTH, NodeId, Page, Pages, Slot, walk};
use crate::update::{Update, update};
use crate::{Column, Durability, Kv, NodeSource, Pair, Proof, StorageError, WriteBatch};

/// New values of keys; none means that the key goes.
pub type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// A handle on one tree in a store; clones share its cache of pages.
#[derive(Debug, Clone)]
pub struct Tree {
    kv: Kv,
    prefix: Arc<[u8]>,
    cache: Arc<Mutex<PageCache>>,
}

/// A computed version that is not written yet.
#[derive(Debug, Clone)]
pub struct Prepared {
    base: Option<u64>,
    version: u64,
    root: Slot,
    written: Vec<(Hash, Arc<Page>)>,
    /// Pages of the base that are not used any more.
    replaced: Vec<Hash>,
    journal: Journal,
    /// Changes that have an effect; a key's value in the base is in `previous`, in the same order.
    changes: Changes,
    previous: Vec<Option<flat::Set>>,
}

impl Prepared {
    /// The root hash that the version will have.
    pub fn root(&self) -> Hash {
        self.root.hash()
    }

    /// The version that it is made from; none: the empty map.
    pub fn base(&self) -> Option<u64> {
        self.base
    }

    /// The version that it will be.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The changes that it makes: those that differ from the base.
    pub fn changes(&self) -> &Changes {
        &self.changes
    }
}

impl Tree {
    /// The tree of this namespace in this store. Different namespaces never meet.
    pub fn new(kv: Kv, namespace: &[u8]) -> Self {
        let prefix = flat::entry_prefix(&[], namespace).into();
        Self { kv, prefix, cache: Arc::new(Mutex::new(PageCache::new(CACHED_PAGES))) }
    }

    /// The store that the tree is in.
    pub fn kv(&self) -> &Kv {
        &self.kv
    }

    /// The latest version and its root; none if nothing was ever committed.
    pub fn latest(&self) -> Result<Option<(u64, Hash)>, StorageError> {
        Ok(self.last_version(u64::MAX)?.map(|(version, root)| (version, root.hash())))
    }

    /// The oldest version that is kept.
    pub fn oldest(&self) -> Result<Option<u64>, StorageError> {
        let found = self.kv.prefix(Column::Nodes, &self.key(VERSION, &[]), None, 1)?;
        found.first().map(|(key, _)| version_of(key)).transpose()
    }

    /// The newest kept version up to `bound`, and its root.
    pub fn at_most(&self, bound: u64) -> Result<Option<(u64, Hash)>, StorageError> {
        Ok(self.last_version(bound)?.map(|(version, root)| (version, root.hash())))
    }

    /// Up to `limit` kept versions, the oldest first.
    pub fn versions(&self, limit: usize) -> Result<Vec<u64>, StorageError> {
        let found = self.kv.prefix(Column::Nodes, &self.key(VERSION, &[]), None, limit)?;
        found.iter().map(|(key, _)| version_of(key)).collect()
    }

    /// The root of a version, if it is kept.
    pub fn root(&self, version: u64) -> Result<Option<Hash>, StorageError> {
        Ok(self.root_slot(version)?.map(|slot| slot.hash()))
    }

    /// The value of a key as of a kept version.
    pub fn get(&self, version: u64, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        let found = flat::get(&self.kv, &self.prefix, key, version);
        Ok(self.while_kept(version, found)?.map(|(_, value)| value))
    }

    /// Up to `limit` keys that begin with `prefix` and come after `start_after`, with their values
    /// as of a kept version, in the order of keys.
    pub fn scan(
        &self,
        version: u64,
        prefix: &[u8],
        start_after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Pair>, StorageError> {
        if self.is_latest(version)? {
            let found = flat::scan_latest(&self.kv, &self.prefix, prefix, start_after, limit);
            // Still the latest after everything was read: nothing newer was seen.
            if self.is_latest(version)? {
                return found;
            }
        }
        let found = flat::scan(&self.kv, &self.prefix, version, prefix, start_after, limit);
        self.while_kept(version, found)
    }

    /// Computes the version that `changes` make of `base` (none: of the empty map), and writes
    /// nothing. Changes without effect leave the root as it is.
    pub fn prepare(
        &self,
        base: Option<u64>,
        version: u64,
        changes: &Changes,
    ) -> Result<Prepared, StorageError> {
        check_sizes(changes)?;
        let root = match base {
            Some(latest) if version <= latest => {
                return Err(StorageError::NotAfter { version, latest });
            }
            Some(base) => {
                self.root_slot(base)?.ok_or(StorageError::VersionMissing { version: base })?
            }
            None => Slot::Empty,
        };
        let (changes, previous) = self.effective(base, changes)?;
        let Update { root, written, replaced } =
            update(&mut LocalPages { tree: self }, root, version, &changes)?;
        let journal = Journal {
            base,
            written: u32::try_from(written.len())
                .map_err(|_| StorageError::TooLarge { what: "a version's set of pages" })?,
            replaced: replaced.iter().map(|(_, id)| *id).collect(),
            keys: changes.keys().cloned().collect(),
        };
        let replaced = replaced.into_iter().map(|(hash, _)| hash).collect();
        Ok(Prepared { base, version, root, written, replaced, journal, changes, previous })
    }

    /// The changes that differ from the base, and what each of their keys has there.
    fn effective(
        &self,
        base: Option<u64>,
        changes: &Changes,
    ) -> Result<(Changes, Vec<Option<flat::Set>>), StorageError> {
        let (mut effective, mut values) = (Changes::new(), Vec::new());
        for (key, value) in changes {
            let previous = match base {
                Some(base) => flat::get(&self.kv, &self.prefix, key, base)?,
                None => None,
            };
            // ST-7: what changes nothing is written nowhere.
            if previous.as_ref().map(|(_, value)| value) != value.as_ref() {
                effective.insert(key.clone(), value.clone());
                values.push(previous);
            }
        }
        Ok((effective, values))
    }

    /// Writes a prepared version and `extra` in one batch. The base must still be the latest.
    pub fn commit(
        &self,
        prepared: Prepared,
        extra: WriteBatch,
        durability: Durability,
    ) -> Result<(), StorageError> {
        let Prepared { base, version, root, written, replaced, journal, changes, previous } =
            prepared;
        let latest = self.last_version(u64::MAX)?.map(|(version, _)| version);
        if latest != base {
            return Err(StorageError::BaseMoved { base, latest });
        }
        let mut batch = WriteBatch::new();
        for (index, (_, page)) in (0..).zip(&written) {
            batch.put(Column::Nodes, self.page_key(NodeId { version, index }), page.to_bytes());
        }
        batch.put(Column::Nodes, self.key(VERSION, &version.to_be_bytes()), root.to_bytes());
        batch.put(Column::Nodes, self.key(JOURNAL, &version.to_be_bytes()), journal.to_bytes()?);
        for ((key, value), previous) in changes.iter().zip(&previous) {
            let value = value.as_deref();
            flat::write(&mut batch, &self.prefix, key, version, previous.as_ref(), value);
        }
        batch.append(extra);
        self.kv.write(batch, durability)?;

        let mut cache = self.cache();
        for hash in replaced {
            cache.remove(&hash);
        }
        for (hash, page) in written {
            cache.insert(hash, page);
        }
        Ok(())
    }

    /// The value of a key as of a kept version, with the proof that it is the one (or that there
    /// is none) under that version's root.
    pub fn prove(
        &self,
        version: u64,
        key: &[u8],
    ) -> Result<(Option<Vec<u8>>, Proof), StorageError> {
        let root = self.root_slot(version)?.ok_or(StorageError::VersionMissing { version })?;
        let hashed = key_hash(key);
        let walked = walk(&mut LocalPages { tree: self }, root, &hashed);
        let (leaf, siblings) = self.while_kept(version, walked)?;
        let value = self.get(version, key)?;
        let proof = Proof::new(&hashed, leaf, siblings);
        proof
            .verify(&root.hash(), key, value.as_deref())
            .map_err(|_| StorageError::corrupt("a value and the tree disagree"))?;
        Ok((value, proof))
    }

    /// Answers [`NodeSource`] for a [`crate::VerifiedTree`] at this version.
    pub fn node_source(&self, version: u64) -> LocalSource {
        LocalSource { tree: self.clone(), version }
    }

    pub(crate) fn root_slot(&self, version: u64) -> Result<Option<Slot>, StorageError> {
        let stored = self.kv.get(Column::Nodes, &self.key(VERSION, &version.to_be_bytes()))?;
        stored.as_deref().map(root_from).transpose()
    }

    pub(crate) fn last_version(&self, bound: u64) -> Result<Option<(u64, Slot)>, StorageError> {
        let bound = self.key(VERSION, &bound.to_be_bytes());
        match self.kv.last(Column::Nodes, &self.key(VERSION, &[]), &bound)? {
            Some((key, root)) => Ok(Some((version_of(&key)?, root_from(&root)?))),
            None => Ok(None),
        }
    }

    fn is_latest(&self, version: u64) -> Result<bool, StorageError> {
        Ok(self.last_version(u64::MAX)?.is_some_and(|(latest, _)| latest == version))
    }

    pub(crate) fn key(&self, kind: u8, rest: &[u8]) -> Vec<u8> {
        [&self.prefix, [kind].as_slice(), rest].concat()
    }

    pub(crate) fn page_key(&self, id: NodeId) -> Vec<u8> {
        self.key(PAGE, &id.to_bytes())
    }

    pub(crate) fn prefix(&self) -> &[u8] {
        &self.prefix
    }

    /// Pruning removes a version's record before anything else of it, so what was read before the
    /// record was seen here was read whole.
    fn while_kept<T>(
        &self,
        version: u64,
        result: Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        // ST-11: the record is read last.
        let record = self.kv.get(Column::Nodes, &self.key(VERSION, &version.to_be_bytes()))?;
        record.ok_or(StorageError::VersionMissing { version })?;
        result
    }

    fn cache(&self) -> MutexGuard<'_, PageCache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Pages of the local store, which are believed.
struct LocalPages<'a> {
    tree: &'a Tree,
}

impl Pages for LocalPages<'_> {
    fn page(
        &mut self,
        hash: &Hash,
        id: NodeId,
        _path: &Hash,
        depth: usize,
    ) -> Result<Arc<Page>, StorageError> {
        if depth >= MAX_DEPTH {
            return Err(StorageError::corrupt("a path longer than a key"));
        }
        if let Some(page) = self.tree.cache().page(hash) {
            return Ok(page);
        }
        let stored = self.tree.kv.get(Column::Nodes, &self.tree.page_key(id))?;
        let page = stored
            .and_then(|bytes| Page::from_bytes(&bytes))
            .filter(|page| page.hash() == *hash)
            .map(Arc::new)
            .ok_or_else(|| StorageError::corrupt(format!("page {}/{}", id.version, id.index)))?;
        self.tree.cache().insert(*hash, page.clone());
        Ok(page)
    }

    fn confirm_page(
        &mut self,
        _hash: &Hash,
        _id: NodeId,
        _path: &Hash,
        _depth: usize,
    ) -> Result<(), StorageError> {
        Ok(())
    }
}

/// Serves the nodes and values of one version of a tree.
#[derive(Debug, Clone)]
pub struct LocalSource {
    tree: Tree,
    version: u64,
}

impl NodeSource for LocalSource {
    fn node(&mut self, id: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        if let Ok(version) = <[u8; 8]>::try_from(id) {
            let root = self.tree.root_slot(u64::from_be_bytes(version))?;
            return Ok(root.map(Slot::to_bytes));
        }
        match NodeId::from_bytes(id) {
            Some(id) => self.tree.kv.get(Column::Nodes, &self.tree.page_key(id)),
            None => Ok(None),
        }
    }

    fn value(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        self.tree.get(self.version, key)
    }
}

fn check_sizes(changes: &Changes) -> Result<(), StorageError> {
    for (key, value) in changes {
        if key.len() > flat::MAX_KEY_BYTES {
            return Err(StorageError::TooLarge { what: "a key" });
        }
        if value.as_ref().is_some_and(|value| value.len() > flat::MAX_VALUE_BYTES) {
            return Err(StorageError::TooLarge { what: "a value" });
        }
    }
    Ok(())
}

fn root_from(bytes: &[u8]) -> Result<Slot, StorageError> {
    Slot::from_bytes(bytes).ok_or_else(|| StorageError::corrupt("a root of unknown form"))
}

pub(crate) fn version_of(key: &[u8]) -> Result<u64, StorageError> {
    key.last_chunk::<8>()
        .map(|version| u64::from_be_bytes(*version))
        .ok_or_else(|| StorageError::corrupt("a version of unknown form"))
}

// Kinds of entries in `Column::Nodes`, after the namespace.
pub(crate) const JOURNAL: u8 = b'j';
const PAGE: u8 = b'n';
pub(crate) const VERSION: u8 = b'v';

/// Two kilobytes each: all of a tree of a hundred thousand keys, the upper levels of a larger one.
const CACHED_PAGES: usize = 16_384;
