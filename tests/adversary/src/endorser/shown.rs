//! What an enclave sees of the chain.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use paralith_consensus_api::roothash::{self, RuntimeState};
use paralith_proto::Canonical as _;
use paralith_runtime_worker::{EnclaveError, HostStore};
use paralith_storage::MAX_VALUE_BYTES;
use paralith_tee_channel::{Failure, HostServices};
use paralith_types::{Hash, RuntimeId};

use super::fork::Fork;

/// What a host shows its enclave.
#[derive(Debug, Clone)]
pub enum Show {
    /// The chain as it is.
    Truth,
    /// Consensus state of the height before the one that is asked for, with its proofs.
    OldState,
    /// A root of the ledger that nobody computed, with the proof of the true one.
    InventedRoot,
    /// No block above this height.
    NothingAbove(u64),
    /// A chain that parts from the real one.
    Fork(Arc<Fork>),
}

/// The host's side of the boundary.
pub(super) struct Shown {
    pub(super) own: HostStore,
    ledger: RuntimeId,
    show: Mutex<Show>,
    /// Keys of consensus state that the enclave has asked for.
    asked: Mutex<BTreeSet<Vec<u8>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shown {
    pub(super) fn new(own: HostStore, ledger: RuntimeId) -> Self {
        Self { own, ledger, show: Mutex::new(Show::Truth), asked: Mutex::default() }
    }

    pub(super) fn set(&self, show: Show) {
        *lock(&self.show) = show;
    }

    fn show(&self) -> Show {
        lock(&self.show).clone()
    }

    pub(super) fn asked(&self) -> BTreeSet<Vec<u8>> {
        lock(&self.asked).clone()
    }

    /// The true value's place taken by an invented one.
    fn invented(&self, key: &[u8], value: Option<Vec<u8>>) -> Option<Vec<u8>> {
        if key != roothash::keys::runtime_state(&self.ledger) {
            return value;
        }
        let mut state = RuntimeState::decode(&value?, MAX_VALUE_BYTES).ok()?;
        state.last_block.state_root = Hash([66; 32]);
        Some(state.encode())
    }
}

pub(super) fn failure(error: EnclaveError) -> Failure {
    Failure { module: error.module, code: error.code, message: error.message }
}

impl HostServices for Shown {
    fn consensus_get(
        &self,
        height: u64,
        key: &[u8],
    ) -> Result<(Option<Vec<u8>>, Vec<u8>), Failure> {
        lock(&self.asked).insert(key.to_vec());
        let own = |height| self.own.consensus_get(height, key).map_err(failure);
        match self.show() {
            Show::OldState => own(height.saturating_sub(1)),
            Show::InventedRoot => {
                let (value, proof) = own(height)?;
                Ok((self.invented(key, value), proof))
            }
            Show::Fork(fork) if height >= fork.height() => fork.consensus_get(key),
            _ => own(height),
        }
    }

    fn light_block(&self, height: u64) -> Result<Vec<u8>, Failure> {
        let height = match self.show() {
            Show::NothingAbove(last) if height == 0 => last,
            Show::NothingAbove(last) if height > last => {
                return Err(Failure::new("host", 1, "there are no more blocks"));
            }
            // The header after a state proves it.
            Show::Fork(fork) if height == 0 || height > fork.height() => {
                return Ok(fork.light_block());
            }
            _ => height,
        };
        self.own.light_block(height).map_err(failure)
    }

    fn state_node(&self, round: u64, id: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        match self.show() {
            Show::Fork(fork) if round == fork.round() => fork.state_node(id),
            _ => self.own.state_node(round, id).map_err(failure),
        }
    }

    fn state_value(&self, round: u64, key: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        match self.show() {
            Show::Fork(fork) if round == fork.round() => fork.state_value(key),
            _ => self.own.state_value(round, key).map_err(failure),
        }
    }

    fn log(&self, _text: &str) {}
}
