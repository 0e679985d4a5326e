//! The store in memory: for tests and throw-away nodes.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use crate::StorageError;
use crate::kv::{Backend, Column, Durability, Pair, WriteBatch};

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

#[derive(Default)]
pub(crate) struct Memory {
    columns: RwLock<BTreeMap<Column, Map>>,
}

impl Backend for Memory {
    /// In memory there is nothing to sync.
    fn write(&self, batch: WriteBatch, _: Durability) -> Result<(), StorageError> {
        let mut columns = self.columns.write().unwrap_or_else(PoisonError::into_inner);
        for (column, key, value) in batch.into_ops() {
            let map = columns.entry(column).or_default();
            match value {
                Some(value) => map.insert(key, value),
                None => map.remove(&key),
            };
        }
        Ok(())
    }

    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.read().get(&column).and_then(|map| map.get(key)).cloned())
    }

    fn range(
        &self,
        column: Column,
        from: &[u8],
        to: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Pair>, StorageError> {
        // The standard library panics on a range that ends before it begins.
        if to.is_some_and(|to| to <= from) {
            return Ok(Vec::new());
        }
        let bounds = (Bound::Included(from), to.map_or(Bound::Unbounded, Bound::Excluded));
        let columns = self.read();
        let Some(map) = columns.get(&column) else { return Ok(Vec::new()) };
        let found = map.range::<[u8], _>(bounds).take(limit);
        Ok(found.map(|(k, v)| (k.clone(), v.clone())).collect())
    }

    fn last_at_most(&self, column: Column, bound: &[u8]) -> Result<Option<Pair>, StorageError> {
        let bounds = (Bound::Unbounded, Bound::Included(bound));
        let columns = self.read();
        let last = columns.get(&column).and_then(|map| map.range::<[u8], _>(bounds).next_back());
        Ok(last.map(|(k, v)| (k.clone(), v.clone())))
    }
}

impl Memory {
    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<Column, Map>> {
        self.columns.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}
