//! CometBFT as a running engine: a supervisor, and a hand that passes transactions on.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use paralith_consensus_abci::{Application, BlockEvent, PeerCheck, Server, serve};
use paralith_consensus_api::event::Event;
use paralith_consensus_app::{Proven, TxOutcome};
use paralith_consensus_light::LightBlock;
use paralith_rt::JoinHandle;
use paralith_storage::Snapshot;
use paralith_types::{Hash, Height};
use tokio::sync::{broadcast, mpsc, watch};

use super::CometOptions;
use super::blocks::LightBlocks;
use super::home::{clear_unsigned, write_home};
use super::process::{Process, check_version, end_orphan, find_binary};
use super::rpc::Rpc;
use super::template::{BATCH_MAX, BODY_MAX};
use crate::EngineError;
use crate::engine::{Answer, Engine, Status};
use crate::lock::HomeLock;

/// A CometBFT that runs and is kept running.
#[derive(Debug)]
pub struct CometEngine {
    application: Application,
    light_blocks: LightBlocks,
    shared: Arc<Shared>,
    handed: mpsc::Sender<Vec<u8>>,
    stop: watch::Sender<bool>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Shared {
    ready: AtomicBool,
    restarts: AtomicU64,
    pid: std::sync::atomic::AtomicI32,
}

impl CometEngine {
    /// Writes CometBFT's home, starts it, and returns when it answers.
    pub async fn start(
        application: &Application,
        options: CometOptions,
    ) -> Result<Self, EngineError> {
        let binary = options.binary.clone().map_or_else(find_binary, Ok)?;
        let version = check_version(&binary).await?;
        let lock = HomeLock::take(&options.home)?;
        end_orphan(&options.home, options.stop_timeout).await;
        write_home(&options)?;
        let peers = PeerCheck::nobody();
        let server = serve(&options.abci_socket, application, peers.clone()).await;
        let server = server.map_err(|e| EngineError::Home {
            path: options.abci_socket.display().to_string(),
            reason: e.to_string(),
        })?;
        tracing::info!(%version, home = %options.home.display(), "starting CometBFT");

        let rpc = Rpc::new(options.rpc.clone());
        let shared = Arc::new(Shared::default());
        let (stop, stops) = watch::channel(false);
        let (handed, queue) = mpsc::channel(HANDED_WAITING);
        let supervisor = Supervisor {
            application: application.clone(),
            options,
            binary,
            rpc: rpc.clone(),
            peers,
            shared: Arc::clone(&shared),
            stops: stops.clone(),
            _server: server,
            _lock: lock,
        };
        let hand = Hand {
            application: application.clone(),
            rpc: rpc.clone(),
            shared: Arc::clone(&shared),
            queue,
            stops,
        };
        let tasks = vec![paralith_rt::spawn(supervisor.run()), paralith_rt::spawn(hand.run())];
        let engine = Self {
            application: application.clone(),
            light_blocks: LightBlocks::new(rpc),
            shared,
            handed,
            stop,
            tasks: Mutex::new(tasks),
        };
        engine.answers().await?;
        Ok(engine)
    }

    /// The process that runs now; 0 between two of them.
    pub fn pid(&self) -> i32 {
        self.shared.pid.load(Ordering::SeqCst)
    }

    async fn answers(&self) -> Result<(), EngineError> {
        let mut fatal = self.application.fatal();
        loop {
            if let Some(reason) = fatal.borrow_and_update().clone() {
                return Err(EngineError::NoAnswer { reason });
            }
            if self.shared.ready.load(Ordering::SeqCst) {
                return Ok(());
            }
            let _ = paralith_rt::timeout(POLL, fatal.changed()).await;
        }
    }
}

/// Keeps one process running.
struct Supervisor {
    application: Application,
    options: CometOptions,
    binary: PathBuf,
    rpc: Rpc,
    peers: PeerCheck,
    shared: Arc<Shared>,
    stops: watch::Receiver<bool>,
    _server: Server,
    _lock: HomeLock,
}

impl Supervisor {
    /// Every end that was not asked for is a failure, whatever the exit code: CometBFT ends with 0
    /// when its application goes away.
    async fn run(mut self) {
        let mut failures = 0_u32;
        while !*self.stops.borrow() {
            // Anew for each process: what the home has signed meanwhile changes the configuration.
            if let Err(error) = write_home(&self.options) {
                self.application.stop(format!("cannot write CometBFT's configuration: {error}"));
                return;
            }
            let process = match Process::start(&self.options, &self.binary) {
                Ok(process) => process,
                Err(error) => {
                    self.application.stop(format!("cannot start CometBFT: {error}"));
                    return;
                }
            };
            let started = paralith_rt::Instant::now();
            self.peers.admit(process.pid());
            self.shared.pid.store(process.pid(), Ordering::SeqCst);
            let how = self.watch(process).await;
            self.shared.ready.store(false, Ordering::SeqCst);
            self.shared.pid.store(0, Ordering::SeqCst);
            self.peers.admit(NOBODY);
            let Some(how) = how else { return };

            if started.elapsed() >= HEALTHY {
                failures = 0;
            }
            failures = failures.saturating_add(1);
            self.shared.restarts.fetch_add(1, Ordering::SeqCst);
            if failures > MAX_FAILURES {
                self.application.stop(format!("CometBFT ended {failures} times in a row: {how}"));
                return;
            }
            self.begin_anew_if_nothing_was_signed();
            let pause = FIRST_PAUSE.saturating_mul(1 << failures.min(6));
            tracing::error!(%how, failures, ?pause, "CometBFT ended without being asked to");
            let _ = paralith_rt::timeout(pause, self.stops.wait_for(|stop| *stop)).await;
        }
    }

    fn begin_anew_if_nothing_was_signed(&self) {
        if self.application.info().height != Height(0) {
            return;
        }
        match clear_unsigned(&self.options.home) {
            Ok(true) => tracing::warn!("CometBFT begins anew: nothing was signed yet"),
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "cannot clear CometBFT's data"),
        }
    }

    /// Until it ends. None if it was asked to, by the node or by an application that failed.
    async fn watch(&self, mut process: Process) -> Option<String> {
        let mut fatal = self.application.fatal();
        let mut stops = self.stops.clone();
        loop {
            tokio::select! {
                biased;
                how = process.ended() => return Some(how),
                _ = stops.wait_for(|stop| *stop) => break,
                _ = fatal.wait_for(Option::is_some) => break,
                () = paralith_rt::sleep(POLL) => {}
            }
            if !self.shared.ready.load(Ordering::SeqCst) {
                let answers = self.rpc.status().await.is_ok();
                self.shared.ready.store(answers, Ordering::SeqCst);
            }
        }
        process.stop(self.options.stop_timeout).await;
        None
    }
}

/// Passes admitted transactions on, many at a time.
struct Hand {
    application: Application,
    rpc: Rpc,
    shared: Arc<Shared>,
    queue: mpsc::Receiver<Vec<u8>>,
    stops: watch::Receiver<bool>,
}

impl Hand {
    async fn run(mut self) {
        let mut restarts = self.shared.restarts.load(Ordering::SeqCst);
        let mut again = paralith_rt::Interval::new(HAND_AGAIN);
        loop {
            let mut txs = Vec::new();
            tokio::select! {
                biased;
                _ = self.stops.wait_for(|stop| *stop) => return,
                count = self.queue.recv_many(&mut txs, BATCH_MAX) => if count == 0 { return },
                () = again.tick() => {}
            }
            let now = self.shared.restarts.load(Ordering::SeqCst);
            let ready = self.shared.ready.load(Ordering::SeqCst);
            if !ready {
                // They wait in the pool, and are handed over from there.
                continue;
            }
            // A new process has an empty pool, and one that was full has refused some. What ours
            // still holds after a while is handed over again; what CometBFT has, it ignores.
            if txs.is_empty() || now != restarts {
                txs = self.application.pooled(usize::MAX);
            }
            for batch in batches(&txs) {
                match self.rpc.broadcast(batch).await {
                    Ok(_) => restarts = now,
                    Err(error) => {
                        tracing::warn!(%error, "transactions wait for CometBFT");
                        break;
                    }
                }
            }
        }
    }
}

/// Cuts transactions into requests of bounded length.
fn batches(txs: &[Vec<u8>]) -> Vec<&[Vec<u8>]> {
    let mut batches = Vec::new();
    let (mut from, mut bytes) = (0, 0_usize);
    for (at, tx) in txs.iter().enumerate() {
        // Base64, and the request around it.
        let size = tx.len().saturating_mul(4) / 3 + 200;
        if at > from && (at - from >= BATCH_MAX || bytes.saturating_add(size) > BODY_MAX) {
            batches.push(txs.get(from..at).unwrap_or_default());
            (from, bytes) = (at, 0);
        }
        bytes = bytes.saturating_add(size);
    }
    if from < txs.len() {
        batches.push(txs.get(from..).unwrap_or_default());
    }
    batches
}

impl Engine for CometEngine {
    fn submit(&self, raw: Vec<u8>) -> Answer<'_, TxOutcome> {
        Box::pin(async move {
            if *self.stop.borrow() {
                return Err(EngineError::Stopped);
            }
            let outcome = self.application.submit(raw.clone()).await;
            if outcome.code == 0 {
                self.handed.send(raw).await.map_err(|_| EngineError::Stopped)?;
            }
            Ok(outcome)
        })
    }

    fn status(&self) -> Status {
        Status {
            engine: "cometbft",
            committed: self.application.info(),
            ready: self.shared.ready.load(Ordering::SeqCst),
            restarts: self.shared.restarts.load(Ordering::SeqCst),
        }
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
        Box::pin(self.light_blocks.at(height))
    }

    fn set_hurry(&self, _hurry: bool) {}

    fn fatal(&self) -> watch::Receiver<Option<String>> {
        self.application.fatal()
    }

    fn shutdown(&self) -> Answer<'_, ()> {
        Box::pin(async move {
            self.stop.send_replace(true);
            let tasks =
                std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
            for task in tasks {
                task.await.map_err(|_| EngineError::Stopped)?;
            }
            Ok(())
        })
    }
}

impl Drop for CometEngine {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

/// No process has this number.
const NOBODY: i32 = -1;

/// Transactions that wait to be handed on; who submits more waits.
const HANDED_WAITING: usize = 10_000;

/// How often what still waits is handed over again.
const HAND_AGAIN: Duration = Duration::from_secs(3);

/// How often a CometBFT that does not answer yet is asked.
const POLL: Duration = Duration::from_millis(20);

/// A process that ran this long has recovered from what ended the one before.
const HEALTHY: Duration = Duration::from_secs(60);

/// Ends in a row after which the node gives up.
const MAX_FAILURES: u32 = 20;

const FIRST_PAUSE: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_bounded_and_lose_nothing() {
        let many = vec![vec![1; 10]; 2500];
        let cut: Vec<usize> = batches(&many).iter().map(|batch| batch.len()).collect();
        assert_eq!(cut, [1000, 1000, 500]);
        let large = vec![vec![1; 7 * 1024 * 1024]; 3];
        assert_eq!(batches(&large).len(), 3);
        assert!(batches(&[]).is_empty());
    }
}
