//! Files that are replaced whole: sealed secrets, marks, code by hash, contents by hash.
//!
//! A [`Files`] is one flat set of names. [`Files::replace`] is atomic: after a crash a name has its
//! old content or its new one. What was replaced or removed survives a loss of power once
//! [`Files::sync`] has returned; until then either is found. A content that is not held in memory
//! whole is written through [`Files::create`] and read through [`Files::open`].

mod pieces;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::StorageError;

pub use pieces::{FileReader, NewFile};

/// A handle on a set of files; clones share it.
#[derive(Debug, Clone)]
pub struct Files {
    location: Location,
}

#[derive(Debug, Clone)]
enum Location {
    Memory(Arc<Mutex<Memory>>),
    Folder(Arc<PathBuf>),
}

/// Files in memory.
#[derive(Debug, Default)]
struct Memory {
    files: BTreeMap<String, Arc<Vec<u8>>>,
    /// Contents that have no name yet.
    unfinished: BTreeMap<String, Vec<u8>>,
    /// How many more changes succeed; all if there is no number.
    changes_left: Option<u64>,
}

impl Memory {
    /// Counts a change, which fails if no more succeed.
    fn change(&mut self) -> Result<(), StorageError> {
        match &mut self.changes_left {
            None => Ok(()),
            Some(0) => Err(StorageError::Io { detail: "no more changes succeed".to_string() }),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
        }
    }
}

impl Files {
    /// An empty set in memory.
    pub fn memory() -> Self {
        Self { location: Location::Memory(Arc::default()) }
    }

    /// The files in a folder, which is made if it is not there. Only its owner can read it.
    pub fn folder(path: &Path) -> Result<Self, StorageError> {
        disk::create(path).map_err(|e| error(path, &e))?;
        Ok(Self { location: Location::Folder(Arc::new(path.to_path_buf())) })
    }

    /// The content of a file; none if there is no such file. A file of more than `bytes_max` bytes
    /// is refused before it is read.
    pub fn read(&self, name: &str, bytes_max: usize) -> Result<Option<Vec<u8>>, StorageError> {
        check(name)?;
        let content = match &self.location {
            Location::Memory(files) => lock(files).files.get(name).map(|content| content.to_vec()),
            Location::Folder(folder) => {
                let path = folder.join(name);
                disk::read(&path, bytes_max).map_err(|e| error(&path, &e))?
            }
        };
        match content {
            Some(content) if content.len() > bytes_max => {
                Err(StorageError::TooLarge { what: "a file" })
            }
            content => Ok(content),
        }
    }

    /// The names of all files, in order.
    pub fn list(&self) -> Result<Vec<String>, StorageError> {
        match &self.location {
            Location::Memory(files) => Ok(lock(files).files.keys().cloned().collect()),
            Location::Folder(folder) => {
                let mut names = disk::files(folder).map_err(|e| error(folder, &e))?;
                names.retain(|name| check(name).is_ok());
                names.sort();
                Ok(names)
            }
        }
    }

    /// Sets a file's content, whole or not at all.
    pub fn replace(&self, name: &str, content: &[u8]) -> Result<(), StorageError> {
        check(name)?;
        match &self.location {
            Location::Memory(files) => {
                let mut files = lock(files);
                files.change()?;
                files.files.insert(name.to_string(), Arc::new(content.to_vec()));
                Ok(())
            }
            Location::Folder(folder) => {
                disk::replace(folder, name, content).map_err(|e| error(&folder.join(name), &e))
            }
        }
    }

    /// Removes a file, if it is there.
    pub fn remove(&self, name: &str) -> Result<(), StorageError> {
        check(name)?;
        match &self.location {
            Location::Memory(files) => {
                let mut files = lock(files);
                files.change()?;
                files.files.remove(name);
                Ok(())
            }
            Location::Folder(folder) => {
                let path = folder.join(name);
                match std::fs::remove_file(&path) {
                    Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(error(&path, &e)),
                    _ => Ok(()),
                }
            }
        }
    }

    /// Returns when everything that was replaced and removed is on the disk.
    pub fn sync(&self) -> Result<(), StorageError> {
        match &self.location {
            Location::Memory(_) => Ok(()),
            Location::Folder(folder) => disk::sync(folder).map_err(|e| error(folder, &e)),
        }
    }

    /// Whether nothing at all is there yet, but for what a crash in the first `replace` leaves.
    pub(crate) fn is_unused(&self) -> Result<bool, StorageError> {
        match &self.location {
            Location::Memory(files) => Ok(lock(files).files.is_empty()),
            Location::Folder(folder) => disk::is_unused(folder).map_err(|e| error(folder, &e)),
        }
    }
}

/// A panic of another thread leaves it usable: each change is one call of the map.
fn lock(files: &Mutex<Memory>) -> MutexGuard<'_, Memory> {
    files.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Names are plain: no folders, nothing hidden, the same on every file system.
fn check(name: &str) -> Result<(), StorageError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let is_plain = name.bytes().all(plain) && !name.starts_with('.');
    if !name.is_empty() && name.len() <= NAME_BYTES_MAX && is_plain {
        return Ok(());
    }
    Err(StorageError::BadName { name: name.chars().take(NAME_BYTES_MAX).collect() })
}

fn error(path: &Path, cause: &std::io::Error) -> StorageError {
    let detail = format!("{}: {cause}", path.display());
    match cause.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            StorageError::DiskFull { detail }
        }
        _ => StorageError::Io { detail },
    }
}

const NAME_BYTES_MAX: usize = 200;

/// The calls of the operating system.
mod disk {
    use std::fs::{DirBuilder, File, OpenOptions};
    use std::io::{ErrorKind, Read as _, Result, Write as _};
    use std::path::{Path, PathBuf};

    /// Names that begin so are new contents on their way; no file of a [`super::Files`] does.
    const NEW: &str = ".new-";

    pub(super) fn create(path: &Path) -> Result<()> {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(path)
    }

    /// Up to one byte more than `bytes_max`.
    pub(super) fn read(path: &Path, bytes_max: usize) -> Result<Option<Vec<u8>>> {
        let file = match File::open(path) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
        let mut content = Vec::new();
        file.take(limit).read_to_end(&mut content)?;
        Ok(Some(content))
    }

    pub(super) fn files(folder: &Path) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_file()
                && let Ok(name) = entry.file_name().into_string()
            {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// The content is on the disk before it gets its name, or a loss of power could leave the name
    /// with nothing behind it.
    pub(super) fn replace(folder: &Path, name: &str, content: &[u8]) -> Result<()> {
        let new = folder.join(format!("{NEW}{name}"));
        let mut file = new_file(&new)?;
        file.write_all(content)?;
        file.sync_all()?;
        drop(file);
        // ST-13: the name changes in one step, after the content is on the disk.
        std::fs::rename(&new, folder.join(name))
    }

    /// A content that has no name yet. One that is left over is no obstacle: it is replaced.
    pub(super) fn create_new(folder: &Path, name: &str) -> Result<(PathBuf, File)> {
        let new = folder.join(format!("{NEW}{name}"));
        let file = new_file(&new)?;
        Ok((new, file))
    }

    fn new_file(new: &Path) -> Result<File> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(new)
    }

    /// The contents that have no name.
    pub(super) fn unfinished(folder: &Path) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(NEW) {
                found.push(entry.path());
            }
        }
        Ok(found)
    }

    pub(super) fn sync(folder: &Path) -> Result<()> {
        File::open(folder)?.sync_all()
    }

    pub(super) fn is_unused(folder: &Path) -> Result<bool> {
        for entry in std::fs::read_dir(folder)? {
            if !entry?.file_name().to_string_lossy().starts_with(NEW) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
