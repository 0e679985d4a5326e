//! The key-value store under everything: ordered bytes in columns, written in atomic batches.
//!
//! A batch is written whole or not at all, also across columns and a crash. Readers in other
//! threads see it whole or not at all for each single call, not across calls.

use std::fmt;
use std::sync::Arc;

use crate::StorageError;
use crate::memory::Memory;

/// One of the store's separate key spaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Column {
    /// The newest values of trees by key. Written by [`crate::Tree`] alone.
    Latest,
    /// Replaced and removed values of trees by key and version. Written by [`crate::Tree`] alone.
    History,
    /// Nodes, roots and journals of trees. Written by [`crate::Tree`] alone.
    Nodes,
    /// Blocks, rounds and what came out of them.
    Blocks,
    /// Everything small: what the program has to remember between starts.
    Meta,
}

impl Column {
    /// All columns, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::Latest, Self::History, Self::Nodes, Self::Blocks, Self::Meta];

    /// The column's name in durable stores. It never changes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Latest => "latest",
            Self::History => "history",
            Self::Nodes => "nodes",
            Self::Blocks => "blocks",
            Self::Meta => "meta",
        }
    }
}

/// A key and its value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// One write of a batch: the column, the key, and the new value; none removes the key.
pub type Op = (Column, Vec<u8>, Option<Vec<u8>>);

/// Writes that happen together. A later operation on a key replaces an earlier one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WriteBatch {
    ops: Vec<Op>,
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

    /// The operations, in their order.
    pub fn into_ops(self) -> Vec<Op> {
        self.ops
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

/// When a write has to be on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Before the call returns, together with every write before it.
    Synced,
    /// At some time. A crash may lose the write, and then it loses every write after it, too: what
    /// is found after the crash is the state after one of the writes.
    Lazy,
}

/// What keeps the bytes. Every backend passes the contract tests of this crate.
///
/// * One batch is atomic: across columns, for readers in other threads, and over a crash at any
///   moment (`kill -9`, loss of power). A later operation of a batch on a key replaces an earlier one.
/// * Batches become visible and durable in the order of the calls.
/// * Keys are ordered as bytes.
/// * A read sees each batch whole or not at all; two reads are two moments (ST-4).
pub trait Backend: fmt::Debug + Send + Sync {
    /// Writes a batch. After an error the backend may refuse everything; it never holds half a batch.
    fn write(&self, batch: WriteBatch, durability: Durability) -> Result<(), StorageError>;

    /// The value of a key.
    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError>;

    /// Up to `limit` pairs with `from <= key < to` in the order of keys; none if `to <= from`.
    fn range(
        &self,
        column: Column,
        from: &[u8],
        to: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Pair>, StorageError>;

    /// The pair with the greatest key that is at most `bound`.
    fn last_at_most(&self, column: Column, bound: &[u8]) -> Result<Option<Pair>, StorageError>;
}

/// A handle on a store; clones share it. The store closes when the last one is dropped.
#[derive(Debug, Clone)]
pub struct Kv {
    backend: Arc<dyn Backend>,
}

impl Kv {
    /// A store over this backend.
    pub fn new(backend: Arc<dyn Backend>) -> Self {
        Self { backend }
    }

    /// An empty store in memory.
    pub fn memory() -> Self {
        Self::new(Arc::new(Memory::default()))
    }

    /// Writes a batch whole or not at all.
    pub fn write(&self, batch: WriteBatch, durability: Durability) -> Result<(), StorageError> {
        self.backend.write(batch, durability)
    }

    /// The value of a key.
    pub fn get(&self, column: Column, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        self.backend.get(column, key)
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
        self.backend.range(column, from, to, limit)
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
        let found = self.backend.last_at_most(column, bound)?;
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
