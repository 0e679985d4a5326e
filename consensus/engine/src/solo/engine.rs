//! The solo chain as a running engine: blocks on demand, and at least every so often.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use paralith_consensus_abci::{Application, BlockEvent};
use paralith_consensus_api::event::Event;
use paralith_consensus_app::{Proven, TxOutcome};
use paralith_consensus_light::LightBlock;
use paralith_genesis::Document;
use paralith_rt::JoinHandle;
use paralith_storage::{Kv, Snapshot};
use paralith_types::{Hash, Height};
use tokio::sync::{broadcast, watch};

use super::chain::{Chain, stored_light_block};
use crate::EngineError;
use crate::engine::{Answer, Engine, Status};
use crate::headers::ConsensusKey;
use crate::lock::HomeLock;

/// Gives the time since 1970.
pub type Clock = Arc<dyn Fn() -> Duration + Send + Sync>;

/// The machine's clock.
pub fn system_clock() -> Clock {
    Arc::new(|| Duration::from_millis(paralith_rt::unix_time_ms()))
}

/// How a solo engine runs.
#[derive(Clone)]
pub struct SoloOptions {
    /// The chain.
    pub document: Document,
    /// Where blocks are kept; may be the application's store.
    pub kv: Kv,
    /// A folder that no other process may run with at the same time; none for stores in memory.
    pub home: Option<PathBuf>,
    /// The keys it signs with: more than two thirds of the voting power.
    pub keys: Vec<ConsensusKey>,
    /// A block is made at least this often.
    pub empty_block_interval: Duration,
    /// Most bytes of a block's transactions.
    pub max_block_bytes: i64,
    /// The time that headers get.
    pub clock: Clock,
}

impl fmt::Debug for SoloOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SoloOptions")
            .field("home", &self.home)
            .field("keys", &self.keys)
            .field("empty_block_interval", &self.empty_block_interval)
            .field("max_block_bytes", &self.max_block_bytes)
            .finish_non_exhaustive()
    }
}

/// A chain of one validator that runs.
#[derive(Debug)]
pub struct SoloEngine {
    application: Application,
    kv: Kv,
    hurry: watch::Sender<bool>,
    stop: watch::Sender<bool>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl SoloEngine {
    /// Opens the chain and begins to make blocks.
    pub async fn start(
        application: &Application,
        options: SoloOptions,
    ) -> Result<Self, EngineError> {
        let lock = options.home.as_deref().map(HomeLock::take).transpose()?;
        let kv = options.kv.clone();
        let SoloOptions { document, keys, max_block_bytes, .. } = options;
        let chain = Chain::open(application, kv.clone(), &document, keys, max_block_bytes).await?;
        let (hurry, hurries) = watch::channel(false);
        let (stop, stops) = watch::channel(false);
        let maker = Maker {
            chain,
            application: application.clone(),
            interval: options.empty_block_interval,
            clock: options.clock,
            hurries,
            stops,
            _lock: lock,
        };
        let task = Mutex::new(Some(paralith_rt::spawn(maker.run())));
        Ok(Self { application: application.clone(), kv, hurry, stop, task })
    }
}

/// What the task owns.
struct Maker {
    chain: Chain,
    application: Application,
    interval: Duration,
    clock: Clock,
    hurries: watch::Receiver<bool>,
    stops: watch::Receiver<bool>,
    _lock: Option<HomeLock>,
}

impl Maker {
    async fn run(mut self) {
        let mut last = paralith_rt::Instant::now();
        // Transactions wait, but the last block took none of them: they wait for others, and a
        // block a moment later would take none again.
        let mut stuck = false;
        while !*self.stops.borrow() {
            let wanted = self.chain.needs_proof_block()
                || *self.hurries.borrow()
                || (!stuck && self.application.pool_len() > 0);
            if !wanted {
                let due = tokio::select! {
                    biased;
                    _ = self.stops.changed() => false,
                    _ = self.hurries.changed() => false,
                    () = paralith_rt::sleep(self.interval.saturating_sub(last.elapsed())) => true,
                    () = self.application.admitted() => {
                        stuck = false;
                        false
                    }
                };
                if !due {
                    continue;
                }
            }
            match self.chain.make_block((self.clock)()).await {
                Ok(block) => {
                    stuck = block.txs == 0 && self.application.pool_len() > 0;
                    last = paralith_rt::Instant::now();
                    tracing::debug!(height = %block.height, txs = block.txs, "block");
                }
                Err(error) => {
                    self.application.stop(format!("the solo engine: {error}"));
                    return;
                }
            }
            if *self.hurries.borrow() && self.application.pool_len() == 0 {
                paralith_rt::sleep(HURRY_PAUSE).await;
            }
            paralith_rt::yield_now().await;
        }
    }
}

/// The least time between two empty blocks in a hurry: those who follow the chain must keep up, or
/// its epochs are over before they have done what each of them asks for.
const HURRY_PAUSE: Duration = Duration::from_millis(5);

impl Engine for SoloEngine {
    fn submit(&self, raw: Vec<u8>) -> Answer<'_, TxOutcome> {
        Box::pin(async move {
            if *self.stop.borrow() {
                return Err(EngineError::Stopped);
            }
            Ok(self.application.submit(raw).await)
        })
    }

    fn status(&self) -> Status {
        let stopped = *self.stop.borrow() || self.application.fatal().borrow().is_some();
        let committed = self.application.info();
        Status { engine: "solo", committed, ready: !stopped, restarts: 0 }
    }

    fn subscribe(&self) -> broadcast::Receiver<Arc<BlockEvent>> {
        self.application.subscribe()
    }

    fn query(&self, height: Option<Height>, key: &[u8]) -> Result<Proven, EngineError> {
        Ok(self.application.query(height, key)?)
    }

    fn state(&self, height: Option<Height>) -> Result<Snapshot, EngineError> {
        Ok(self.application.state(height)?)
    }

    fn events(&self, height: Height) -> Result<Option<Vec<Event>>, EngineError> {
        Ok(self.application.events(height)?)
    }

    fn results(&self, height: Height) -> Result<Option<BlockEvent>, EngineError> {
        Ok(self.application.results(height)?)
    }

    fn results_from(&self) -> Result<Option<Height>, EngineError> {
        Ok(self.application.results_from()?)
    }

    fn transaction(&self, hash: &Hash) -> Result<Option<(Height, TxOutcome)>, EngineError> {
        Ok(self.application.transaction(hash)?)
    }

    fn light_block(&self, height: Option<Height>) -> Answer<'_, LightBlock> {
        Box::pin(async move {
            // Only what is committed has left: a block that is being executed is not shown.
            let newest = self.application.info().height;
            stored_light_block(&self.kv, height.unwrap_or(newest), newest)
        })
    }

    fn set_hurry(&self, hurry: bool) {
        self.hurry.send_replace(hurry);
    }

    fn fatal(&self) -> watch::Receiver<Option<String>> {
        self.application.fatal()
    }

    fn shutdown(&self) -> Answer<'_, ()> {
        Box::pin(async move {
            self.stop.send_replace(true);
            let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
            match task {
                Some(task) => task.await.map_err(|_| EngineError::Stopped),
                None => Ok(()),
            }
        })
    }
}

impl Drop for SoloEngine {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}
