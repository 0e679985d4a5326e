//! The contract's state while a batch runs: the salted tree, read in the clear, and what the batch wrote.

use paralith_private_contract_core::prf::unsalted;
use paralith_runtime_vm::{State, StateError};
use paralith_storage::{Overlay, Pair, Snapshot, StateRead, StorageError};

/// The values of a salted tree without their salts.
pub(super) struct Unsalted(pub(super) Snapshot);

fn value_of(held: &[u8]) -> Result<Vec<u8>, StorageError> {
    let corrupt = || StorageError::Corrupt { what: "an entry is shorter than its salt".into() };
    unsalted(held).map(|(_, value)| value.to_vec()).ok_or_else(corrupt)
}

impl StateRead for Unsalted {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        self.0.get(key)?.map(|held| value_of(&held)).transpose()
    }

    fn scan(
        &self,
        prefix: &[u8],
        start_after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Pair>, StorageError> {
        let found = self.0.scan(prefix, start_after, limit)?;
        found.into_iter().map(|(key, held)| Ok((key, value_of(&held)?))).collect()
    }
}

/// What one call reads and writes.
pub(super) struct CallState<'o, 'a> {
    pub(super) overlay: &'o mut Overlay<'a>,
    /// Bytes of keys and values that the call wrote.
    pub(super) written: usize,
}

impl State for CallState<'_, '_> {
    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        self.overlay.get(key).map_err(|error| StateError { reason: error.to_string() })
    }

    fn set(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) -> Result<(), StateError> {
        let bytes = key.len().saturating_add(value.as_ref().map_or(0, Vec::len));
        self.written = self.written.saturating_add(bytes);
        match value {
            Some(value) => self.overlay.set(key, value),
            None => self.overlay.remove(key),
        }
        Ok(())
    }
}
