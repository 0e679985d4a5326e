//! One process a home.

use std::fs::{File, OpenOptions};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use crate::EngineError;

/// Holds a home until it is dropped, or the process ends in whatever way.
#[derive(Debug)]
pub(crate) struct HomeLock {
    _file: File,
}

impl HomeLock {
    /// Takes the home, which is made if it is not there.
    pub(crate) fn take(home: &Path) -> Result<Self, EngineError> {
        let path = home.join("lock");
        let failed = |e: std::io::Error| EngineError::Home {
            path: path.display().to_string(),
            reason: e.to_string(),
        };
        std::fs::create_dir_all(home).map_err(failed)?;
        let options = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = options.map_err(failed)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _file: file }),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                Err(EngineError::Locked { path: home.display().to_string() })
            }
            Err(e) => Err(failed(e.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_is_taken_once_and_again_after_it_was_left() {
        let home = tempfile::tempdir().unwrap();
        let held = HomeLock::take(home.path()).unwrap();
        assert_eq!(HomeLock::take(home.path()).unwrap_err().code(), 7);
        drop(held);
        HomeLock::take(home.path()).unwrap();
    }
}
