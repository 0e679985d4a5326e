//! The state that one call sees: the application's entries under a root of the ledger, and above them
//! what the call has written.

use std::collections::BTreeMap;

use paralith_chaincode_core::respond::{Accesses, MAX_ENTRIES};
use paralith_chaincode_messages::{CODE_MARKER_KEY, MAX_RESPONSE_BYTES, Version};
use paralith_runtime_abi::REVEAL_INTENT_PREFIX;
use paralith_runtime_enclave::{EnclaveError, RoundContext, Sealer, StateTree};
use paralith_runtime_vm::{State, StateError};
use paralith_types::{Hash, RuntimeId};

use crate::proven;

type Entry = Option<Vec<u8>>;

/// The state of one call.
pub(crate) struct CallState<'a, 't> {
    tree: &'a mut StateTree<'t>,
    sealer: &'a Sealer,
    application: RuntimeId,
    /// Stands for the round in what `request_reveal` writes.
    tx_id: Option<Hash>,
    /// What the snapshot has, opened.
    before: BTreeMap<Vec<u8>, Entry>,
    /// Versions of what was read of the snapshot.
    reads: BTreeMap<Hash, Option<Version>>,
    written: BTreeMap<Vec<u8>, Entry>,
    written_bytes: usize,
    /// The call reads or writes more than a response takes.
    exceeded: bool,
    /// Why the snapshot could not be read.
    fault: Option<EnclaveError>,
}

impl<'a, 't> CallState<'a, 't> {
    pub(crate) fn new(
        tree: &'a mut StateTree<'t>,
        sealer: &'a Sealer,
        application: RuntimeId,
        tx_id: Option<Hash>,
    ) -> Self {
        Self {
            tree,
            sealer,
            application,
            tx_id,
            before: BTreeMap::new(),
            reads: BTreeMap::new(),
            written: BTreeMap::new(),
            written_bytes: 0,
            exceeded: false,
            fault: None,
        }
    }

    /// The code whose state this is. A recorded read as any other.
    pub(crate) fn code_marker(&mut self) -> Result<Entry, EnclaveError> {
        self.read(CODE_MARKER_KEY)
    }

    /// The state is of this code from now on.
    pub(crate) fn mark(&mut self, code: &[u8]) {
        self.write(CODE_MARKER_KEY.to_vec(), Some(code.to_vec()));
    }

    /// Whether the call reads or writes more than any response takes.
    pub(crate) fn exceeded(&self) -> bool {
        self.exceeded
    }

    /// Why the last call could not read the snapshot.
    pub(crate) fn take_fault(&mut self) -> Option<EnclaveError> {
        self.fault.take()
    }

    pub(crate) fn read(&mut self, key: &[u8]) -> Result<Entry, EnclaveError> {
        // What the call wrote itself is no read of the snapshot.
        if let Some(entry) = self.written.get(key).or_else(|| self.before.get(key)) {
            return Ok(entry.clone());
        }
        let opened = proven::entry(self.tree, self.sealer, &self.application, key)?;
        self.reads.insert(opened.index, opened.version);
        self.before.insert(key.to_vec(), opened.value.clone());
        Ok(opened.value)
    }

    fn write(&mut self, key: Vec<u8>, value: Entry) {
        let size = |key: &[u8], entry: &Entry| {
            key.len().saturating_add(entry.as_ref().map_or(0, Vec::len))
        };
        let mut bytes = self.written_bytes.saturating_add(size(&key, &value));
        if let Some(old) = self.written.get(&key) {
            bytes = bytes.saturating_sub(size(&key, old));
        }
        self.written_bytes = bytes;
        self.written.insert(key, value);
    }

    /// What the call did. `succeeded`: its writes count, sealed for this execution, unchanged ones
    /// too.
    pub(crate) fn accesses(
        self,
        generation: u64,
        context: &RoundContext,
        succeeded: bool,
    ) -> Result<Accesses, EnclaveError> {
        let mut accesses = Accesses { reads: self.reads, ..Accesses::default() };
        if !succeeded {
            return Ok(accesses);
        }
        let missing = || EnclaveError::NoKeys(format!("of generation {generation}"));
        for (key, value) in self.written {
            let place = self.sealer.index(&key);
            let index = Hash::try_from(place.as_slice()).map_err(|_| missing())?;
            let seal = |value: Vec<u8>| {
                let sealed = self.sealer.seal_value(generation, context, &place, &value);
                sealed.ok_or_else(missing)
            };
            accesses.writes.insert(index, value.map(seal).transpose()?);
        }
        Ok(accesses)
    }

    fn too_much(&mut self) -> StateError {
        self.exceeded = true;
        StateError { reason: "the call reads or writes more than a response takes".into() }
    }
}

impl State for CallState<'_, '_> {
    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        let known = self.written.contains_key(key) || self.before.contains_key(key);
        if !known && self.reads.len() >= MAX_ENTRIES {
            return Err(self.too_much());
        }
        self.read(key).map_err(|error| {
            let reason = error.to_string();
            self.fault = Some(error);
            StateError { reason }
        })
    }

    fn set(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) -> Result<(), StateError> {
        let value = match self.tx_id {
            Some(tx_id) if key.starts_with(REVEAL_INTENT_PREFIX) => Some(tx_id.as_bytes().to_vec()),
            _ => value,
        };
        self.write(key, value);
        // One entry is kept for the code marker.
        if self.written.len() >= MAX_ENTRIES || self.written_bytes > MAX_RESPONSE_BYTES {
            return Err(self.too_much());
        }
        Ok(())
    }
}
