//! Contents that are written and read in pieces, so that none is in memory whole.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::{Files, Location, Memory, check, disk, error, lock};
use crate::StorageError;

/// A content on its way: it has no name, [`Files::list`] does not show it, and
/// [`Files::remove_unfinished`] removes it. Dropping it leaves it there.
#[derive(Debug)]
pub struct NewFile {
    place: Place,
    synced: bool,
}

#[derive(Debug)]
enum Place {
    Memory { files: Arc<Mutex<Memory>>, temporary: String },
    Folder { folder: Arc<PathBuf>, path: PathBuf, file: File },
}

/// A file that is open for reading. It reads the content that the name had when it was opened, also
/// after the file was replaced or removed.
#[derive(Debug)]
pub struct FileReader(Source);

#[derive(Debug)]
enum Source {
    Memory { content: Arc<Vec<u8>>, at: usize },
    File { file: File, path: PathBuf },
}

impl Files {
    /// Begins a content that gets its name later. Two contents under way at once have different
    /// `temporary` names.
    pub fn create(&self, temporary: &str) -> Result<NewFile, StorageError> {
        check(temporary)?;
        let place = match &self.location {
            Location::Memory(files) => {
                let mut memory = lock(files);
                memory.change()?;
                memory.unfinished.insert(temporary.to_string(), Vec::new());
                Place::Memory { files: Arc::clone(files), temporary: temporary.to_string() }
            }
            Location::Folder(folder) => {
                let (path, file) = disk::create_new(folder, temporary)
                    .map_err(|e| error(&folder.join(temporary), &e))?;
                Place::Folder { folder: Arc::clone(folder), path, file }
            }
        };
        Ok(NewFile { place, synced: false })
    }

    /// Opens a file; none if there is no such file.
    pub fn open(&self, name: &str) -> Result<Option<FileReader>, StorageError> {
        check(name)?;
        match &self.location {
            Location::Memory(files) => Ok(lock(files)
                .files
                .get(name)
                .map(|content| FileReader(Source::Memory { content: Arc::clone(content), at: 0 }))),
            Location::Folder(folder) => {
                let path = folder.join(name);
                match File::open(&path) {
                    Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
                    Err(e) => Err(error(&path, &e)),
                    Ok(file) => Ok(Some(FileReader(Source::File { file, path }))),
                }
            }
        }
    }

    /// The length of a file in bytes; none if there is no such file.
    pub fn length(&self, name: &str) -> Result<Option<u64>, StorageError> {
        self.open(name)?.map(|file| file.length()).transpose()
    }

    /// Removes the contents that a crash left without a name, and returns how many there were. No
    /// content may be under way.
    pub fn remove_unfinished(&self) -> Result<usize, StorageError> {
        match &self.location {
            Location::Memory(files) => {
                let mut memory = lock(files);
                memory.change()?;
                Ok(std::mem::take(&mut memory.unfinished).len())
            }
            Location::Folder(folder) => {
                let left = disk::unfinished(folder).map_err(|e| error(folder, &e))?;
                for path in &left {
                    std::fs::remove_file(path).map_err(|e| error(path, &e))?;
                }
                Ok(left.len())
            }
        }
    }

    /// For tests of crashes: after so many further changes of a set in memory each change fails, as
    /// if the process had been killed before it. Without a number changes succeed again. It has no
    /// effect on a folder.
    pub fn fail_after(&self, changes: Option<u64>) {
        if let Location::Memory(files) = &self.location {
            lock(files).changes_left = changes;
        }
    }
}

impl NewFile {
    /// Adds bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        self.synced = false;
        match &mut self.place {
            Place::Memory { files, temporary } => {
                let mut memory = lock(files);
                memory.change()?;
                if let Some(content) = memory.unfinished.get_mut(temporary) {
                    content.extend_from_slice(bytes);
                }
                Ok(())
            }
            Place::Folder { path, file, .. } => file.write_all(bytes).map_err(|e| error(path, &e)),
        }
    }

    /// Returns when its bytes are on the disk.
    pub fn sync(&mut self) -> Result<(), StorageError> {
        if self.synced {
            return Ok(());
        }
        match &mut self.place {
            Place::Memory { files, .. } => lock(files).change()?,
            Place::Folder { path, file, .. } => file.sync_all().map_err(|e| error(path, &e))?,
        }
        self.synced = true;
        Ok(())
    }

    /// Syncs it and gives it its name, in one step: a file of this name is replaced.
    pub fn publish(mut self, name: &str) -> Result<(), StorageError> {
        check(name)?;
        // ST-13: as for `replace`, the content is on the disk before it has its name.
        self.sync()?;
        match self.place {
            Place::Memory { files, temporary } => {
                let mut memory = lock(&files);
                memory.change()?;
                let content = memory.unfinished.remove(&temporary).unwrap_or_default();
                memory.files.insert(name.to_string(), Arc::new(content));
                Ok(())
            }
            Place::Folder { folder, path, .. } => {
                let named = folder.join(name);
                std::fs::rename(&path, &named).map_err(|e| error(&named, &e))
            }
        }
    }

    /// Removes it.
    pub fn discard(self) -> Result<(), StorageError> {
        match self.place {
            Place::Memory { files, temporary } => {
                let mut memory = lock(&files);
                memory.change()?;
                memory.unfinished.remove(&temporary);
                Ok(())
            }
            Place::Folder { path, .. } => std::fs::remove_file(&path).map_err(|e| error(&path, &e)),
        }
    }
}

impl FileReader {
    /// The length of the whole file in bytes.
    pub fn length(&self) -> Result<u64, StorageError> {
        match &self.0 {
            Source::Memory { content, .. } => Ok(u64::try_from(content.len()).unwrap_or(u64::MAX)),
            Source::File { file, path } => {
                file.metadata().map(|data| data.len()).map_err(|e| error(path, &e))
            }
        }
    }

    /// The next bytes, at most `bytes_max`; none at the end.
    pub fn next(&mut self, bytes_max: usize) -> Result<Vec<u8>, StorageError> {
        match &mut self.0 {
            Source::Memory { content, at } => {
                let rest = content.get(*at..).unwrap_or_default();
                let piece = rest.get(..bytes_max.min(rest.len())).unwrap_or_default().to_vec();
                *at += piece.len();
                Ok(piece)
            }
            Source::File { file, path } => {
                let mut piece = Vec::with_capacity(bytes_max);
                let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX);
                file.take(limit).read_to_end(&mut piece).map_err(|e| error(path, &e))?;
                Ok(piece)
            }
        }
    }
}
