//! The application as several callers share it: one engine, many readers and senders.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use paralith_consensus_api::event::Event;
use paralith_consensus_api::tx::hash_of;
use paralith_consensus_app::ValidatorUpdate;
use paralith_consensus_app::{App, AppError, BlockInput, BlockOutput, Info, Proven, TxOutcome};
use paralith_genesis::Document;
use paralith_storage::{Kv, Snapshot, WriteBatch};
use paralith_types::{Error, Hash, Height, Retry};
use tokio::sync::{Notify, broadcast, mpsc, oneshot, watch};

use crate::pool::Pool;
use crate::results;

/// A committed block, as it is reported to subscribers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockEvent {
    /// Its height.
    pub height: Height,
    /// Its time, seconds since 1970.
    pub time_seconds: u64,
    /// The root of the state after it.
    pub app_hash: Hash,
    /// Its transactions and what became of them, in order.
    pub txs: Vec<(Hash, TxOutcome)>,
    /// Events of the block itself.
    pub events: Vec<Event>,
}

/// A handle on the application; clones share it.
#[derive(Debug, Clone)]
pub struct Application {
    shared: Arc<Shared>,
    checks: mpsc::Sender<Check>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    /// Held while waiting for `state`.
    turn: Mutex<()>,
    state: Mutex<State>,
    /// The application's store: results are read beside the lock.
    kv: Kv,
    blocks: broadcast::Sender<Arc<BlockEvent>>,
    fatal: watch::Sender<Option<String>>,
    admitted: Notify,
}

#[derive(Debug)]
struct State {
    app: App,
    pool: Pool,
    finalised: Option<Arc<BlockEvent>>,
}

/// A transaction that waits for its check, and who waits for the answer.
#[derive(Debug)]
struct Check {
    raw: Vec<u8>,
    kind: CheckKind,
    reply: oneshot::Sender<TxOutcome>,
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CheckKind {
    /// A user: once is enough.
    Submitted,
    /// CometBFT: what waits already is fine.
    Offered,
    /// CometBFT after a block: what does not wait any more was found bad.
    Rechecked,
}

impl Application {
    /// Opens the application at the last committed state of a store.
    pub fn open(kv: Kv) -> Result<Self, AppError> {
        let app = App::open(kv.clone())?;
        let state = State { app, pool: Pool::default(), finalised: None };
        let shared = Arc::new(Shared {
            turn: Mutex::new(()),
            state: Mutex::new(state),
            kv,
            blocks: broadcast::channel(BLOCKS_BEHIND).0,
            fatal: watch::channel(None).0,
            admitted: Notify::new(),
        });
        let (checks, queue) = mpsc::channel(CHECKS_WAITING);
        let checker = Arc::clone(&shared);
        // A thread of its own: checks wait for blocks, and must stay in order.
        paralith_rt::thread("check-tx", CHECK_STACK_BYTES, move || checker.run_checks(queue))
            .map_err(|e| {
                AppError::Storage(paralith_storage::StorageError::Io {
                    detail: format!("cannot start a thread: {e}"),
                })
            })?;
        Ok(Self { shared, checks })
    }

    /// The last committed height and app hash.
    pub fn info(&self) -> Info {
        self.shared.lock().app.info()
    }

    /// Admits a transaction to the pool, or says why not. In the order of the calls.
    pub async fn submit(&self, raw: Vec<u8>) -> TxOutcome {
        self.check(raw, CheckKind::Submitted).await
    }

    /// The oldest transactions of the pool, up to this many bytes.
    pub fn pooled(&self, max_bytes: usize) -> Vec<Vec<u8>> {
        self.shared.lock().pool.oldest(max_bytes)
    }

    /// How many transactions wait.
    pub fn pool_len(&self) -> usize {
        self.shared.lock().pool.len()
    }

    /// Returns when a transaction was admitted since the last call. For one caller: the engine.
    pub async fn admitted(&self) {
        self.shared.admitted.notified().await;
    }

    /// A value with its proof.
    pub fn query(&self, height: Option<Height>, key: &[u8]) -> Result<Proven, AppError> {
        self.shared.lock().app.query(height, key)
    }

    /// The state of a kept height; it stays readable while later blocks are made.
    pub fn state(&self, height: Option<Height>) -> Result<Snapshot, AppError> {
        self.shared.lock().app.state(height)
    }

    /// The events of a kept block.
    pub fn events(&self, height: Height) -> Result<Option<Vec<Event>>, AppError> {
        self.shared.lock().app.event_block(height)
    }

    /// What a kept block gave. None if it is not committed, not kept any more, or was committed by a
    /// program that stored no results.
    pub fn results(&self, height: Height) -> Result<Option<BlockEvent>, AppError> {
        let events = self.shared.lock().app.event_block(height)?;
        let Some(events) = events else { return Ok(None) };
        Ok(results::read(&self.shared.kv, height, events)?)
    }

    /// The lowest height whose results are stored.
    pub fn results_from(&self) -> Result<Option<Height>, AppError> {
        let oldest = self.shared.lock().app.oldest()?;
        Ok(results::first(&self.shared.kv, oldest.unwrap_or(Height(0)))?)
    }

    /// What a transaction of a kept block gave, and the block's height.
    pub fn transaction(&self, hash: &Hash) -> Result<Option<(Height, TxOutcome)>, AppError> {
        let Some((height, place)) = results::find(&self.shared.kv, hash)? else { return Ok(None) };
        let block = self.results(height)?;
        let found = block.and_then(|block| block.txs.into_iter().nth(place));
        Ok(found.filter(|(found, _)| found == hash).map(|(_, outcome)| (height, outcome)))
    }

    /// Committed blocks from now on. A subscriber that is too slow misses some, and sees that it did.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<BlockEvent>> {
        self.shared.blocks.subscribe()
    }

    /// Becomes `Some` with the reason when the application can go on no more. The node has to stop.
    pub fn fatal(&self) -> watch::Receiver<Option<String>> {
        self.shared.fatal.subscribe()
    }

    /// Says that the node has to stop, and why. The first reason stays.
    pub fn stop(&self, reason: String) {
        self.shared.fail(reason);
    }

    pub(crate) async fn check(&self, raw: Vec<u8>, kind: CheckKind) -> TxOutcome {
        let (reply, answer) = oneshot::channel();
        // Waits while the queue is full: backpressure for gRPC, and for CometBFT, which has at
        // most 256 calls on their way.
        if self.checks.send(Check { raw, kind, reply }).await.is_err() {
            return busy("the node stops");
        }
        answer.await.unwrap_or_else(|_| busy("the node stops"))
    }

    pub(crate) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }
}

impl Shared {
    pub(crate) fn info(&self) -> Info {
        self.lock().app.info()
    }

    pub(crate) fn query(&self, height: Option<Height>, key: &[u8]) -> Result<Proven, AppError> {
        self.lock().app.query(height, key)
    }

    /// The genesis state of a document, which must be the one that the chain id names.
    pub(crate) fn init_chain(
        &self,
        chain_id: &str,
        document: &[u8],
    ) -> Result<(Vec<ValidatorUpdate>, Hash), String> {
        let text = std::str::from_utf8(document).map_err(|e| format!("genesis: {e}"))?;
        let wrong = |e: paralith_genesis::GenesisError| format!("genesis: {e}");
        let document = Document::parse(text).map_err(wrong)?;
        let expected = document.chain_id().map_err(wrong)?;
        if expected != chain_id {
            return Err(format!("genesis is of the chain {expected}, the engine's is {chain_id}"));
        }
        let context = document.hash().map_err(wrong)?;
        self.lock().app.init_chain(&document.genesis, context).map_err(|e| e.to_string())
    }

    pub(crate) fn prepare(&self, txs: Vec<Vec<u8>>, max_bytes: usize) -> Vec<Vec<u8>> {
        self.lock().app.prepare_proposal(txs, max_bytes)
    }

    pub(crate) fn process(&self, block: &BlockInput) -> bool {
        self.lock().app.process_proposal(block)
    }

    pub(crate) fn finalise(&self, block: BlockInput) -> Result<BlockOutput, AppError> {
        let mut state = self.lock();
        state.finalised = None;
        let hashes: Vec<Hash> = block.txs.iter().map(|raw| hash_of(raw)).collect();
        let (height, time_seconds) = (block.height, block.time_seconds);
        let output = state.app.finalize_block(block)?;
        state.finalised = Some(Arc::new(BlockEvent {
            height,
            time_seconds,
            app_hash: output.app_hash,
            txs: hashes.into_iter().zip(output.txs.iter().cloned()).collect(),
            events: output.events.clone(),
        }));
        Ok(output)
    }

    pub(crate) fn commit(&self) -> Result<Info, AppError> {
        let mut state = self.lock();
        let mut batch = WriteBatch::new();
        if let Some(block) = &state.finalised {
            results::put(&mut batch, block);
        }
        if let Some(oldest) = state.app.oldest()? {
            results::forget(&self.kv, &mut batch, oldest)?;
        }
        let info = state.app.commit(batch)?;
        let State { app, pool, finalised } = &mut *state;
        if let Some(block) = finalised.take() {
            for (hash, _) in &block.txs {
                pool.remove(hash);
            }
            pool.recheck(|raw| app.recheck_tx(raw));
            // Nobody may be listening.
            let _ = self.blocks.send(block);
        }
        Ok(info)
    }

    /// Reports that the application cannot go on. The first reason stays.
    pub(crate) fn fail(&self, reason: String) {
        tracing::error!(%reason, "the application stops");
        self.fatal.send_if_modified(|fatal| {
            let first = fatal.is_none();
            if first {
                *fatal = Some(reason);
            }
            first
        });
    }

    fn run_checks(&self, queue: mpsc::Receiver<Check>) {
        run_checks(queue, |raw, kind| self.check_now(raw, kind));
    }

    fn check_now(&self, raw: Vec<u8>, kind: CheckKind) -> TxOutcome {
        let mut state = self.lock();
        let State { app, pool, .. } = &mut *state;
        let hash = hash_of(&raw);
        let outcome = match (kind, pool.outcome(&hash)) {
            (CheckKind::Offered | CheckKind::Rechecked, Some(outcome)) => return outcome.clone(),
            (CheckKind::Submitted | CheckKind::Offered, _) if !pool.has_room(raw.len()) => {
                return busy("the pool is full: try again after the next block");
            }
            (CheckKind::Rechecked, None) => app.recheck_tx(&raw),
            (CheckKind::Submitted | CheckKind::Offered, _) => app.check_tx(&raw),
        };
        if outcome.code == 0 {
            pool.push(hash, raw, outcome.clone());
            drop(state);
            self.admitted.notify_one();
        }
        outcome
    }

    /// The application writes whole batches only, so what a thread that panicked has left behind is
    /// the state before its call or after it.
    ///
    /// The waiting caller holds the turn: the thread of the checks, which asks again the moment it is done,
    /// cannot take the state a second time before a block that waits for it.
    fn lock(&self) -> MutexGuard<'_, State> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers checks in their order until nobody can ask any more. A check that panics refuses its
/// transaction and no other: a fault in one check must not end admission.
fn run_checks(mut queue: mpsc::Receiver<Check>, check: impl Fn(Vec<u8>, CheckKind) -> TxOutcome) {
    while let Some(Check { raw, kind, reply }) = queue.blocking_recv() {
        // The application writes whole batches only, and what a check changes in the pool is one
        // call: a panic leaves neither half changed.
        let checked = catch_unwind(AssertUnwindSafe(|| check(raw, kind)));
        let outcome = checked.unwrap_or_else(|_| {
            tracing::error!("a check panicked: its transaction is refused");
            let text = "the check of this transaction failed in this node: report it";
            TxOutcome::refused(Error::new("node", INTERNAL, text).with_retry(Retry::OtherPeer))
        });
        // The caller may have gone.
        let _ = reply.send(outcome);
    }
}

/// The answer when the node itself is the obstacle.
pub(crate) fn busy(reason: &str) -> TxOutcome {
    TxOutcome::refused(Error::new("node", BUSY, reason).with_retry(Retry::Later))
}

/// The code of [`busy`] within module "node".
const BUSY: u32 = 1;

/// The code of a check that failed in this node, within module "node".
const INTERNAL: u32 = 10;

/// Blocks that a listener may lag behind: minutes at the fastest pace there is.
const BLOCKS_BEHIND: usize = 1024;

/// Stack of the thread that checks: the default of the standard library.
const CHECK_STACK_BYTES: usize = 2 * 1024 * 1024;

/// Checks that may wait: as many as CometBFT and a few hundred callers have on their way.
const CHECKS_WAITING: usize = 1024;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    /// However fast checks follow each other, a block waits for the one that runs and no other.
    #[test]
    fn a_caller_that_waits_for_the_state_has_it_before_the_next_check() {
        let shared = Application::open(Kv::memory()).unwrap().shared();
        let came = AtomicBool::new(false);
        std::thread::scope(|threads| {
            // A check runs, and a block waits for it.
            let check = shared.lock();
            threads.spawn(|| {
                let _block = shared.lock();
                came.store(true, Ordering::SeqCst);
            });
            let waits = (0..200_000).any(|_| {
                std::thread::yield_now();
                shared.turn.try_lock().is_err()
            });
            assert!(waits, "the block takes no turn: the next check may be faster");
            drop(check);
            // The thread of the checks asks again the moment it is done.
            let _next = shared.lock();
            assert!(came.load(Ordering::SeqCst));
        });
    }

    #[tokio::test]
    async fn a_check_that_panics_does_not_end_admission() {
        let (checks, queue) = mpsc::channel(4);
        let thread = std::thread::spawn(move || {
            run_checks(queue, |raw, _| match raw.as_slice() {
                b"bad" => panic!("on purpose"),
                _ => TxOutcome { gas_limit: 7, ..TxOutcome::default() },
            });
        });
        let mut outcomes = Vec::new();
        for raw in [&b"good"[..], b"bad", b"good"] {
            let (reply, answer) = oneshot::channel();
            let check = Check { raw: raw.to_vec(), kind: CheckKind::Submitted, reply };
            checks.send(check).await.unwrap();
            outcomes.push(answer.await.unwrap());
        }
        let codes: Vec<(u32, Retry)> = outcomes.iter().map(|o| (o.code, o.retry)).collect();
        let expected = [(0, Retry::Never), (INTERNAL, Retry::OtherPeer), (0, Retry::Never)];
        assert_eq!(codes, expected);
        drop(checks);
        thread.join().unwrap();
    }
}
