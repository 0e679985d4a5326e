//! A store that can be copied, as a backup copies it, and that counts its writes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use paralith_storage::{Backend, Column, Durability, Kv, Pair, StorageError, WriteBatch};

type Columns = BTreeMap<Column, BTreeMap<Vec<u8>, Vec<u8>>>;

#[derive(Debug, Default)]
struct Inner {
    columns: Columns,
    /// Number of operations of each write.
    writes: Vec<usize>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Disk(Arc<Mutex<Inner>>);

impl Disk {
    pub(crate) fn kv(&self) -> Kv {
        Kv::new(Arc::new(self.clone()))
    }

    pub(crate) fn copy(&self) -> Self {
        let columns = self.0.lock().unwrap().columns.clone();
        Self(Arc::new(Mutex::new(Inner { columns, writes: Vec::new() })))
    }

    /// Everything of trees.
    pub(crate) fn trees(&self) -> Columns {
        let mut columns = self.0.lock().unwrap().columns.clone();
        columns.retain(|column, _| !matches!(column, Column::Blocks | Column::Meta));
        columns
    }

    pub(crate) fn writes(&self) -> Vec<usize> {
        self.0.lock().unwrap().writes.clone()
    }

    /// Changes the newest value under a key that ends so.
    pub(crate) fn tamper(&self, end: &[u8]) {
        let mut inner = self.0.lock().unwrap();
        let latest = inner.columns.get_mut(&Column::Latest).unwrap();
        let found = latest.iter_mut().filter(|(key, _)| key.ends_with(end));
        let mut count = 0;
        for (_, value) in found {
            *value.last_mut().unwrap() ^= 1;
            count += 1;
        }
        assert_eq!(count, 1);
    }
}

impl Backend for Disk {
    fn write(&self, batch: WriteBatch, _: Durability) -> Result<(), StorageError> {
        let mut inner = self.0.lock().unwrap();
        inner.writes.push(batch.len());
        for (column, key, value) in batch.into_ops() {
            let map = inner.columns.entry(column).or_default();
            match value {
                Some(value) => map.insert(key, value),
                None => map.remove(&key),
            };
        }
        Ok(())
    }

    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.0.lock().unwrap().columns.get(&column).and_then(|map| map.get(key)).cloned())
    }

    fn range(
        &self,
        column: Column,
        from: &[u8],
        to: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Pair>, StorageError> {
        let inner = self.0.lock().unwrap();
        let Some(map) = inner.columns.get(&column) else { return Ok(Vec::new()) };
        let found = map
            .range(from.to_vec()..)
            .take_while(|(key, _)| to.is_none_or(|to| key.as_slice() < to))
            .take(limit);
        Ok(found.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn last_at_most(&self, column: Column, bound: &[u8]) -> Result<Option<Pair>, StorageError> {
        let inner = self.0.lock().unwrap();
        let Some(map) = inner.columns.get(&column) else { return Ok(None) };
        let last = map.range(..=bound.to_vec()).next_back();
        Ok(last.map(|(key, value)| (key.clone(), value.clone())))
    }
}
