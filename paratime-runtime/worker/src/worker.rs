//! The worker's loop: one task that owns the machine.
//!
//! State decides, events wake: after a consensus block everything that matters is read anew from
//! verified state. Long work (execution, fetching, sending) runs in tasks that the loop owns and
//! whose results come back as inputs.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use paralith_consensus_api::roothash::SignedProposal;
use paralith_consensus_api::tx::Body;
use paralith_proto::Wire;
use paralith_rt::{Interval, JoinHandle};
use paralith_types::PublicKey;
use tokio::sync::{broadcast, mpsc, watch};

use crate::admission::{Admission, Gate};
use crate::chain::{Chain, ChainBlock};
use crate::config::WorkerConfig;
use crate::effects::{self, Effects, Tasks};
use crate::enclave::{self, Enclave, EnclaveCalls};
use crate::error::WorkerError;
use crate::finality::{self, Finality};
use crate::follower::Follower;
use crate::forwarding::{self, Forward};
use crate::handle::{Access, WorkerHandle};
use crate::ledger::Ledger;
use crate::links::{LinkError, Links};
use crate::member::Member;
use crate::mempool::Mempool;
use crate::recheck::{self, Rechecked};
use crate::reports::{Confirmation, Reports, Status};
use crate::round::{ChainSnapshot, Input, Machine, Output};
use crate::view::{self, View};
use crate::wire::hashes;

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
        let Connections { chain, links, enclave } = connections;
        let enclave = EnclaveCalls::new(enclave);
        let member = Arc::new(Member::new(&config));
        let ledger = Arc::new(Ledger::new(config.kv, &config.runtime_id));
        let mempool = Arc::new(Mempool::new(config.pool));
        let reports = Arc::new(Reports::new());
        let gate = Gate {
            member: Arc::clone(&member),
            ledger: Arc::clone(&ledger),
            mempool: Arc::clone(&mempool),
            reports: Arc::clone(&reports),
            enclave: enclave.clone(),
            forwards,
        };
        let handle = WorkerHandle::new(Access {
            member: Arc::clone(&member),
            ledger: Arc::clone(&ledger),
            mempool: Arc::clone(&mempool),
            reports: Arc::clone(&reports),
            enclave: enclave.clone(),
            admission: Admission::start(gate),
            intake: Mutex::default(),
            inputs: sender.clone(),
            stop,
        });
        let finality = Finality {
            member: Arc::clone(&member),
            ledger: Arc::clone(&ledger),
            mempool: Arc::clone(&mempool),
            reports: Arc::clone(&reports),
            follower: Follower {
                runtime_id: config.runtime_id,
                ledger: Arc::clone(&ledger),
                chain: Arc::clone(&chain),
                links: Arc::clone(&links),
                state_kept_blocks: config.state_kept_blocks,
            },
            enclave: enclave.clone(),
            peers: config.peers,
        };
        let effects = Effects {
            member: Arc::clone(&member),
            ledger,
            mempool,
            chain: Arc::clone(&chain),
            links,
            enclave,
            inputs: sender,
        };
        let blocks = chain.subscribe();
        let worker = Loop {
            machine: Machine::new(member.me, member.runtime_id),
            member,
            reports,
            finality: Arc::new(finality),
            effects: Arc::new(effects),
            releasing: Arc::default(),
            rechecked: Rechecked::default(),
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
    machine: Machine,
    member: Arc<Member>,
    reports: Arc<Reports>,
    finality: Arc<Finality>,
    effects: Arc<Effects>,
    /// Held by the one task that opens rounds.
    releasing: Arc<tokio::sync::Mutex<()>>,
    rechecked: Rechecked,
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
                Some(forward) = forwards.recv() => self.forward(forward),
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
        let id = self.member.runtime_id;
        let Some(view) = view::read(self.effects.chain.as_ref(), &id).await? else {
            return Ok(());
        };
        // The members to ask for rounds are known before any is asked for.
        self.know(&view, false).await;
        let followed = finality::catch_up(&self.finality, view.height, &view.state).await;
        // After that: what it reads of a newer state is here then.
        let synced = if self.is_in_step(&view) { Ok(true) } else { self.sync(view.height).await };
        if !self.is_in_step(&view) {
            self.in_step = matches!(synced, Ok(true)).then(|| view.clone());
        }
        let root = self.effects.ledger.state_root()?;
        let has_state = followed.is_ok() && root == view.state.last_block.state_root;
        let ready = has_state
            && synced.as_ref().is_ok_and(|has_keys| *has_keys || !view.runtime.confidential);
        let snapshot = self.know(&view, ready).await;

        self.release(view.height);
        self.report(&snapshot, &synced);
        self.step(Input::Chain(Box::new(snapshot.as_ref().clone())));
        self.resume()?;
        let Effects { mempool, enclave, .. } = &*self.effects;
        recheck::spawn(&mut self.rechecked, mempool, enclave, &mut self.tasks, &snapshot);
        followed.and(synced.map(|_| ()))
    }

    fn forward(&mut self, forward: Forward) {
        forwarding::spawn(&self.effects.links, self.member.runtime_id, &mut self.tasks, forward);
    }

    /// Opens what can be opened, in a task: peers that do not answer must not hold up rounds.
    fn release(&mut self, height: u64) {
        let Ok(turn) = Arc::clone(&self.releasing).try_lock_owned() else { return };
        let finality = Arc::clone(&self.finality);
        self.tasks.spawn(async move {
            let _turn = turn;
            if let Err(error) = finality::release(&finality, height).await {
                tracing::warn!(%error, "cannot open the last round yet");
                finality.reports.trouble(&error);
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
        let synced =
            self.effects.enclave.call(move |enclave| enclave::sync(enclave, height)).await?;
        if !synced.sealed.is_empty() {
            self.effects.ledger.store.keep_sealed(synced.sealed)?;
        }
        self.reports.update(|status| {
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
            _ => view::skipped(self.effects.chain.as_ref(), view).await,
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
        self.member.publish(Arc::clone(&snapshot), &view.runtime);
        if let Some(committee) = &view.committee
            && committee.workers != self.workers
        {
            let before = std::mem::replace(&mut self.workers, committee.workers.clone());
            let waiting = forwarding::handed_over(&self.member, &self.effects.mempool, &before);
            waiting.into_iter().for_each(|forward| self.forward(forward));
        }
        snapshot
    }

    fn report(&self, snapshot: &ChainSnapshot, synced: &Result<bool, WorkerError>) {
        let seat = |seats: fn(&paralith_consensus_api::scheduler::Committee) -> &Vec<_>| {
            snapshot.committee.as_ref().is_some_and(|c| seats(c).contains(&self.member.me))
        };
        let (applied, released) =
            (self.effects.ledger.store.applied_round(), self.effects.ledger.store.released_round());
        self.reports.update(|status| {
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
        self.reports.trouble(error);
    }

    /// A restarted node sends what it signed before, once a round.
    fn resume(&mut self) -> Result<(), WorkerError> {
        let round = self.machine.round();
        if round.is_some() && round != self.resumed {
            self.resumed = round;
            for input in effects::resume(&self.effects, &mut self.tasks)? {
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
            for output in self.machine.step(self.effects.mempool.now_ms(), input) {
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
        let snapshot = self.member.current()?;
        Some(Input::Pool(self.effects.mempool.lock().view(&snapshot.batching)))
    }

    /// Does what the machine says; what comes of it at once is its next input.
    fn act(&mut self, output: Output) -> Result<Option<Input>, WorkerError> {
        let (with, tasks) = (&self.effects, &mut self.tasks);
        match output {
            Output::Propose(header) => return effects::propose(with, tasks, header),
            Output::FetchBatch { id, scheduler } => effects::fetch(with, tasks, id, scheduler),
            Output::Execute(proposal) => effects::execute(with, tasks, &proposal),
            Output::Vote { proposal, ballot } => {
                return effects::vote(with, tasks, &proposal, ballot).map(Some);
            }
            Output::Commit(commit) => {
                tracing::debug!(votes = commit.votes.len(), "commits");
                effects::submit(with, tasks, Body::ExecutorCommit(*commit));
            }
            Output::Accuse(evidence) => effects::submit(with, tasks, Body::Evidence(*evidence)),
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
        let batch = self.effects.ledger.store.batch(&id).ok().flatten();
        let tx_hashes = batch.map(|batch| hashes(&batch.transactions)).unwrap_or_default();
        let (proposal, votes) = (signed.to_pb(), votes.to_pb());
        self.reports.confirm(Confirmation::Soft { round, proposal, votes, tx_hashes });
    }
}

/// A batch closes, and ranks follow one another, to this precision.
const TICK: Duration = Duration::from_millis(20);
const INPUTS_MAX: usize = 1024;
/// More queued messages than this, of 256 transactions each, wait at their sources.
const FORWARDS_MAX: usize = 64;
/// The enclave follows at least this often; a new generation of keys is seen by then.
const SYNC_BLOCKS: u64 = 16;
