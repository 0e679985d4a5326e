//! The worker's loop: one task that owns the machine.
//!
//! State decides, events wake: after a consensus block everything that matters is read anew from
//! verified state. Long work (execution, fetching, sending) runs in tasks that the loop owns and
//! whose results come back as inputs.

use std::sync::Arc;
use std::time::Duration;

use paralith_consensus_api::roothash::SignedProposal;
use paralith_consensus_api::tx::Body;
use paralith_proto::Wire;
use paralith_rt::{Interval, JoinHandle};
use paralith_types::PublicKey;
use tokio::sync::{broadcast, mpsc, watch};

use crate::chain::{Chain, ChainBlock};
use crate::effects::{self, Tasks};
use crate::enclave::{self, Enclave};
use crate::error::WorkerError;
use crate::forwarding::Forward;
use crate::handle::WorkerHandle;
use crate::links::{LinkError, Links};
use crate::round::{ChainSnapshot, Input, Machine, Output};
use crate::shared::{Confirmation, Queues, Shared, Status, WorkerConfig};
use crate::view::{self, View};
use crate::wire::hashes;
use crate::{finality, forwarding, recheck};

/// What a worker reaches outside of itself.
#[derive(Clone)]
pub struct Connections {
    /// Consensus.
    pub chain: Arc<dyn Chain>,
    /// Other nodes.
    pub links: Arc<dyn Links>,
    /// This node's enclave.
    pub enclave: Arc<dyn Enclave>,
}

impl std::fmt::Debug for Connections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connections").finish_non_exhaustive()
    }
}

/// A compute node's part in one ParaTime.
#[derive(Debug)]
pub struct Worker;

impl Worker {
    /// Starts a worker. It runs until the last handle is dropped or [`WorkerHandle::stop`] is
    /// called; the task's end, also by a panic, shows in the returned join handle.
    pub fn start(config: WorkerConfig, connections: Connections) -> (WorkerHandle, JoinHandle<()>) {
        // A committee's messages of a round or two. When it is full peers wait, which slows them,
        // not us.
        let (sender, inputs) = mpsc::channel(INPUTS_MAX);
        let (forwards, forwarded) = mpsc::channel(FORWARDS_MAX);
        let (stop, stopped) = watch::channel(false);
        let shared =
            Arc::new(Shared::new(config, connections, Queues { inputs: sender, forwards }));
        let blocks = shared.chain.subscribe();
        let machine = Machine::new(shared.me, shared.config.runtime_id);
        let handle = WorkerHandle::new(Arc::clone(&shared), stop);
        let worker = Loop {
            shared,
            machine,
            tasks: Tasks::new(),
            resumed: None,
            skipped: None,
            workers: Vec::new(),
            in_step: None,
            wake_height: None,
        };
        (handle, paralith_rt::spawn(worker.run(blocks, inputs, forwarded, stopped)))
    }
}

struct Loop {
    shared: Arc<Shared>,
    machine: Machine,
    tasks: Tasks,
    /// The round whose own signatures of an earlier start were looked for.
    resumed: Option<u64>,
    /// The schedulers barred in a round, which do not change in it.
    skipped: Option<(u64, Vec<PublicKey>)>,
    /// The workers, as far as this node knew last.
    workers: Vec<PublicKey>,
    /// What the enclave, which has its keys, has seen.
    in_step: Option<View>,
    /// The height at which the runtime wants a round, by the root that the enclave has seen last.
    wake_height: Option<u64>,
}

impl Loop {
    async fn run(
        mut self,
        mut blocks: broadcast::Receiver<ChainBlock>,
        mut inputs: mpsc::Receiver<Input>,
        mut forwards: mpsc::Receiver<Forward>,
        mut stopped: watch::Receiver<bool>,
    ) {
        let mut ticks = Interval::new(TICK);
        self.refresh().await;
        loop {
            tokio::select! {
                biased;
                // Stopped, or every handle is gone.
                _ = stopped.changed() => break,
                block = blocks.recv() => {
                    if matches!(block, Err(broadcast::error::RecvError::Closed)) {
                        break;
                    }
                    // Only the newest state matters.
                    while blocks.try_recv().is_ok() {}
                    // Cancellation-safe: each step is atomic on disk.
                    tokio::select! {
                        biased;
                        _ = stopped.changed() => break,
                        () = self.refresh() => {}
                    }
                }
                Some(input) = inputs.recv() => self.step(input),
                Some(forward) = forwards.recv() => forwarding::spawn(&self.shared, &mut self.tasks, forward),
                Some(done) = self.tasks.join_next(), if !self.tasks.is_empty() => {
                    if let Err(error) = done {
                        tracing::error!(%error, "a worker's task ended badly");
                    }
                }
                _ = ticks.tick() => self.step(Input::Tick),
            }
        }
        self.tasks.shutdown().await;
    }

    /// Reads state anew and acts on it.
    async fn refresh(&mut self) {
        match self.follow().await {
            Ok(()) => {}
            // Those who executed the round are just applying it: it is asked for with every block.
            Err(error @ WorkerError::Link(LinkError::NotFound)) => {
                tracing::debug!(%error, "does not have the last round yet");
                self.trouble(&error);
            }
            Err(error) => {
                tracing::warn!(%error, "cannot follow the chain");
                self.trouble(&error);
            }
        }
    }

    async fn follow(&mut self) -> Result<(), WorkerError> {
        let id = self.shared.config.runtime_id;
        let Some(view) = view::read(self.shared.chain.as_ref(), &id).await? else {
            return Ok(());
        };
        // The members to ask for rounds are known before any is asked for.
        self.know(&view, false).await;
        let followed = finality::catch_up(&self.shared, view.height, &view.state).await;
        // After that: what it reads of a newer state is here then.
        let synced = if self.is_in_step(&view) { Ok(true) } else { self.sync(view.height).await };
        if !self.is_in_step(&view) {
            self.in_step = matches!(synced, Ok(true)).then(|| view.clone());
        }
        let root = finality::state_root(&self.shared)?;
        let has_state = followed.is_ok() && root == view.state.last_block.state_root;
        let ready = has_state
            && synced.as_ref().is_ok_and(|has_keys| *has_keys || !view.runtime.confidential);
        let snapshot = self.know(&view, ready).await;

        self.release(view.height);
        self.report(&snapshot, &synced);
        self.step(Input::Chain(Box::new(snapshot.as_ref().clone())));
        self.resume()?;
        recheck::spawn(&self.shared, &mut self.tasks, &snapshot);
        followed.and(synced.map(|_| ()))
    }

    /// Opens what can be opened, in a task: peers that do not answer must not hold up rounds.
    fn release(&mut self, height: u64) {
        let shared = Arc::clone(&self.shared);
        let Ok(turn) = Arc::clone(&shared.releasing).try_lock_owned() else { return };
        self.tasks.spawn(async move {
            let _turn = turn;
            if let Err(error) = finality::release(&shared, height).await {
                tracing::warn!(%error, "cannot open the last round yet");
                shared.status.send_modify(|status| status.trouble = error.to_string());
            }
        });
    }

    /// Whether the enclave would see nothing new here. What it needs later it follows by
    /// itself, but it must not fall far behind.
    fn is_in_step(&self, view: &View) -> bool {
        self.in_step.as_ref().is_some_and(|seen| {
            view.height < seen.height.saturating_add(SYNC_BLOCKS)
                && (&view.epoch, &view.runtime, &view.state)
                    == (&seen.epoch, &seen.runtime, &seen.state)
        })
    }

    /// Lets the enclave follow; whether it has this epoch's keys.
    async fn sync(&mut self, height: u64) -> Result<bool, WorkerError> {
        let synced = self.shared.enclave(move |enclave| enclave::sync(enclave, height)).await?;
        if !synced.sealed.is_empty() {
            self.shared.store.keep_sealed(synced.sealed)?;
        }
        self.shared.status.send_modify(|status| {
            status.has_keys = synced.has_keys;
            status.synced_height = synced.height;
        });
        self.wake_height = synced.wake_height;
        Ok(synced.has_keys)
    }

    /// Publishes the snapshot to the worker's other tasks.
    async fn know(&mut self, view: &View, ready: bool) -> Arc<ChainSnapshot> {
        let last = view.state.last_block.round.0;
        let skipped = match &self.skipped {
            Some((round, skipped)) if *round == last => skipped.clone(),
            _ => view::skipped(self.shared.chain.as_ref(), view).await,
        };
        self.skipped = Some((last, skipped.clone()));
        let snapshot = Arc::new(ChainSnapshot {
            height: view.height,
            epoch: view.epoch.clone(),
            state: view.state.clone(),
            skipped,
            committee: view.committee.clone(),
            executor: view.runtime.executor.clone(),
            batching: view.runtime.batching.clone(),
            max_tx_gas: view.runtime.max_tx_gas,
            // Not by a height that this node has not seen yet: proposals pin the snapshot's.
            forced: view.forced || self.wake_height.is_some_and(|height| height <= view.height),
            ready,
        });
        self.shared.snapshot.send_replace(Some(Arc::clone(&snapshot)));
        if let Some(committee) = &view.committee
            && committee.workers != self.workers
        {
            let before = std::mem::replace(&mut self.workers, committee.workers.clone());
            forwarding::hand_over(&self.shared, &mut self.tasks, &before);
        }
        snapshot
    }

    fn report(&self, snapshot: &ChainSnapshot, synced: &Result<bool, WorkerError>) {
        let seat = |seats: fn(&paralith_consensus_api::scheduler::Committee) -> &Vec<_>| {
            snapshot.committee.as_ref().is_some_and(|c| seats(c).contains(&self.shared.me))
        };
        let (applied, released) =
            (self.shared.store.applied_round(), self.shared.store.released_round());
        self.shared.status.send_modify(|status| {
            *status = Status {
                height: snapshot.height,
                last_round: snapshot.state.last_block.round.0,
                applied_round: applied.unwrap_or_default(),
                released_round: released.unwrap_or_default(),
                is_worker: seat(|committee| &committee.workers),
                is_backup: seat(|committee| &committee.backups),
                is_ready: snapshot.ready,
                has_keys: matches!(synced, Ok(true)),
                synced_height: status.synced_height,
                trouble: String::new(),
            };
        });
    }

    fn trouble(&self, error: &WorkerError) {
        self.shared.status.send_modify(|status| status.trouble = error.to_string());
    }

    /// A restarted node sends what it signed before, once a round.
    fn resume(&mut self) -> Result<(), WorkerError> {
        let round = self.machine.round();
        if round.is_some() && round != self.resumed {
            self.resumed = round;
            for input in effects::resume(&self.shared, &mut self.tasks)? {
                self.step(input);
            }
        }
        Ok(())
    }

    fn step(&mut self, input: Input) {
        // What the pool holds is known before anything is decided on it.
        let mut inputs = vec![Some(input), self.pool_input()];
        while let Some(input) = inputs.pop() {
            let Some(input) = input else { continue };
            for output in self.machine.step(self.shared.now_ms(), input) {
                match self.act(output) {
                    Ok(input) => inputs.push(input),
                    Err(error) => {
                        tracing::error!(%error, "a worker cannot act");
                        self.trouble(&error);
                    }
                }
            }
        }
    }

    fn pool_input(&self) -> Option<Input> {
        let snapshot = self.shared.current()?;
        Some(Input::Pool(self.shared.pool().view(&snapshot.batching)))
    }

    /// Does what the machine says; what comes of it at once is its next input.
    fn act(&mut self, output: Output) -> Result<Option<Input>, WorkerError> {
        let (shared, tasks) = (&self.shared, &mut self.tasks);
        match output {
            Output::Propose(header) => return effects::propose(shared, tasks, header),
            Output::FetchBatch { id, scheduler } => effects::fetch(shared, tasks, id, scheduler),
            Output::Execute(proposal) => effects::execute(shared, tasks, &proposal),
            Output::Vote { proposal, ballot } => {
                return effects::vote(shared, tasks, &proposal, ballot).map(Some);
            }
            Output::Commit(commit) => {
                tracing::debug!(votes = commit.votes.len(), "commits");
                effects::submit(shared, tasks, Body::ExecutorCommit(*commit));
            }
            Output::Accuse(evidence) => effects::submit(shared, tasks, Body::Evidence(*evidence)),
            Output::SoftConfirmed { proposal, votes } => {
                self.confirm(&proposal.signed, proposal.id(), proposal.header.round.0, votes);
            }
        }
        Ok(None)
    }

    fn confirm(
        &self,
        signed: &SignedProposal,
        id: paralith_types::Hash,
        round: u64,
        votes: Vec<paralith_consensus_api::roothash::Vote>,
    ) {
        let batch = self.shared.store.batch(&id).ok().flatten();
        let tx_hashes = batch.map(|batch| hashes(&batch.transactions)).unwrap_or_default();
        let (proposal, votes) = (signed.to_pb(), votes.to_pb());
        // Nobody listening is no fault.
        let _ = self.shared.confirmations.send(Confirmation::Soft {
            round,
            proposal,
            votes,
            tx_hashes,
        });
    }
}

/// A batch closes, and ranks follow one another, to this precision.
const TICK: Duration = Duration::from_millis(20);
const INPUTS_MAX: usize = 1024;
/// More queued messages than this, of 256 transactions each, wait at their sources.
const FORWARDS_MAX: usize = 64;
/// The enclave follows at least this often; a new generation of keys is seen by then.
const SYNC_BLOCKS: u64 = 16;
