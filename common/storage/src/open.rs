//! Durable stores: which ones there are, and which one made a folder.
//!
//! A store's folder holds the file [`MARK`], which names the format and the kind of the store, and a
//! folder of that kind with its data. The mark is on the disk before any data is, so a crash leaves
//! no data of unknown kind.

use std::path::Path;
use std::sync::Arc;

use crate::{Backend, Files, Kv, StorageError};

/// A durable store that this program may be built with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreKind {
    /// redb: in Rust alone. The default of builds without the feature `rocksdb`.
    Redb,
    /// RocksDB: in C++, for validators and everything under load.
    Rocksdb,
}

impl StoreKind {
    /// The kind that new stores of this build get; none if it was built without durable stores.
    pub const DEFAULT: Option<Self> = if cfg!(feature = "rocksdb") {
        Some(Self::Rocksdb)
    } else if cfg!(feature = "redb") {
        Some(Self::Redb)
    } else {
        None
    };

    /// The name in marks, folders and messages. It never changes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Redb => "redb",
            Self::Rocksdb => "rocksdb",
        }
    }
}

/// How a durable store is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KvOptions {
    /// Compress with LZ4, where the store can. A store may be opened either way, whatever it was
    /// written with.
    pub compression: bool,
}

impl Default for KvOptions {
    fn default() -> Self {
        Self { compression: true }
    }
}

/// Names the store's kind.
pub const MARK: &str = "store";
const FORMAT: &str = "paralith-store/1 ";
/// No mark is longer.
const MARK_BYTES_MAX: usize = 64;

impl Kv {
    /// Opens the store in the folder `path`, or makes one there, of this build's kind. A store of
    /// another kind is refused.
    pub fn open(path: &Path, options: KvOptions) -> Result<Self, StorageError> {
        match StoreKind::DEFAULT {
            Some(kind) => Self::open_kind(kind, path, options),
            None => Err(StorageError::NotBuilt { kind: StoreKind::Redb.name() }),
        }
    }

    /// Opens or makes a store of a given kind.
    #[cfg_attr(
        not(any(feature = "redb", feature = "rocksdb")),
        allow(
            unreachable_code,
            unused_variables,
            reason = "without a durable store all kinds are refused"
        )
    )]
    pub fn open_kind(
        kind: StoreKind,
        path: &Path,
        options: KvOptions,
    ) -> Result<Self, StorageError> {
        let files = Files::folder(path)?;
        check_mark(&files, path, kind)?;
        let data = path.join(kind.name());
        // Only RocksDB compresses.
        let _ = options;
        let backend: Arc<dyn Backend> = match kind {
            #[cfg(feature = "redb")]
            StoreKind::Redb => Arc::new(crate::red::Red::open(&data)?),
            #[cfg(feature = "rocksdb")]
            StoreKind::Rocksdb => Arc::new(crate::rocks::Rocks::open(&data, options)?),
            #[cfg(not(feature = "redb"))]
            StoreKind::Redb => return Err(StorageError::NotBuilt { kind: kind.name() }),
            #[cfg(not(feature = "rocksdb"))]
            StoreKind::Rocksdb => return Err(StorageError::NotBuilt { kind: kind.name() }),
        };
        Ok(Self::new(backend))
    }
}

/// Compares the folder's mark with `kind`; marks a folder that is empty.
fn check_mark(files: &Files, path: &Path, kind: StoreKind) -> Result<(), StorageError> {
    let other = |found: String| StorageError::OtherStore {
        path: path.display().to_string(),
        found,
        wanted: kind.name(),
    };
    match files.read(MARK, MARK_BYTES_MAX)? {
        Some(mark) => {
            let mark = String::from_utf8_lossy(&mark).into_owned();
            match mark.trim_end().strip_prefix(FORMAT) {
                Some(name) if name == kind.name() => Ok(()),
                // ST-6: another kind is named, never read or converted.
                Some(name) => Err(other(name.to_string())),
                None => Err(other(format!("a program of another version ({})", mark.trim_end()))),
            }
        }
        None if files.is_unused()? => {
            files.replace(MARK, format!("{FORMAT}{}\n", kind.name()).as_bytes())?;
            files.sync()
        }
        None => Err(other("a program that left no mark".to_string())),
    }
}
