//! Consensus as a worker sees it.

use futures::future::BoxFuture;
use paralith_consensus_api::event::Event;
use paralith_consensus_api::tx::Body;
use tokio::sync::broadcast;

use crate::error::ChainError;

/// A consensus block. It only wakes: what is decided on is the state.
#[derive(Debug, Clone)]
pub struct ChainBlock {
    /// Its height.
    pub height: u64,
    /// Its events.
    pub events: Vec<Event>,
}

/// A value of consensus state at a height with the proof of it or of its absence.
pub type ProvenValue = (Option<Vec<u8>>, Vec<u8>);

/// A height and a value of its state.
pub type HeightValue = (u64, Option<Vec<u8>>);

/// The consensus chain. An implementation verifies what it reads by light client and proof,
/// unless the application runs in the same process.
pub trait Chain: Send + Sync {
    /// New blocks. A receiver that falls behind loses blocks, never state.
    fn subscribe(&self) -> broadcast::Receiver<ChainBlock>;

    /// A value of state, verified, and the height whose state it is; without a height, of the newest
    /// proven one.
    fn get_raw(
        &self,
        height: Option<u64>,
        key: Vec<u8>,
    ) -> BoxFuture<'_, Result<HeightValue, ChainError>>;

    /// A value of state with its proof, for the enclave, which verifies it itself.
    fn proven(&self, height: u64, key: Vec<u8>) -> BoxFuture<'_, Result<ProvenValue, ChainError>>;

    /// An encoded light block; of height 0 the newest.
    fn light_block(&self, height: u64) -> BoxFuture<'_, Result<Vec<u8>, ChainError>>;

    /// Signs a transaction as this node and submits it. Returns when it is in the engine's pool or
    /// refused; nonces are the implementation's to keep.
    fn submit(&self, body: Body) -> BoxFuture<'_, Result<(), ChainError>>;
}
