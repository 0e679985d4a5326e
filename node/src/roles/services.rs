//! What a trusted side gets from its host: proven state, light blocks, tree nodes. Called on plain
//! threads, so it may wait for the async side.

use std::sync::Arc;

use paralith_boundary::{Failure, HostServices};
use paralith_worker::Chain as _;
use tokio::runtime::Handle;

use crate::chain::ChainAccess;

/// Where a compute node's trusted side reads the state tree; none for key managers.
pub trait StateTree: Send + Sync {
    /// A node of the tree at a final round.
    fn node(&self, round: u64, id: &[u8]) -> Result<Option<Vec<u8>>, Failure>;
    /// A value at a final round.
    fn value(&self, round: u64, key: &[u8]) -> Result<Option<Vec<u8>>, Failure>;
}

/// Host services over the node's view of the chain.
pub struct BridgeServices {
    name: String,
    chain: Arc<ChainAccess>,
    tree: Option<Arc<dyn StateTree>>,
    runtime: Handle,
}

impl std::fmt::Debug for BridgeServices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BridgeServices({})", self.name)
    }
}

impl BridgeServices {
    /// For the trusted side of this name, from within the async runtime.
    pub fn new(name: String, chain: Arc<ChainAccess>, tree: Option<Arc<dyn StateTree>>) -> Self {
        Self { name, chain, tree, runtime: Handle::current() }
    }
}

fn unavailable(error: impl std::fmt::Display) -> Failure {
    Failure::new("host", 1, error)
}

impl HostServices for BridgeServices {
    fn consensus_get(
        &self,
        height: u64,
        key: &[u8],
    ) -> Result<(Option<Vec<u8>>, Vec<u8>), Failure> {
        self.runtime.block_on(self.chain.proven(height, key.to_vec())).map_err(unavailable)
    }

    fn light_block(&self, height: u64) -> Result<Vec<u8>, Failure> {
        self.runtime.block_on(self.chain.light_block(height)).map_err(unavailable)
    }

    fn state_node(&self, round: u64, id: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        match &self.tree {
            Some(tree) => tree.node(round, id),
            None => Err(unavailable("this trusted side has no state tree")),
        }
    }

    fn state_value(&self, round: u64, key: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        match &self.tree {
            Some(tree) => tree.value(round, key),
            None => Err(unavailable("this trusted side has no state tree")),
        }
    }

    fn log(&self, text: &str) {
        tracing::info!(trusted = %self.name, "{text}");
    }
}
