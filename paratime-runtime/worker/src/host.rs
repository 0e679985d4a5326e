//! What a node's host gives its enclave to work on: consensus state with proofs, light blocks,
//! and nodes of the ParaTime's state tree. The enclave verifies all of it.

use std::fmt;
use std::sync::Arc;

use paralith_rt::Handle;
use paralith_storage::{Kv, NodeSource, StorageError, Tree};
use paralith_types::RuntimeId;

use crate::chain::{Chain, ProvenValue};
use crate::error::{ChainError, EnclaveError};

/// Serves one enclave from the chain and from this node's copy of the state.
///
/// Its functions block: they are called on the thread that reads the boundary's stream, which is
/// none of the async runtime's.
#[derive(Clone)]
pub struct HostStore {
    chain: Arc<dyn Chain>,
    tree: Tree,
    runtime: Handle,
}

impl fmt::Debug for HostStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostStore").finish_non_exhaustive()
    }
}

impl HostStore {
    /// Serves a ParaTime's enclave; `runtime` drives the calls to the chain.
    pub fn new(chain: Arc<dyn Chain>, kv: Kv, runtime_id: &RuntimeId, runtime: Handle) -> Self {
        Self { chain, tree: Tree::new(kv, runtime_id.as_bytes()), runtime }
    }

    /// A value of consensus state at a height, with its proof.
    pub fn consensus_get(&self, height: u64, key: &[u8]) -> Result<ProvenValue, EnclaveError> {
        let ask = self.chain.proven(height, key.to_vec());
        self.runtime.wait(ask).map_err(|e| of_chain(&e))
    }

    /// An encoded light block; of height 0 the newest.
    pub fn light_block(&self, height: u64) -> Result<Vec<u8>, EnclaveError> {
        self.runtime.wait(self.chain.light_block(height)).map_err(|e| of_chain(&e))
    }

    /// A node of the state tree as of a final round.
    pub fn state_node(&self, round: u64, id: &[u8]) -> Result<Option<Vec<u8>>, EnclaveError> {
        let Some(version) = self.version(round)? else { return Ok(None) };
        // The root is asked for by its version, which is the last round that had results.
        let id = if id.len() == 8 { version.to_be_bytes().to_vec() } else { id.to_vec() };
        self.tree.node_source(version).node(&id).map_err(|e| of_storage(&e))
    }

    /// A value of the state as of a final round.
    pub fn state_value(&self, round: u64, key: &[u8]) -> Result<Option<Vec<u8>>, EnclaveError> {
        let Some(version) = self.version(round)? else { return Ok(None) };
        self.tree.node_source(version).value(key).map_err(|e| of_storage(&e))
    }

    /// The version that holds the state after a round: rounds without results make none.
    fn version(&self, round: u64) -> Result<Option<u64>, EnclaveError> {
        let mut version = round;
        let oldest = self.tree.oldest().map_err(|e| of_storage(&e))?;
        let latest = self.tree.latest().map_err(|e| of_storage(&e))?;
        let (Some(oldest), Some((latest, _))) = (oldest, latest) else { return Ok(None) };
        if version >= latest {
            return Ok(Some(latest));
        }
        while version >= oldest {
            if self.tree.root(version).map_err(|e| of_storage(&e))?.is_some() {
                return Ok(Some(version));
            }
            version = version.saturating_sub(1);
        }
        Ok(None)
    }
}

fn of_chain(error: &ChainError) -> EnclaveError {
    let (code, message) = (error.code(), error.to_string());
    EnclaveError { module: "worker-chain".to_string(), code, message }
}

fn of_storage(error: &StorageError) -> EnclaveError {
    let message = error.to_string();
    EnclaveError { module: "worker-store".to_string(), code: 1, message }
}
