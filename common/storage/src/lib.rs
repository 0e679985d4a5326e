//! Versioned, authenticated state over one key-value store.
//!
//! * [`Kv`] is the store: columns, atomic batches, ordered reads, over a [`Backend`]: memory, redb
//!   (feature `redb`, in Rust alone) or RocksDB (feature `rocksdb`). Nothing above can tell which.
//! * [`Files`] are files that are replaced whole, beside the store.
//! * [`Tree`] is a map with versions and a root hash for each. Many live in one [`Kv`], each in
//!   its namespace. A read never walks the tree: values lie flat beside it.
//! * [`Proof`] shows to somebody who has only a root that a key has a value, or none.
//! * [`VerifiedTree`] is the same tree for somebody who has only a root and reads through a host
//!   that may lie: each node is checked against its parent before it is believed.
//! * [`Overlay`] holds changes that are not in a tree yet, with checkpoints.
//!
//! The root depends on the present keys and values alone, not on how they came there. It is the
//! root of the Jellyfish Merkle tree (crate `jmt`, SHA-256) over `SHA-256(domain | key)` and the
//! value; the tests compare the two. Only hashing follows that crate. Its node format is not used,
//! because a node read from a liar must be verifiable by itself, and there a leaf's place under
//! its parent, its type and its count are not bound by the parent's hash.

mod cache;
mod error;
mod files;
mod flat;
mod hash;
mod journal;
mod kv;
mod memory;
mod open;
mod overlay;
mod page;
mod proof;
mod prune;
#[cfg(feature = "redb")]
mod red;
#[cfg(feature = "rocksdb")]
mod rocks;
mod tree;
mod update;
mod verified;

pub use cache::{VerifiedPages, VerifiedValues};
pub use error::StorageError;
pub use files::{FileReader, Files, NewFile};
pub use flat::{MAX_KEY_BYTES, MAX_VALUE_BYTES};
pub use hash::EMPTY_ROOT;
pub use kv::{Backend, Column, Durability, Kv, Op, Pair, WriteBatch};
pub use open::{KvOptions, MARK, StoreKind};
pub use overlay::{Checkpoint, Overlay, Snapshot, StateRead};
pub use page::MAX_NODE_BYTES;
pub use proof::{Proof, ProofError};
pub use tree::{Changes, LocalSource, Prepared, Tree};
pub use verified::{NodeSource, VerifiedTree};
