//! What an enclave gets from its host: proven state, light blocks, tree nodes. Called on plain
//! threads, so it may wait for the async side.

use std::sync::Arc;

use paralith_rt::Handle;
use paralith_runtime_worker::{Enclave, EnclaveError, HostStore};
use paralith_storage::Kv;
use paralith_tee_channel::{BoundaryError, Client, Failure, HostServices, pb};
use paralith_types::RuntimeId;

use crate::chain::ChainAccess;

/// Host services over the node's view of the chain and its copy of a ParaTime's state. A key
/// manager has no ParaTime's state: its copy is empty.
#[derive(Debug)]
pub struct BridgeServices {
    name: String,
    store: HostStore,
}

impl BridgeServices {
    /// For the enclave of this name, from within the async runtime.
    pub fn new(name: String, chain: Arc<ChainAccess>, kv: Kv, id: &RuntimeId) -> Self {
        Self { name, store: HostStore::new(chain, kv, id, Handle::current()) }
    }
}

fn failure(error: EnclaveError) -> Failure {
    Failure { module: error.module, code: error.code, message: error.message }
}

impl HostServices for BridgeServices {
    fn consensus_get(
        &self,
        height: u64,
        key: &[u8],
    ) -> Result<(Option<Vec<u8>>, Vec<u8>), Failure> {
        self.store.consensus_get(height, key).map_err(failure)
    }

    fn light_block(&self, height: u64) -> Result<Vec<u8>, Failure> {
        self.store.light_block(height).map_err(failure)
    }

    fn state_node(&self, round: u64, id: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        self.store.state_node(round, id).map_err(failure)
    }

    fn state_value(&self, round: u64, key: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        self.store.state_value(round, key).map_err(failure)
    }

    fn log(&self, text: &str) {
        tracing::info!(enclave = %self.name, "{text}");
    }
}

/// The boundary's client as a worker calls it.
#[derive(Debug)]
pub struct WorkerEnclave(pub Client);

impl Enclave for WorkerEnclave {
    fn call(&self, call: pb::runtime_call::Kind) -> Result<pb::runtime_reply::Kind, EnclaveError> {
        self.0.call(call).map_err(|error| match error {
            BoundaryError::Failure(Failure { module, code, message }) => {
                EnclaveError { module, code, message }
            }
            other => EnclaveError {
                module: "boundary".to_string(),
                code: other.code(),
                message: other.to_string(),
            },
        })
    }
}
