//! What our enclave is shown: the chain as it is, and any tree as the state.

use std::sync::Mutex;

use paralith_runtime_worker::{EnclaveError, HostStore};
use paralith_tee_channel::{Failure, HostServices};

use super::lock;

/// What our enclave gets from its host.
pub(super) struct Shown {
    /// The tree of the final rounds.
    pub(super) own: HostStore,
    /// A tree in place of that of the final rounds, and its newest round.
    pub(super) instead: Mutex<Option<(u64, HostStore)>>,
}

impl Shown {
    fn store(&self, round: u64) -> (u64, HostStore) {
        lock(&self.instead).clone().unwrap_or_else(|| (round, self.own.clone()))
    }
}

fn failure(error: EnclaveError) -> Failure {
    Failure { module: error.module, code: error.code, message: error.message }
}

impl HostServices for Shown {
    fn consensus_get(
        &self,
        height: u64,
        key: &[u8],
    ) -> Result<(Option<Vec<u8>>, Vec<u8>), Failure> {
        self.own.consensus_get(height, key).map_err(failure)
    }

    fn light_block(&self, height: u64) -> Result<Vec<u8>, Failure> {
        self.own.light_block(height).map_err(failure)
    }

    fn state_node(&self, round: u64, id: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        let (round, store) = self.store(round);
        store.state_node(round, id).map_err(failure)
    }

    fn state_value(&self, round: u64, key: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        let (round, store) = self.store(round);
        store.state_value(round, key).map_err(failure)
    }

    fn log(&self, _text: &str) {}
}
