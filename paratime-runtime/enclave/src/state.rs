//! A runtime's state while calls run on it: what the verified tree holds, decrypted, and above it
//! what the round has written so far.

use std::collections::BTreeMap;

use paralith_runtime_api::state::{PUBLIC_KEY_PREFIX, public_place};
use paralith_storage::{Changes, EMPTY_ROOT};
use paralith_types::{Hash, Round};

use super::error::EnclaveError;
use super::kept::HostTree;
use super::sealer::{RoundContext, Sealer};
use paralith_runtime_vm::{State, StateError};

type Entry = Option<Vec<u8>>;

/// The state that a round's calls see. A call's writes are kept or undone as a whole.
pub(crate) struct RoundState<'a> {
    tree: &'a mut HostTree,
    sealer: Option<&'a Sealer>,
    /// Whether entries under [`PUBLIC_KEY_PREFIX`] are not sealed.
    public_entries: bool,
    /// What was there before the round, decrypted.
    before: BTreeMap<Vec<u8>, Entry>,
    written: BTreeMap<Vec<u8>, Entry>,
    /// What the running call overwrote: none where the round had not written before.
    undo: Vec<(Vec<u8>, Option<Entry>)>,
    /// Most bytes that `written` takes in the write log.
    written_bytes: usize,
}

/// Bytes that an entry of the write log has besides key and value: the seal's header and tag, and
/// the encoding.
const ENTRY_BYTES: usize = 96;

/// Most bytes of an entry in the write log. In confidential runtimes 32 bytes stand for the key, and
/// before it if it is public; a public entry has no seal, which is longer.
fn entry_bytes(key: &[u8], entry: &Entry) -> usize {
    let value = entry.as_ref().map_or(0, Vec::len);
    key.len().max(32).saturating_add(value).saturating_add(ENTRY_BYTES)
}

impl<'a> RoundState<'a> {
    pub(crate) fn new(
        tree: &'a mut HostTree,
        sealer: Option<&'a Sealer>,
        public_entries: bool,
    ) -> Self {
        let (before, written) = (BTreeMap::new(), BTreeMap::new());
        let undo = Vec::new();
        Self { tree, sealer, public_entries, before, written, undo, written_bytes: 0 }
    }

    /// Where the tree has an entry: sealed, with the sealer and its index there, or in the clear.
    fn place(&self, key: &[u8]) -> (Vec<u8>, Option<&'a Sealer>) {
        match self.sealer {
            None => (key.to_vec(), None),
            // AB-3
            Some(_) if self.public_entries && key.first() == Some(&PUBLIC_KEY_PREFIX) => {
                (public_place(key), None)
            }
            Some(sealer) => (sealer.index(key).to_vec(), Some(sealer)),
        }
    }

    /// The call is over and its writes stay.
    pub(crate) fn keep(&mut self) {
        self.undo.clear();
    }

    /// The call failed: it never wrote.
    pub(crate) fn undo(&mut self) {
        while let Some((key, entry)) = self.undo.pop() {
            let mut bytes = self.written_bytes;
            if let Some(undone) = self.written.remove(&key) {
                bytes = bytes.saturating_sub(entry_bytes(&key, &undone));
            }
            if let Some(entry) = entry {
                bytes = bytes.saturating_add(entry_bytes(&key, &entry));
                self.written.insert(key, entry);
            }
            self.written_bytes = bytes;
        }
    }

    /// Most bytes that the write log takes so far.
    pub(crate) fn written_bytes(&self) -> usize {
        self.written_bytes
    }

    pub(crate) fn read(&mut self, key: &[u8]) -> Result<Entry, EnclaveError> {
        match self.written.get(key) {
            Some(entry) => Ok(entry.clone()),
            None => self.read_before(key),
        }
    }

    pub(crate) fn write(&mut self, key: Vec<u8>, value: Entry) {
        let mut bytes = self.written_bytes.saturating_add(entry_bytes(&key, &value));
        let old = self.written.insert(key.clone(), value);
        if let Some(old) = &old {
            bytes = bytes.saturating_sub(entry_bytes(&key, old));
        }
        self.written_bytes = bytes;
        self.undo.push((key, old));
    }

    fn read_before(&mut self, key: &[u8]) -> Result<Entry, EnclaveError> {
        if let Some(entry) = self.before.get(key) {
            return Ok(entry.clone());
        }
        let entry = match self.place(key) {
            (place, None) => self.tree.get(&place)?,
            (index, Some(sealer)) => {
                let sealed = self.tree.get(&index)?;
                let open = |sealed: Vec<u8>| sealer.open_value(&index, &sealed);
                // The root vouches for the bytes, so it is a key that is missing or wrong here.
                sealed.map(open).transpose().map_err(|_| {
                    EnclaveError::StateUnavailable("a value does not open with these keys".into())
                })?
            }
        };
        self.before.insert(key.to_vec(), entry.clone());
        Ok(entry)
    }

    /// The changes of the round as the tree stores them. What is as before is not written again.
    pub(crate) fn changes(
        &mut self,
        generation: u64,
        context: &RoundContext,
    ) -> Result<Changes, EnclaveError> {
        let mut changes = Changes::new();
        for (key, value) in std::mem::take(&mut self.written) {
            if self.read_before(&key)? == value {
                continue;
            }
            let (place, sealer) = self.place(&key);
            let Some(sealer) = sealer else {
                changes.insert(place, value);
                continue;
            };
            let sealed = match value {
                None => None,
                Some(value) => {
                    let sealed = sealer.seal_value(generation, context, &place, &value);
                    Some(sealed.ok_or_else(|| missing(generation))?)
                }
            };
            changes.insert(place, sealed);
        }
        Ok(changes)
    }

    /// The root that these changes lead to.
    pub(crate) fn root_after(
        &mut self,
        round: Round,
        changes: &Changes,
    ) -> Result<Hash, EnclaveError> {
        if changes.is_empty() && self.tree.root() == EMPTY_ROOT {
            return Ok(EMPTY_ROOT);
        }
        Ok(self.tree.root_after(round.0, changes)?)
    }
}

/// A generation whose keys this enclave does not have.
pub(crate) fn missing(generation: u64) -> EnclaveError {
    EnclaveError::NoKeys(format!("of generation {generation}"))
}

impl State for RoundState<'_> {
    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        self.read(key).map_err(|error| StateError { reason: error.to_string() })
    }

    fn set(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) -> Result<(), StateError> {
        self.write(key, value);
        Ok(())
    }
}
