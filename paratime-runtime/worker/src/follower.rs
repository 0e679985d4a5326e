//! Following a ParaTime's final rounds: header, write log, state. Without an enclave, a pool or a seat
//! in the committee.
//!
//! * A final round's write log is applied if the root that it makes is the header's; the log comes
//!   from this node's own execution, or from any peer, and is checked the same way.
//! * Rounds without results change nothing. Rounds are applied in order.
//! * A follower that gets no log takes the state after the newest round from its peers, a page at a
//!   time; see `checkpoint.rs`.

use std::sync::Arc;

use paralith_consensus_api::roothash::{Header, HeaderType, RuntimeState};
use paralith_consensus_api::scheduler::Committee;
use paralith_proto::Wire;
use paralith_proto::pb::host::v1::Change;
use paralith_proto::pb::worker::v1::RoundData;
use paralith_rt::JoinHandle;
use paralith_runtime_api::output::{IoLeaf, OpenedOutput, io_root};
use paralith_storage::{Changes, Durability, Kv, Prepared, StorageError, Tree};
use paralith_types::{Hash, Height, PublicKey, Round, RuntimeId};
use tokio::sync::{broadcast, watch};

use crate::chain::{Chain, ChainBlock};
use crate::effects::LINK_TIMEOUT;
use crate::error::WorkerError;
use crate::ledger::Ledger;
use crate::links::{LinkError, Links};
use crate::view;
use crate::wire::invalid;

/// Follows the final rounds of one ParaTime.
pub struct Follower {
    pub(crate) runtime_id: RuntimeId,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) chain: Arc<dyn Chain>,
    pub(crate) links: Arc<dyn Links>,
    /// For how many blocks versions of the tree are kept; none: all are.
    pub(crate) state_kept_blocks: Option<u64>,
}

/// The state that a follower has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applied {
    /// The consensus height at which the round was seen to be the newest.
    pub height: Height,
    /// The round.
    pub round: Round,
    /// The root of the state after it.
    pub root: Hash,
}

/// A handle on a running follower; clones share it. The follower ends when the last one is dropped.
#[derive(Debug, Clone)]
pub struct FollowerHandle {
    ledger: Arc<Ledger>,
    applied: watch::Receiver<Applied>,
    stop: Arc<watch::Sender<bool>>,
}

impl FollowerHandle {
    /// The state. A version of it is the state after the round with this number; a round without
    /// results has none of its own, and the state of the newest version before it
    /// ([`Tree::at_most`]).
    pub fn tree(&self) -> &Tree {
        &self.ledger.tree
    }

    /// What it has applied, as it goes on.
    pub fn applied(&self) -> watch::Receiver<Applied> {
        self.applied.clone()
    }

    /// Keeps the state after a round from being pruned, until the name is unpinned or pins another
    /// round. On the disk when it returns. [`WorkerError::NotFound`] if the state is not here (any
    /// more).
    pub fn pin(&self, name: &str, round: Round) -> Result<(), WorkerError> {
        self.ledger.pin(name, round.0)
    }

    /// Takes a pin back. One that is not there is no error.
    pub fn unpin(&self, name: &str) -> Result<(), StorageError> {
        self.ledger.store.unpin(name)
    }

    /// The header of a round that was followed.
    pub fn header(&self, round: Round) -> Result<Option<Header>, StorageError> {
        self.ledger.store.header(round.0)
    }

    /// Ends the follower.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }
}

impl std::fmt::Debug for Follower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Follower({})", self.runtime_id)
    }
}

impl Follower {
    /// Starts to follow a ParaTime. The store is the follower's own: a worker of the same ParaTime
    /// must not run on it. The states of the last 10,000 blocks are kept.
    pub fn start(
        runtime_id: RuntimeId,
        kv: Kv,
        chain: Arc<dyn Chain>,
        links: Arc<dyn Links>,
    ) -> (FollowerHandle, JoinHandle<()>) {
        Self::start_keeping(runtime_id, kv, chain, links, Some(STATE_KEPT_BLOCKS))
    }

    /// As [`Follower::start`], with states kept for so many blocks, or for ever.
    pub fn start_keeping(
        runtime_id: RuntimeId,
        kv: Kv,
        chain: Arc<dyn Chain>,
        links: Arc<dyn Links>,
        state_kept_blocks: Option<u64>,
    ) -> (FollowerHandle, JoinHandle<()>) {
        let ledger = Arc::new(Ledger::new(kv, &runtime_id));
        let blocks = chain.subscribe();
        let follower =
            Self { runtime_id, ledger: Arc::clone(&ledger), chain, links, state_kept_blocks };
        let none =
            Applied { height: Height(0), round: Round(0), root: paralith_storage::EMPTY_ROOT };
        let (applied, watched) = watch::channel(none);
        let (stop, stopped) = watch::channel(false);
        let handle = FollowerHandle { ledger, applied: watched, stop: Arc::new(stop) };
        (handle, paralith_rt::spawn(follower.run(blocks, applied, stopped)))
    }

    async fn run(
        self,
        mut blocks: broadcast::Receiver<ChainBlock>,
        applied: watch::Sender<Applied>,
        mut stopped: watch::Receiver<bool>,
    ) {
        loop {
            // Cancellation-safe: each step is atomic on disk.
            let followed = tokio::select! {
                biased;
                _ = stopped.changed() => return,
                followed = self.follow() => followed,
            };
            match followed {
                Ok(Some(now)) => {
                    applied.send_if_modified(|before| std::mem::replace(before, now) != now);
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::debug!(runtime = %self.runtime_id, %error, "cannot follow yet");
                }
            }
            tokio::select! {
                biased;
                _ = stopped.changed() => return,
                block = blocks.recv() => {
                    if matches!(block, Err(broadcast::error::RecvError::Closed)) {
                        return;
                    }
                    // Only the newest state matters.
                    while blocks.try_recv().is_ok() {}
                }
            }
        }
    }

    /// Applies what is final at the newest proven height. None before the ParaTime has any state.
    async fn follow(&self) -> Result<Option<Applied>, WorkerError> {
        let chain = self.chain.as_ref();
        let Some((height, state)) = view::runtime_state(chain, &self.runtime_id).await? else {
            return Ok(None);
        };
        let committee = view::committee(chain, height, &self.runtime_id).await?;
        let sources = committee.as_ref().map(members).unwrap_or_default();
        let last = &state.last_block;
        let mut followed = match self.is_out_of_reach(height, last).await? {
            true => Err(WorkerError::NotFound),
            false => self.catch_up(height, &state, &sources, |_| {}).await,
        };
        if followed.is_err() && self.lacks_logs(&state)? {
            followed = self.take_checkpoint(last, &sources).await;
        }
        followed?;
        let root = self.ledger.state_root()?;
        if root != last.state_root {
            return Err(invalid("the state is not that of the newest round"));
        }
        Ok(Some(Applied { height: Height(height), round: last.round, root }))
    }

    /// Whether the chain has dropped the header of the next round to apply.
    async fn is_out_of_reach(&self, height: u64, last: &Header) -> Result<bool, WorkerError> {
        let next = self.ledger.store.applied_round()?.saturating_add(1);
        if next >= last.round.0 {
            return Ok(false);
        }
        let header = view::header(self.chain.as_ref(), height, &self.runtime_id, next).await?;
        Ok(header.is_none())
    }

    /// Whether waiting for a log does not help: the round that is missing is not the newest one with
    /// results, whose members may just be applying it.
    fn lacks_logs(&self, state: &RuntimeState) -> Result<bool, StorageError> {
        Ok(self.ledger.store.applied_round()?.saturating_add(1) < state.last_normal_round.0)
    }

    /// Applies every round up to the last block of a state read at `height`. Asks `sources` for write
    /// logs, in their order; reports what it applied.
    pub(crate) async fn catch_up(
        &self,
        height: u64,
        state: &RuntimeState,
        sources: &[PublicKey],
        mut report: impl FnMut(&RoundData),
    ) -> Result<(), WorkerError> {
        let last = &state.last_block;
        let store = &self.ledger.store;
        let mut applied = store.applied_round()?;
        while applied < last.round.0 {
            let round = applied.saturating_add(1);
            let header = if round == last.round.0 {
                Some(last.clone())
            } else {
                view::header(self.chain.as_ref(), height, &self.runtime_id, round).await?
            };
            match header {
                Some(header) if header.header_type == HeaderType::Normal => {
                    if let Some(data) = self.apply(header, sources).await? {
                        report(&data);
                    }
                }
                // A block without results, or so old that the chain has dropped its header; if that
                // one had results, the next root will not fit.
                other => store.skip_to(round, other.as_ref())?,
            }
            applied = round;
            if round == last.round.0 {
                self.ledger.prune(last, self.state_kept_blocks)?;
            }
        }
        Ok(())
    }

    /// Applies one final round with results, and gives its data if it was not applied before.
    async fn apply(
        &self,
        header: Header,
        sources: &[PublicKey],
    ) -> Result<Option<RoundData>, WorkerError> {
        let (ledger, round) = (&self.ledger, header.round.0);
        let latest = ledger.latest_version()?;
        if latest.is_some_and(|version| version >= round) {
            // A crash came between the tree and the mark; both are one batch, so this is another's
            // tree.
            ledger.store.skip_to(round, Some(&header))?;
            return Ok(None);
        }
        let own = ledger.store.outcome(round, &header.state_root, &header.io_root)?;
        let found = match own {
            Some(data) => {
                let kept = ledger.take_prepared(latest, round, &header.state_root);
                checked(ledger, &header, data, kept)
            }
            None => Err(WorkerError::NotFound),
        };
        let (data, prepared) = match found {
            Ok(found) => found,
            Err(_) => self.fetch(&header, sources).await?,
        };
        let extra = ledger.store.applied(&header, &data)?;
        ledger.tree.commit(prepared, extra, Durability::Synced)?;
        tracing::debug!(round, transactions = data.leaves.len(), "has applied");
        Ok(Some(data))
    }

    /// Asks one peer after the other for a final round, until one's answer fits the header.
    async fn fetch(
        &self,
        header: &Header,
        sources: &[PublicKey],
    ) -> Result<(RoundData, Prepared), WorkerError> {
        let mut error = WorkerError::NotFound;
        for peer in sources {
            match self.round_of(*peer, header.round).await {
                Ok(data) => match checked(&self.ledger, header, data, None) {
                    Ok(found) => return Ok(found),
                    Err(refused) => error = refused,
                },
                Err(refused) => error = refused.into(),
            }
        }
        Err(error)
    }

    /// A final round as a peer has it; nothing of it is checked.
    pub(crate) async fn round_of(
        &self,
        peer: PublicKey,
        round: Round,
    ) -> Result<RoundData, LinkError> {
        let ask = self.links.fetch_round(peer, self.runtime_id, round);
        let late = |_| LinkError::Unreachable("no answer in time".to_string());
        paralith_rt::timeout(LINK_TIMEOUT, ask).await.map_err(late)?
    }
}

/// The members of a committee, each once.
fn members(committee: &Committee) -> Vec<PublicKey> {
    let mut members = committee.workers.clone();
    for backup in &committee.backups {
        if !members.contains(backup) {
            members.push(*backup);
        }
    }
    members
}

/// Checks a round's data against its final header; nothing of it is believed before. `kept` is the
/// version that this node computed of the same data.
fn checked(
    ledger: &Ledger,
    header: &Header,
    mut data: RoundData,
    kept: Option<Prepared>,
) -> Result<(RoundData, Prepared), WorkerError> {
    let leaves = leaves_of(&data)?;
    if io_root(&leaves) != header.io_root {
        return Err(invalid("the leaves do not have the header's I/O root"));
    }
    let base = ledger.latest_version()?;
    let prepared = match kept {
        Some(prepared) => prepared,
        None => ledger.tree.prepare(base, header.round.0, &changes_of(&data.changes))?,
    };
    // RD-15: whoever the log comes from, only the final root counts.
    if prepared.root() != header.state_root {
        return Err(invalid("the write log does not lead to the header's state root"));
    }
    if !opened_fit(&data.outputs, &leaves) {
        data.outputs.clear();
    }
    data.header = Some(header.to_pb());
    Ok((data, prepared))
}

/// A write log as the tree takes it.
pub(crate) fn changes_of(changes: &[Change]) -> Changes {
    changes.iter().map(|change| (change.key.clone(), change.value.clone())).collect()
}

pub(crate) fn leaves_of(data: &RoundData) -> Result<Vec<IoLeaf>, WorkerError> {
    Wire::from_pb(data.leaves.clone()).map_err(|e| invalid(&e.to_string()))
}

/// Whether there is one output a leaf, and each is what its leaf commits to.
pub(crate) fn opened_fit(
    outputs: &[paralith_proto::pb::paratime::v1::OpenedOutput],
    leaves: &[IoLeaf],
) -> bool {
    let opened: Result<Vec<OpenedOutput>, _> = Wire::from_pb(outputs.to_vec());
    opened.is_ok_and(|opened| {
        // RD-16
        opened.len() == leaves.len()
            && opened.iter().zip(leaves).all(|(output, leaf)| output.matches(leaf))
    })
}

/// A follower keeps states for so many blocks unless it is told otherwise.
const STATE_KEPT_BLOCKS: u64 = 10_000;
