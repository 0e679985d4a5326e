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
use paralith_proto::pb::worker::v1::VoteMessage;
use paralith_types::PublicKey;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::act::{self, Tasks};
use crate::byzantine::Byzantine;
use crate::chain::{Chain, ChainBlock};
use crate::error::WorkerError;
use crate::handle::WorkerHandle;
use crate::links::{LinkError, Links};
use crate::round::{Input, Machine, Output, Situation};
use crate::shared::{Confirmation, Shared, Status, WorkerConfig};
use crate::trusted::{self, Trusted};
use crate::view::{self, View};
use crate::wire::hashes;
use crate::{finality, passing, recheck};

/// A compute node's part in one ParaTime.
#[derive(Debug)]
pub struct Worker;

impl Worker {
    /// Starts a worker. It runs until the last handle is dropped or [`WorkerHandle::stop`] is
    /// called; the task's end, also by a panic, shows in the returned join handle.
    pub fn start(
        config: WorkerConfig,
        chain: Arc<dyn Chain>,
        links: Arc<dyn Links>,
        trusted: Arc<dyn Trusted>,
    ) -> (WorkerHandle, JoinHandle<()>) {
        // A committee's messages of a round or two. When it is full peers wait, which slows them,
        // not us.
        let (sender, inputs) = mpsc::channel(INPUTS_MAX);
        let (stop, stopped) = watch::channel(false);
        let shared = Arc::new(Shared::new(config, chain, links, trusted, sender));
        let blocks = shared.chain.subscribe();
        let machine = Machine::new(shared.me, shared.config.runtime_id);
        let handle = WorkerHandle::new(Arc::clone(&shared), stop);
        let worker = Loop {
            shared,
            machine,
            tasks: Tasks::new(),
            late: Vec::new(),
            resumed: None,
            skipped: None,
            workers: Vec::new(),
            in_step: None,
        };
        (handle, tokio::spawn(worker.run(blocks, inputs, stopped)))
    }
}

struct Loop {
    shared: Arc<Shared>,
    machine: Machine,
    tasks: Tasks,
    /// Votes that a late node keeps back.
    late: Vec<VoteMessage>,
    /// The round whose own signatures of an earlier start were looked for.
    resumed: Option<u64>,
    /// The schedulers barred in a round, which do not change in it.
    skipped: Option<(u64, Vec<PublicKey>)>,
    /// The workers, as far as this node knew last.
    workers: Vec<PublicKey>,
    /// What the trusted side, which has its keys, has seen.
    in_step: Option<View>,
}

impl Loop {
    async fn run(
        mut self,
        mut blocks: broadcast::Receiver<ChainBlock>,
        mut inputs: mpsc::Receiver<Input>,
        mut stopped: watch::Receiver<bool>,
    ) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.refresh().await;
        loop {
            tokio::select! {
                biased;
                // Told to stop, or nobody holds a handle any more.
                _ = stopped.changed() => break,
                block = blocks.recv() => {
                    if matches!(block, Err(broadcast::error::RecvError::Closed)) {
                        break;
                    }
                    // Only the newest state matters.
                    while blocks.try_recv().is_ok() {}
                    // Like a kill at this moment: what was begun is whole or is begun anew.
                    tokio::select! {
                        biased;
                        _ = stopped.changed() => break,
                        () = self.refresh() => {}
                    }
                }
                Some(input) = inputs.recv() => self.step(input),
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
        // Whom to ask for rounds is known before any is asked for.
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
        let situation = self.know(&view, ready).await;

        let released = finality::release(&self.shared).await;
        self.report(&situation, &synced);
        self.step(Input::Chain(Box::new(situation.as_ref().clone())));
        self.resume()?;
        self.late_votes(&situation);
        recheck::spawn(&self.shared, &mut self.tasks, &situation);
        followed.and(synced.map(|_| ())).and(released)
    }

    /// Whether the trusted side would see nothing new here. What it needs later it follows by
    /// itself, but it must not fall far behind.
    fn is_in_step(&self, view: &View) -> bool {
        self.in_step.as_ref().is_some_and(|seen| {
            view.height < seen.height.saturating_add(SYNC_BLOCKS)
                && (&view.epoch, &view.runtime, &view.state)
                    == (&seen.epoch, &seen.runtime, &seen.state)
        })
    }

    /// Lets the trusted side follow; whether it has this epoch's keys.
    async fn sync(&self, height: u64) -> Result<bool, WorkerError> {
        let synced = self.shared.trusted(move |side| trusted::sync(side, height)).await?;
        if !synced.sealed.is_empty() {
            self.shared.store.keep_sealed(synced.sealed)?;
        }
        self.shared.status.send_modify(|status| {
            status.has_keys = synced.has_keys;
            status.synced_height = synced.height;
        });
        Ok(synced.has_keys)
    }

    /// Publishes the situation to the worker's other tasks.
    async fn know(&mut self, view: &View, ready: bool) -> Arc<Situation> {
        let last = view.state.last_block.round.0;
        let skipped = match &self.skipped {
            Some((round, skipped)) if *round == last => skipped.clone(),
            _ => view::skipped(self.shared.chain.as_ref(), view).await,
        };
        self.skipped = Some((last, skipped.clone()));
        let situation = Arc::new(Situation {
            height: view.height,
            epoch: view.epoch.clone(),
            state: view.state.clone(),
            skipped,
            committee: view.committee.clone(),
            executor: view.runtime.executor.clone(),
            batching: view.runtime.batching.clone(),
            forced: view.forced,
            ready,
        });
        self.shared.situation.send_replace(Some(Arc::clone(&situation)));
        if let Some(committee) = &view.committee
            && committee.workers != self.workers
        {
            let before = std::mem::replace(&mut self.workers, committee.workers.clone());
            passing::hand_over(&self.shared, &before);
        }
        situation
    }

    fn report(&self, situation: &Situation, synced: &Result<bool, WorkerError>) {
        let seat = |seats: fn(&paralith_consensus_api::scheduler::Committee) -> &Vec<_>| {
            situation.committee.as_ref().is_some_and(|c| seats(c).contains(&self.shared.me))
        };
        let (applied, released) =
            (self.shared.store.applied_round(), self.shared.store.released_round());
        self.shared.status.send_modify(|status| {
            *status = Status {
                height: situation.height,
                last_round: situation.state.last_block.round.0,
                applied_round: applied.unwrap_or_default(),
                released_round: released.unwrap_or_default(),
                is_worker: seat(|committee| &committee.workers),
                is_backup: seat(|committee| &committee.backups),
                is_ready: situation.ready,
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
            for input in act::resume(&self.shared, &mut self.tasks)? {
                self.step(input);
            }
        }
        Ok(())
    }

    fn late_votes(&mut self, situation: &Situation) {
        let timeout = situation.state.pool.as_ref().and_then(|pool| pool.timeout);
        let passed = timeout.is_some_and(|timeout| situation.height >= timeout);
        if passed || situation.state.pool.as_ref().is_some_and(|pool| pool.disputed) {
            for message in std::mem::take(&mut self.late) {
                act::send_vote(&self.shared, &mut self.tasks, &message);
            }
        }
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
        let situation = self.shared.current()?;
        Some(Input::Pool(self.shared.pool().view(&situation.batching)))
    }

    /// Does what the machine says; what comes of it at once is its next input.
    fn act(&mut self, output: Output) -> Result<Option<Input>, WorkerError> {
        let (shared, tasks) = (&self.shared, &mut self.tasks);
        match output {
            Output::Propose(header) => return act::propose(shared, tasks, header),
            Output::FetchBatch { id, scheduler } => act::fetch(shared, tasks, id, scheduler),
            Output::Execute(proposal) => act::execute(shared, tasks, &proposal),
            Output::Vote { proposal, ballot } => {
                let Some((input, message)) = act::vote(shared, tasks, &proposal, ballot)? else {
                    return Ok(None);
                };
                if shared.is(Byzantine::Late) {
                    self.late.push(message);
                    return Ok(None);
                }
                return Ok(Some(input));
            }
            Output::Commit(mut commit) => {
                tracing::debug!(votes = commit.votes.len(), "commits");
                if shared.is(Byzantine::WithholdVote)
                    && let Some(place) = commit.votes.iter().rposition(|v| v.node != shared.me)
                {
                    commit.votes.remove(place);
                }
                act::submit(shared, tasks, Body::ExecutorCommit(*commit));
            }
            Output::Accuse(evidence) => act::submit(shared, tasks, Body::Evidence(*evidence)),
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
/// The trusted side follows at least this often; a new generation of keys is seen by then.
const SYNC_BLOCKS: u64 = 16;
