//! The newest light blocks, each fetched from CometBFT once.
//!
//! Every other node follows the chain by them, and so does every enclave: without this each of
//! them would cost CometBFT a request for every height.

use std::collections::BTreeMap;

use paralith_consensus_light::LightBlock;
use paralith_types::Height;
use tokio::sync::Mutex;

use super::rpc::Rpc;
use crate::EngineError;

/// How many are kept: more than an enclave verifies one by one after a pause.
const KEPT: usize = 256;

/// Light blocks by height.
#[derive(Debug)]
pub(crate) struct LightBlocks {
    rpc: Rpc,
    /// Locked while one is fetched: whoever asks for the same at the same time gets that one.
    kept: Mutex<BTreeMap<Height, LightBlock>>,
}

impl LightBlocks {
    pub(crate) fn new(rpc: Rpc) -> Self {
        Self { rpc, kept: Mutex::default() }
    }

    /// The light block of a height; without one, the newest that CometBFT has.
    pub(crate) async fn at(&self, height: Option<Height>) -> Result<LightBlock, EngineError> {
        let Some(height) = height else { return self.rpc.light_block(None).await };
        let mut kept = self.kept.lock().await;
        if let Some(block) = kept.get(&height) {
            return Ok(block.clone());
        }
        let block = self.rpc.light_block(Some(height)).await?;
        kept.insert(height, block.clone());
        if kept.len() > KEPT {
            kept.pop_first();
        }
        Ok(block)
    }
}
