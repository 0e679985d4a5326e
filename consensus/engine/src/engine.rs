//! What the node asks of its engine, whichever it is.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use paralith_consensus_abci::BlockEvent;
use paralith_consensus_api::event::Event;
use paralith_consensus_app::{Info, Proven, TxOutcome};
use paralith_consensus_light::LightBlock;
use paralith_storage::Snapshot;
use paralith_types::{Hash, Height};
use tokio::sync::{broadcast, watch};

use crate::EngineError;

/// An answer that takes a while.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, EngineError>> + Send + 'a>>;

/// Where the chain stands, as this node sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// "cometbft" or "solo".
    pub engine: &'static str,
    /// The last committed block and the root of the state after it.
    pub committed: Info,
    /// Whether the engine makes or follows blocks now; not while CometBFT starts or catches up.
    pub ready: bool,
    /// How often the engine ended without having been asked to and was started anew.
    pub restarts: u64,
}

/// A consensus engine that runs.
pub trait Engine: Debug + Send + Sync {
    /// Admits a transaction by the application's own check, and hands it on. The outcome is the
    /// admission's, not the block's.
    fn submit(&self, raw: Vec<u8>) -> Answer<'_, TxOutcome>;

    /// Where the chain stands.
    fn status(&self) -> Status;

    /// Committed blocks from now on.
    fn subscribe(&self) -> broadcast::Receiver<Arc<BlockEvent>>;

    /// A value of state with its proof; of the last committed state without a height.
    fn query(&self, height: Option<Height>, key: &[u8]) -> Result<Proven, EngineError>;

    /// The state of a kept height.
    fn state(&self, height: Option<Height>) -> Result<Snapshot, EngineError>;

    /// The events of a kept block; none if it is not kept.
    fn events(&self, height: Height) -> Result<Option<Vec<Event>>, EngineError>;

    /// What a kept block gave, also after a restart; none if it is not committed or not kept.
    fn results(&self, height: Height) -> Result<Option<BlockEvent>, EngineError>;

    /// The lowest height whose results are kept.
    fn results_from(&self) -> Result<Option<Height>, EngineError>;

    /// What a transaction of a kept block gave, and the block's height.
    fn transaction(&self, hash: &Hash) -> Result<Option<(Height, TxOutcome)>, EngineError>;

    /// A header with its commit and validators; the newest without a height.
    fn light_block(&self, height: Option<Height>) -> Answer<'_, LightBlock>;

    /// Asks for blocks without pause (or no more). Only the solo engine heeds it: a network's pace
    /// is not one node's to set.
    fn set_hurry(&self, hurry: bool);

    /// Becomes `Some` with the reason when the node has to stop.
    fn fatal(&self) -> watch::Receiver<Option<String>>;

    /// Ends the engine in good order. What is committed stays.
    fn shutdown(&self) -> Answer<'_, ()>;
}
