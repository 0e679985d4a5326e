//! What the worker's tasks and its handle share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use paralith_crypto::ed25519::SigningKey;
use paralith_proto::pb::paratime::v1::Round;
use paralith_proto::pb::roothash::v1 as roothash_pb;
use paralith_rt::Instant;
use paralith_storage::{Kv, Prepared, Tree};
use paralith_types::{ChainContext, Hash, PublicKey, RuntimeId};
use tokio::sync::{broadcast, mpsc, watch};

use crate::chain::Chain;
use crate::enclave::Enclave;
use crate::error::{EnclaveError, WorkerError};
use crate::forwarding::Forward;
use crate::links::Links;
use crate::recheck::Rechecked;
use crate::round::{ChainSnapshot, Input, Intake, PoolLimits, TxPool};
use crate::store::Store;
use crate::worker::Connections;

/// What a worker is started with.
#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// The ParaTime.
    pub runtime_id: RuntimeId,
    /// Signs proposals and votes.
    pub node_key: SigningKey,
    /// The chain.
    pub chain_context: ChainContext,
    /// The node's store; the worker keeps to its own part of it.
    pub kv: Kv,
    /// How much the pool holds.
    pub pool: PoolLimits,
    /// Nodes that may have final rounds, beside the committee.
    pub peers: Vec<PublicKey>,
}

/// What becomes of a round.
#[derive(Debug, Clone, PartialEq)]
pub enum Confirmation {
    /// All workers have signed it.
    Soft {
        /// The round.
        round: u64,
        /// What they signed for.
        proposal: roothash_pb::SignedProposal,
        /// Their votes.
        votes: Vec<roothash_pb::Vote>,
        /// Its transactions.
        tx_hashes: Vec<Hash>,
    },
    /// The chain has it, and its outputs are open: receipts can be had.
    Final {
        /// The round.
        round: u64,
        /// Its transactions.
        tx_hashes: Vec<Hash>,
    },
}

/// Where a worker stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// The consensus height that it acts on.
    pub height: u64,
    /// The newest round on the chain.
    pub last_round: u64,
    /// The newest round whose state this node has.
    pub applied_round: u64,
    /// The newest round whose outputs this node has open.
    pub released_round: u64,
    /// Whether it is in the committee as worker.
    pub is_worker: bool,
    /// Whether it is in the committee as backup.
    pub is_backup: bool,
    /// Whether it can execute.
    pub is_ready: bool,
    /// Whether the enclave has this epoch's keys.
    pub has_keys: bool,
    /// The height that the enclave has proven.
    pub synced_height: u64,
    /// What keeps it from going on, if anything does.
    pub trouble: String,
}

impl Status {
    /// Whether this node has applied all rounds that it knows of.
    pub fn has_newest_state(&self) -> bool {
        self.height > 0 && self.applied_round >= self.last_round
    }
}

/// The ways to the worker's loop.
pub(crate) struct Queues {
    pub(crate) inputs: mpsc::Sender<Input>,
    pub(crate) forwards: mpsc::Sender<Forward>,
}

pub(crate) struct Shared {
    pub(crate) config: WorkerConfig,
    pub(crate) me: PublicKey,
    pub(crate) chain: Arc<dyn Chain>,
    pub(crate) links: Arc<dyn Links>,
    pub(crate) enclave: Arc<dyn Enclave>,
    pub(crate) store: Store,
    pub(crate) tree: Tree,
    pub(crate) snapshot: watch::Sender<Option<Arc<ChainSnapshot>>>,
    pub(crate) status: watch::Sender<Status>,
    pub(crate) confirmations: broadcast::Sender<Confirmation>,
    pub(crate) rounds: broadcast::Sender<Arc<Round>>,
    pub(crate) queues: Queues,
    pub(crate) rechecked: Rechecked,
    /// Held by the one task that opens rounds.
    pub(crate) releasing: Arc<tokio::sync::Mutex<()>>,
    intake: Mutex<Intake>,
    /// The version of the tree that the last execution led to.
    prepared: Mutex<Option<Prepared>>,
    pool: Mutex<TxPool>,
    began: Instant,
}

impl Shared {
    pub(crate) fn new(
        config: WorkerConfig,
        Connections { chain, links, enclave }: Connections,
        queues: Queues,
    ) -> Self {
        Self {
            me: config.node_key.public(),
            store: Store::new(config.kv.clone(), &config.runtime_id),
            tree: Tree::new(config.kv.clone(), config.runtime_id.as_bytes()),
            pool: Mutex::new(TxPool::new(config.pool)),
            snapshot: watch::Sender::new(None),
            status: watch::Sender::new(Status::default()),
            confirmations: broadcast::Sender::new(BROADCAST_MAX),
            rounds: broadcast::Sender::new(BROADCAST_MAX),
            rechecked: Rechecked::default(),
            releasing: Arc::default(),
            intake: Mutex::default(),
            prepared: Mutex::new(None),
            began: Instant::now(),
            config,
            chain,
            links,
            enclave,
            queues,
        }
    }

    /// Milliseconds since the start: the machine's only clock.
    pub(crate) fn now_ms(&self) -> u64 {
        self.began.elapsed_ms()
    }

    /// The pool. A panic of another thread leaves it whole enough: at worst a transaction is lost.
    pub(crate) fn pool(&self) -> MutexGuard<'_, TxPool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What decides which messages of peers are taken.
    pub(crate) fn intake(&self) -> MutexGuard<'_, Intake> {
        self.intake.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a version that will be needed if its round becomes final.
    pub(crate) fn keep_prepared(&self, prepared: Prepared) {
        *self.prepared.lock().unwrap_or_else(PoisonError::into_inner) = Some(prepared);
    }

    /// The version with this base, number and root, if it is the one that was kept last.
    pub(crate) fn take_prepared(
        &self,
        base: Option<u64>,
        version: u64,
        root: &Hash,
    ) -> Option<Prepared> {
        let kept = self.prepared.lock().unwrap_or_else(PoisonError::into_inner).take();
        kept.filter(|kept| (kept.base(), kept.version(), kept.root()) == (base, version, *root))
    }

    pub(crate) fn current(&self) -> Option<Arc<ChainSnapshot>> {
        self.snapshot.borrow().clone()
    }

    /// The committee without this node, each once.
    pub(crate) fn members(&self) -> Vec<PublicKey> {
        let Some(snapshot) = self.current() else { return Vec::new() };
        let Some(committee) = &snapshot.committee else { return Vec::new() };
        let mut members: Vec<PublicKey> = committee.workers.clone();
        for backup in &committee.backups {
            if !members.contains(backup) {
                members.push(*backup);
            }
        }
        members.retain(|member| *member != self.me);
        members
    }

    /// The workers without this node.
    pub(crate) fn workers(&self) -> Vec<PublicKey> {
        let snapshot = self.current();
        let committee = snapshot.as_ref().and_then(|snapshot| snapshot.committee.as_ref());
        let workers = committee.map(|committee| committee.workers.clone()).unwrap_or_default();
        workers.into_iter().filter(|worker| *worker != self.me).collect()
    }

    /// Runs a call of the enclave where it may block.
    pub(crate) async fn enclave<T: Send + 'static>(
        &self,
        call: impl FnOnce(&dyn Enclave) -> Result<T, EnclaveError> + Send + 'static,
    ) -> Result<T, WorkerError> {
        let enclave = Arc::clone(&self.enclave);
        let done = paralith_rt::blocking(move || call(enclave.as_ref())).await;
        Ok(done.map_err(|_| WorkerError::Stopped)??)
    }
}

/// Receivers that are further behind than this ask for receipts and rounds one by one.
const BROADCAST_MAX: usize = 256;
