//! What this node has of the ParaTime's rounds on its disk.

use std::sync::{Mutex, PoisonError};

use paralith_storage::{EMPTY_ROOT, Kv, Prepared, StorageError, Tree};
use paralith_types::{Hash, RuntimeId};

use crate::store::Store;

/// Signatures, outcomes and final rounds, and the state tree that these lead to.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) store: Store,
    pub(crate) tree: Tree,
    /// The version of the tree that the last execution led to.
    prepared: Mutex<Option<Prepared>>,
    /// Held while versions are pruned or pinned: what is pinned was there, and stays.
    pub(crate) pruning: Mutex<()>,
}

impl Ledger {
    pub(crate) fn new(kv: Kv, runtime_id: &RuntimeId) -> Self {
        Self {
            store: Store::new(kv.clone(), runtime_id),
            tree: Tree::new(kv, runtime_id.as_bytes()),
            prepared: Mutex::new(None),
            pruning: Mutex::default(),
        }
    }

    /// The tree's newest version.
    pub(crate) fn latest_version(&self) -> Result<Option<u64>, StorageError> {
        Ok(self.tree.latest()?.map(|(version, _)| version))
    }

    /// The root of the state that this node has.
    pub(crate) fn state_root(&self) -> Result<Hash, StorageError> {
        Ok(self.tree.latest()?.map_or(EMPTY_ROOT, |(_, root)| root))
    }

    /// Keeps a version that will be needed if its round becomes final.
    pub(crate) fn keep_prepared(&self, prepared: Prepared) {
        *self.prepared.lock().unwrap_or_else(PoisonError::into_inner) = Some(prepared);
    }

    /// The version with this base, number and root, if it is the one that was kept last.
    pub(crate) fn take_prepared(
        &self,
        base: Option<u64>,
        version: u64,
        root: &Hash,
    ) -> Option<Prepared> {
        let kept = self.prepared.lock().unwrap_or_else(PoisonError::into_inner).take();
        kept.filter(|kept| (kept.base(), kept.version(), kept.root()) == (base, version, *root))
    }
}
