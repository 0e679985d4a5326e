//! Changes that are not in a tree yet, over a state that does not change meanwhile.
//!
//! An [`Overlay`] reads as if its changes were applied. A checkpoint marks a point to come back to:
//! a failing transaction is undone by [`Overlay::rollback`], a succeeding one kept by
//! [`Overlay::commit`]. Checkpoints nest; so do overlays, since an overlay is a state to read too.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;

use crate::{Changes, Pair, StorageError, Tree};

/// A state that can be read.
pub trait StateRead {
    /// The value of a key.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError>;

    /// Up to `limit` keys that begin with `prefix` and come after `start_after`, with their
    /// values, in the order of keys.
    fn scan(
        &self,
        prefix: &[u8],
        start_after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Pair>, StorageError>;
}

/// One version of a tree.
#[derive(Debug, Clone)]
pub struct Snapshot {
    tree: Tree,
    version: Option<u64>,
}

impl Snapshot {
    /// Reads `tree` as of a kept version; without a version, the empty state before the first.
    pub fn new(tree: Tree, version: Option<u64>) -> Self {
        Self { tree, version }
    }

    /// The version that is read.
    pub fn version(&self) -> Option<u64> {
        self.version
    }

    /// The tree that is read.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }
}

impl StateRead for Snapshot {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        self.version.map_or(Ok(None), |version| self.tree.get(version, key))
    }

    fn scan(
        &self,
        prefix: &[u8],
        start_after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Pair>, StorageError> {
        self.version
            .map_or(Ok(Vec::new()), |version| self.tree.scan(version, prefix, start_after, limit))
    }
}

/// A point in an overlay's changes that can be gone back to.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
#[must_use = "a checkpoint does nothing until it is rolled back or committed"]
pub struct Checkpoint(usize);

/// What a key had among the changes before a write: nothing, or a new value, or its removal.
type Replaced = Option<Option<Vec<u8>>>;

/// Changes over a state.
pub struct Overlay<'a> {
    base: &'a dyn StateRead,
    changes: Changes,
    /// What each write replaced in `changes`, oldest first, since the first open checkpoint.
    undo: Vec<(Vec<u8>, Replaced)>,
    open: usize,
}

impl<'a> Overlay<'a> {
    /// No changes over `base`.
    pub fn new(base: &'a dyn StateRead) -> Self {
        Self { base, changes: BTreeMap::new(), undo: Vec::new(), open: 0 }
    }

    /// Sets a key.
    pub fn set(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.change(key.into(), Some(value.into()));
    }

    /// Removes a key, if it is there.
    pub fn remove(&mut self, key: impl Into<Vec<u8>>) {
        self.change(key.into(), None);
    }

    /// Takes over the changes of an overlay that was made over this one.
    pub fn apply(&mut self, changes: Changes) {
        for (key, value) in changes {
            self.change(key, value);
        }
    }

    /// Marks this point.
    pub fn checkpoint(&mut self) -> Checkpoint {
        self.open = self.open.saturating_add(1);
        Checkpoint(self.undo.len())
    }

    /// Keeps what happened since a checkpoint, as part of what surrounds it.
    pub fn commit(&mut self, checkpoint: Checkpoint) {
        debug_assert!(checkpoint.0 <= self.undo.len(), "checkpoints close in reverse order");
        self.close();
    }

    /// Undoes what happened since a checkpoint.
    pub fn rollback(&mut self, checkpoint: Checkpoint) {
        while self.undo.len() > checkpoint.0 {
            match self.undo.pop() {
                Some((key, Some(change))) => self.changes.insert(key, change),
                Some((key, None)) => self.changes.remove(&key),
                None => None,
            };
        }
        self.close();
    }

    /// The changes so far.
    pub fn changes(&self) -> &Changes {
        &self.changes
    }

    /// Whether any change gives a key another value than the state below has.
    pub fn differs(&self) -> Result<bool, StorageError> {
        for (key, value) in &self.changes {
            if self.base.get(key)? != *value {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The changes, for [`Tree::prepare`] or for [`Self::apply`] one level up.
    pub fn into_changes(self) -> Changes {
        self.changes
    }

    fn change(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        if self.open == 0 {
            self.changes.insert(key, value);
        } else {
            let before = self.changes.insert(key.clone(), value);
            self.undo.push((key, before));
        }
    }

    fn close(&mut self) {
        self.open = self.open.saturating_sub(1);
        if self.open == 0 {
            self.undo.clear();
        }
    }
}

impl StateRead for Overlay<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        match self.changes.get(key) {
            Some(value) => Ok(value.clone()),
            None => self.base.get(key),
        }
    }

    fn scan(
        &self,
        prefix: &[u8],
        start_after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Pair>, StorageError> {
        let from = match start_after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let changed: BTreeMap<&[u8], Option<&[u8]>> = self
            .changes
            .range::<[u8], _>((from, Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(key, value)| (key.as_slice(), value.as_deref()))
            .collect();
        // Each removed key can hide one of the base's.
        let removed = changed.values().filter(|value| value.is_none()).count();
        let base = self.base.scan(prefix, start_after, limit.saturating_add(removed))?;

        let mut merged: BTreeMap<Vec<u8>, Vec<u8>> = base.into_iter().collect();
        for (key, value) in changed {
            match value {
                Some(value) => merged.insert(key.to_vec(), value.to_vec()),
                None => merged.remove(key),
            };
        }
        Ok(merged.into_iter().take(limit).collect())
    }
}

impl fmt::Debug for Overlay<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Overlay").field("changes", &self.changes.len()).finish_non_exhaustive()
    }
}
