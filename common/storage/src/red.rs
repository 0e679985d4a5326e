//! The durable store in Rust alone: redb, one table a column, all in one file.
//!
//! A B-tree that is copied on write: a commit is one page with checksums, so a crash at any moment
//! leaves the state after one of the commits. A commit that is not synced is kept in the process
//! and reaches the disk with the next one that is.

use std::ops::Bound;
use std::path::Path;

use redb::{Database, DatabaseError, ReadableDatabase as _, TableDefinition};

use crate::StorageError;
use crate::kv::{Backend, Column, Durability, Pair, WriteBatch};

pub(crate) struct Red {
    db: Database,
}

type Bytes = TableDefinition<'static, &'static [u8], &'static [u8]>;

fn table(column: Column) -> Bytes {
    TableDefinition::new(column.name())
}

impl Red {
    pub(crate) fn open(folder: &Path) -> Result<Self, StorageError> {
        std::fs::create_dir_all(folder)
            .map_err(|e| StorageError::Io { detail: format!("{}: {e}", folder.display()) })?;
        let db = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create(folder.join(FILE))
            .map_err(|cause| match cause {
                DatabaseError::DatabaseAlreadyOpen => {
                    StorageError::Locked { path: folder.display().to_string() }
                }
                cause => error(cause),
            })?;
        // A table that is not there cannot be read.
        let transaction = db.begin_write().map_err(error)?;
        for column in Column::ALL {
            transaction.open_table(table(column)).map_err(error)?;
        }
        transaction.commit().map_err(error)?;
        Ok(Self { db })
    }
}

impl Backend for Red {
    fn write(&self, batch: WriteBatch, durability: Durability) -> Result<(), StorageError> {
        let mut ops = batch.into_ops();
        // One table at a time. The sort is stable: the last write of a key wins.
        ops.sort_by_key(|(column, _, _)| *column);
        let mut transaction = self.db.begin_write().map_err(error)?;
        transaction
            .set_durability(match durability {
                // ST-3: a synced commit carries all earlier ones that were not.
                Durability::Synced => redb::Durability::Immediate,
                Durability::Lazy => redb::Durability::None,
            })
            .map_err(error)?;
        for ops in ops.chunk_by(|a, b| a.0 == b.0) {
            let Some((column, _, _)) = ops.first() else { continue };
            let mut table = transaction.open_table(table(*column)).map_err(error)?;
            for (_, key, value) in ops {
                match value {
                    Some(value) => table.insert(key.as_slice(), value.as_slice()).map_err(error)?,
                    None => table.remove(key.as_slice()).map_err(error)?,
                };
            }
        }
        // ST-1 and ST-2: one transaction a batch, and one writer at a time.
        transaction.commit().map_err(error)
    }

    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        let table = self.db.begin_read().map_err(error)?.open_table(table(column));
        let found = table.map_err(error)?.get(key).map_err(error)?;
        Ok(found.map(|value| value.value().to_vec()))
    }

    fn range(
        &self,
        column: Column,
        from: &[u8],
        to: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Pair>, StorageError> {
        if to.is_some_and(|to| to <= from) {
            return Ok(Vec::new());
        }
        let bounds = (Bound::Included(from), to.map_or(Bound::Unbounded, Bound::Excluded));
        let table = self.db.begin_read().map_err(error)?.open_table(table(column));
        let table = table.map_err(error)?;
        let mut pairs = Vec::new();
        for pair in table.range::<&[u8]>(bounds).map_err(error)?.take(limit) {
            let (key, value) = pair.map_err(error)?;
            pairs.push((key.value().to_vec(), value.value().to_vec()));
        }
        Ok(pairs)
    }

    fn last_at_most(&self, column: Column, bound: &[u8]) -> Result<Option<Pair>, StorageError> {
        let bounds = (Bound::Unbounded, Bound::Included(bound));
        let table = self.db.begin_read().map_err(error)?.open_table(table(column));
        let table = table.map_err(error)?;
        let last = table.range::<&[u8]>(bounds).map_err(error)?.next_back();
        let last = last.transpose().map_err(error)?;
        Ok(last.map(|(key, value)| (key.value().to_vec(), value.value().to_vec())))
    }
}

impl std::fmt::Debug for Red {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Red").finish_non_exhaustive()
    }
}

fn error(cause: impl Into<redb::Error>) -> StorageError {
    let cause = cause.into();
    let detail = cause.to_string();
    match cause {
        // ST-5: refused, never guessed at.
        redb::Error::Corrupted(_) | redb::Error::TableTypeMismatch { .. } => {
            StorageError::corrupt(detail)
        }
        redb::Error::Io(io)
            if matches!(
                io.kind(),
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
            ) =>
        {
            StorageError::DiskFull { detail }
        }
        // The file's first bytes are not redb's.
        redb::Error::Io(io) if io.kind() == std::io::ErrorKind::InvalidData => {
            StorageError::corrupt(detail)
        }
        _ => StorageError::Io { detail },
    }
}

const FILE: &str = "data";
const CACHE_BYTES: usize = 128 << 20;
