//! The key-value store under everything: ordered bytes in four columns, written in atomic batches.
//!
//! A batch is written whole or not at all, also across columns and a crash. Readers in other
//! threads see it whole or not at all for each single call, not across calls.

#[cfg(feature = "rocksdb")]
use std::path::Path;
use std::sync::Arc;

use crate::StorageError;
use crate::memory::Memory;
#[cfg(feature = "rocksdb")]
use crate::rocks::Rocks;

/// One of the store's separate key spaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Column {
    /// Values of trees by key and version. Written by [`crate::Tree`] alone.
    Flat,
    /// Nodes, roots and journals of trees. Written by [`crate::Tree`] alone.
    Nodes,
    /// Blocks, rounds and what came out of them.
    Blocks,
    /// Everything small: what the program has to remember between starts.
    Meta,
}

impl Column {
    /// All columns, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Flat, Self::Nodes, Self::Blocks, Self::Meta];
}

/// A key and its value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// Writes that happen together. A later operation on a key replaces an earlier one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WriteBatch {
    pub(crate) ops: Vec<(Column, Vec<u8>, Option<Vec<u8>>)>,
}

impl WriteBatch {
    /// A batch that changes nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a key.
    pub fn put(&mut self, column: Column, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.ops.push((column, key.into(), Some(value.into())));
    }

    /// Removes a key, if it is there.
    pub fn delete(&mut self, column: Column, key: impl Into<Vec<u8>>) {
        self.ops.push((column, key.into(), None));
    }

    /// Adds another batch's operations after these.
    pub fn append(&mut self, other: Self) {
        self.ops.extend(other.ops);
    }

    /// How many operations there are.
    pub fn len(&self) -> usize {
        self.ops.len()
    }

    /// Whether the batch changes nothing.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }
}

/// How a durable store is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KvOptions {
    /// Compress with LZ4. A store may be opened either way, whatever it was written with.
    pub compression: bool,
}

impl Default for KvOptions {
    fn default() -> Self {
        Self { compression: true }
    }
}

/// A handle on a store; clones share it. The store closes when the last one is dropped.
#[derive(Debug, Clone)]
pub struct Kv {
    backend: Backend,
}

#[derive(Debug, Clone)]
enum Backend {
    Memory(Arc<Memory>),
    #[cfg(feature = "rocksdb")]
    Rocks(Arc<Rocks>),
}

impl Kv {
    /// An empty store in memory.
    pub fn memory() -> Self {
        Self { backend: Backend::Memory(Arc::new(Memory::default())) }
    }

    /// Opens the store in the folder `path`, or makes one there.
    #[cfg(feature = "rocksdb")]
    pub fn open(path: &Path, options: KvOptions) -> Result<Self, StorageError> {
        Ok(Self { backend: Backend::Rocks(Arc::new(Rocks::open(path, options)?)) })
    }

    /// Writes a batch. With `sync` it is on the disk when this returns; without, a crash of the
    /// machine (not of the process) may lose it together with everything after it.
    pub fn write(&self, batch: WriteBatch, sync: bool) -> Result<(), StorageError> {
        match &self.backend {
            // In memory there is nothing to sync.
            Backend::Memory(memory) => {
                let _ = sync;
                memory.write(batch);
                Ok(())
            }
            #[cfg(feature = "rocksdb")]
            Backend::Rocks(rocks) => rocks.write(batch, sync),
        }
    }

    /// The value of a key.
    pub fn get(&self, column: Column, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        match &self.backend {
            Backend::Memory(memory) => Ok(memory.get(column, key)),
            #[cfg(feature = "rocksdb")]
            Backend::Rocks(rocks) => rocks.get(column, key),
        }
    }

    /// Up to `limit` pairs with `from <= key < to` in the order of keys. Without `to` there is no
    /// upper bound.
    pub fn range(
        &self,
        column: Column,
        from: &[u8],
        to: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Pair>, StorageError> {
        match &self.backend {
            Backend::Memory(memory) => Ok(memory.range(column, from, to, limit)),
            #[cfg(feature = "rocksdb")]
            Backend::Rocks(rocks) => rocks.range(column, from, to, limit),
        }
    }

    /// Up to `limit` pairs whose key begins with `prefix`, in the order of keys, after the key
    /// `start_after` if there is one.
    pub fn prefix(
        &self,
        column: Column,
        prefix: &[u8],
        start_after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Pair>, StorageError> {
        let mut from = prefix.to_vec();
        if let Some(after) = start_after.filter(|after| *after >= prefix) {
            // The least key greater than `after`.
            from = [after, &[0]].concat();
        }
        self.range(column, &from, prefix_end(prefix).as_deref(), limit)
    }

    /// The pair with the greatest key that begins with `prefix` and is at most `bound`.
    pub fn last(
        &self,
        column: Column,
        prefix: &[u8],
        bound: &[u8],
    ) -> Result<Option<Pair>, StorageError> {
        let found = match &self.backend {
            Backend::Memory(memory) => memory.last_at_most(column, bound),
            #[cfg(feature = "rocksdb")]
            Backend::Rocks(rocks) => rocks.last_at_most(column, bound)?,
        };
        Ok(found.filter(|(key, _)| key.starts_with(prefix)))
    }
}

/// The least key greater than every key that begins with `prefix`; none if there is no such key.
pub(crate) fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let keep = prefix.iter().rposition(|byte| *byte != 0xff)?;
    let mut end = prefix.get(..=keep)?.to_vec();
    if let Some(last) = end.last_mut() {
        *last = last.saturating_add(1);
    }
    Some(end)
}
