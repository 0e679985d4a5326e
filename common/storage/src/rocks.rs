//! The durable store: RocksDB, one column family a column.
//!
//! The write-ahead log is always on; a batch goes into it whole, across columns.

use std::path::Path;

use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType,
    DBRecoveryMode, Options, ReadOptions, WriteOptions,
};

use crate::StorageError;
use crate::kv::{Backend, Column, Durability, Pair, WriteBatch};
use crate::open::KvOptions;

pub(crate) struct Rocks {
    db: DB,
}

impl Rocks {
    pub(crate) fn open(path: &Path, options: KvOptions) -> Result<Self, StorageError> {
        let mut db = Options::default();
        db.create_if_missing(true);
        db.create_missing_column_families(true);
        // One writer at a time: what concurrent writing costs is not earned back.
        db.set_allow_concurrent_memtable_write(false);
        db.set_max_open_files(512);
        db.set_keep_log_file_num(4);
        db.set_max_total_wal_size(128 << 20);
        // A torn last record is a write that was never acknowledged; damage before it is refused.
        db.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);

        let cache = Cache::new_lru_cache(BLOCK_CACHE_BYTES);
        let families = Column::ALL.map(|column| {
            ColumnFamilyDescriptor::new(column.name(), family(&cache, column, options))
        });
        let db = DB::open_cf_descriptors(&db, path, families).map_err(|e| open_error(&e, path))?;
        Ok(Self { db })
    }

    fn family(&self, column: Column) -> Result<&ColumnFamily, StorageError> {
        self.db
            .cf_handle(column.name())
            .ok_or_else(|| StorageError::corrupt(format!("no column {}", column.name())))
    }
}

impl Backend for Rocks {
    fn write(&self, batch: WriteBatch, durability: Durability) -> Result<(), StorageError> {
        let mut ops = batch.into_ops();
        // Memtables take sorted writes faster. The sort is stable: the last write of a key wins.
        ops.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        let mut native = rocksdb::WriteBatch::default();
        for (column, key, value) in ops {
            let family = self.family(column)?;
            match value {
                Some(value) => native.put_cf(family, key, value),
                None => native.delete_cf(family, key),
            }
        }
        let mut options = WriteOptions::default();
        options.set_sync(durability == Durability::Synced);
        // ST-1: one write of RocksDB is atomic over column families.
        self.db.write_opt(native, &options).map_err(|e| error(&e))
    }

    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        self.db.get_cf(self.family(column)?, key).map_err(|e| error(&e))
    }

    fn range(
        &self,
        column: Column,
        from: &[u8],
        to: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Pair>, StorageError> {
        let mut options = ReadOptions::default();
        if let Some(to) = to {
            if to <= from {
                return Ok(Vec::new());
            }
            options.set_iterate_upper_bound(to);
        }
        let mut pairs = Vec::new();
        let mut iterator = self.db.raw_iterator_cf_opt(self.family(column)?, options);
        iterator.seek(from);
        while pairs.len() < limit {
            let Some((key, value)) = iterator.item() else { break };
            pairs.push((key.to_vec(), value.to_vec()));
            iterator.next();
        }
        iterator.status().map_err(|e| error(&e))?;
        Ok(pairs)
    }

    fn last_at_most(&self, column: Column, bound: &[u8]) -> Result<Option<Pair>, StorageError> {
        let mut iterator = self.db.raw_iterator_cf(self.family(column)?);
        iterator.seek_for_prev(bound);
        let found = iterator.item().map(|(key, value)| (key.to_vec(), value.to_vec()));
        iterator.status().map_err(|e| error(&e))?;
        Ok(found)
    }
}

impl std::fmt::Debug for Rocks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rocks").field("path", &self.db.path()).finish()
    }
}

fn family(cache: &Cache, column: Column, options: KvOptions) -> Options {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_bloom_filter(10.0, false);
    table.set_cache_index_and_filter_blocks(true);
    let mut family = Options::default();
    family.set_block_based_table_factory(&table);
    family.set_write_buffer_size(MEMTABLE_BYTES);
    family.set_compression_type(if options.compression {
        DBCompressionType::Lz4
    } else {
        DBCompressionType::None
    });
    if column == Column::Latest {
        // Removed keys stay as markers until a compaction drops them, and a scan walks over every
        // marker. A queue (keys appended at one end and removed at the other) would leave a growing
        // run of them in front of its live keys, so tables dense in markers are compacted at once.
        family.add_compact_on_deletion_collector_factory(
            DELETION_WINDOW,
            DELETION_TRIGGER,
            DELETION_RATIO,
        );
    }
    family
}

/// RocksDB gives text; the text of the operating system inside it is what tells causes apart.
fn error(error: &rocksdb::Error) -> StorageError {
    let detail = error.as_ref().to_owned();
    match error.kind() {
        rocksdb::ErrorKind::Corruption => StorageError::corrupt(detail),
        _ if detail.contains("No space left") => StorageError::DiskFull { detail },
        _ => StorageError::Io { detail },
    }
}

fn open_error(cause: &rocksdb::Error, path: &Path) -> StorageError {
    let detail = cause.as_ref();
    let locked = detail.contains("lock hold by current process")
        || (detail.contains("lock file") && detail.contains("unavailable"));
    if locked {
        return StorageError::Locked { path: path.display().to_string() };
    }
    error(cause)
}

const BLOCK_CACHE_BYTES: usize = 128 << 20;
const MEMTABLE_BYTES: usize = 16 << 20;
/// A table is compacted when so many of so many entries in a row are removals, or this part of all.
const DELETION_TRIGGER: usize = 256;
const DELETION_WINDOW: usize = 1024;
const DELETION_RATIO: f64 = 0.5;
