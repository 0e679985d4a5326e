//! The store in memory: for tests, throw-away nodes, and everything built without C++.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use crate::kv::{Column, Pair, WriteBatch};

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

#[derive(Default)]
pub(crate) struct Memory {
    columns: RwLock<BTreeMap<Column, Map>>,
}

impl Memory {
    pub(crate) fn write(&self, batch: WriteBatch) {
        let mut columns = self.columns.write().unwrap_or_else(PoisonError::into_inner);
        for (column, key, value) in batch.ops {
            let map = columns.entry(column).or_default();
            match value {
                Some(value) => map.insert(key, value),
                None => map.remove(&key),
            };
        }
    }

    pub(crate) fn get(&self, column: Column, key: &[u8]) -> Option<Vec<u8>> {
        self.read().get(&column)?.get(key).cloned()
    }

    pub(crate) fn range(
        &self,
        column: Column,
        from: &[u8],
        to: Option<&[u8]>,
        limit: usize,
    ) -> Vec<Pair> {
        // The standard library panics on a range that ends before it begins.
        if to.is_some_and(|to| to <= from) {
            return Vec::new();
        }
        let bounds = (Bound::Included(from), to.map_or(Bound::Unbounded, Bound::Excluded));
        let columns = self.read();
        let Some(map) = columns.get(&column) else { return Vec::new() };
        map.range::<[u8], _>(bounds).take(limit).map(|(k, v)| (k.clone(), v.clone())).collect()
    }

    pub(crate) fn last_at_most(&self, column: Column, bound: &[u8]) -> Option<Pair> {
        let bounds = (Bound::Unbounded, Bound::Included(bound));
        let columns = self.read();
        columns
            .get(&column)?
            .range::<[u8], _>(bounds)
            .next_back()
            .map(|(k, v)| (k.clone(), v.clone()))
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<Column, Map>> {
        self.columns.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}
