//! The chain of these tests: the real application with one ParaTime and six nodes that run it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use discrepancy::Signer;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use paralith_consensus_api::registry::{self, Batching, Executor, Runtime};
use paralith_consensus_api::roothash::{self, Header, RuntimeState};
use paralith_consensus_api::scheduler::{self, Committee};
use paralith_consensus_api::tx::Body;
use paralith_crypto::ed25519::SigningKey;
use paralith_genesis::{Builder, Document, GenesisTime, NodeKeys, development_params};
use paralith_harness::rounds::{Ended, RoundLog, running};
use paralith_harness::{AppChain, GENESIS_SECONDS, SignedBody, consensus_key, runtimes};
use paralith_runtime_worker::{Chain, ChainBlock, ChainError, ProvenValue};
use paralith_types::{Amount, ChainContext, Hash, Height, PublicKey, Round, RuntimeId};
use tokio::sync::broadcast;

use super::{Setup, id, key};

pub(crate) const RUNTIME: RuntimeId = RuntimeId([8; 32]);

/// The numbers of the validator and of the nodes' consensus keys begin here.
const VALIDATOR: u8 = 200;

/// The chain that all nodes of a test share.
pub(crate) struct TestChain {
    pub(crate) app: AppChain,
    context: ChainContext,
    rounds: Mutex<RoundLog>,
    queue: Mutex<Vec<SignedBody>>,
    blocks: broadcast::Sender<ChainBlock>,
    /// Rounds whose outputs no enclave opens.
    closed: Mutex<BTreeSet<u64>>,
    all_closed: AtomicBool,
    /// The height at which the runtime wants a round; 0 for none.
    wake: AtomicU64,
}

impl TestChain {
    pub(crate) fn new(setup: &Setup) -> Self {
        let app = AppChain::new(document(setup, seed()), consensus_key(VALIDATOR));
        let context = app.context();
        let chain = Self {
            app,
            context,
            rounds: Mutex::new(RoundLog::new(RUNTIME)),
            queue: Mutex::default(),
            blocks: broadcast::Sender::new(64),
            closed: Mutex::default(),
            all_closed: AtomicBool::new(false),
            wake: AtomicU64::new(0),
        };
        chain.advance();
        chain
    }

    pub(crate) fn context(&self) -> ChainContext {
        self.context
    }

    /// Makes a block of everything that was submitted.
    pub(crate) fn advance(&self) {
        let txs = std::mem::take(&mut *self.queue.lock().unwrap());
        let output = self.app.make_block(txs);
        let height = self.app.height().0;
        self.rounds.lock().unwrap().block(height, &output, &self.state());
        let _ = self.blocks.send(ChainBlock { height, events: Vec::new() });
    }

    pub(crate) fn state(&self) -> RuntimeState {
        self.app.read(&roothash::keys::runtime_state(&RUNTIME)).unwrap()
    }

    pub(crate) fn header(&self, round: u64) -> Option<Header> {
        let last = self.state().last_block;
        if last.round.0 == round {
            return Some(last);
        }
        self.app.read(&roothash::keys::header(&RUNTIME, Round(round)))
    }

    pub(crate) fn last_round(&self) -> u64 {
        self.state().last_block.round.0
    }

    /// The runtime wants a round that pins this height or a later one.
    pub(crate) fn wake_at(&self, height: u64) {
        self.wake.store(height, Ordering::SeqCst);
    }

    /// What an enclave says of it: nothing when the last round was that round.
    pub(crate) fn wake_height(&self) -> Option<u64> {
        let wake = self.wake.load(Ordering::SeqCst);
        let pinned = self.state().last_block.consensus_height.0;
        (wake > pinned).then_some(wake)
    }

    /// From now on no round's outputs are opened, or all are but those that are broken.
    pub(crate) fn break_openings(&self, broken: bool) {
        self.all_closed.store(broken, Ordering::SeqCst);
    }

    /// A round's outputs are not opened.
    pub(crate) fn break_round(&self, round: u64) {
        self.closed.lock().unwrap().insert(round);
    }

    /// Every round's outputs are opened again.
    pub(crate) fn mend_rounds(&self) {
        self.closed.lock().unwrap().clear();
    }

    pub(crate) fn opens(&self, round: u64) -> bool {
        !self.all_closed.load(Ordering::SeqCst) && !self.closed.lock().unwrap().contains(&round)
    }

    /// Who schedules the running round at a rank.
    pub(crate) fn scheduler(&self, rank: u64) -> PublicKey {
        let committee: Committee = self.app.read(&scheduler::keys::committee(&RUNTIME)).unwrap();
        let runtime: Runtime = self.app.read(&registry::keys::runtime(&RUNTIME)).unwrap();
        let Signer(key) = running(&self.state(), &committee, &runtime).scheduler(rank).unwrap();
        PublicKey(key)
    }

    pub(crate) fn ended(&self) -> Vec<Ended> {
        self.rounds.lock().unwrap().ended().to_vec()
    }

    pub(crate) fn evidence_against(&self, node: &PublicKey) -> bool {
        self.rounds.lock().unwrap().accused().contains(node)
    }

    /// Whether anybody was slashed for a result.
    pub(crate) fn anybody_bad(&self) -> bool {
        self.rounds.lock().unwrap().ended().iter().any(|ended| !ended.said.bad.is_empty())
    }

    pub(crate) fn describe(&self) -> String {
        let (height, tail) = (self.app.height(), self.rounds.lock().unwrap().tail());
        format!("height {height}\n{tail}\nstate {:?}", self.state())
    }
}

/// A chain on which six nodes run one ParaTime.
fn document(setup: &Setup, seed: Hash) -> Document {
    let owner = paralith_harness::key(VALIDATOR - 1).public();
    let mut params = development_params(seed);
    params.beacon.epoch_blocks = setup.epoch_blocks;
    let validator = NodeKeys {
        node: paralith_harness::key(VALIDATOR).public(),
        consensus: consensus_key(VALIDATOR),
    };
    let base = runtimes::public(RUNTIME, owner);
    let runtime = Runtime {
        allow_plain_calls: true,
        max_tx_gas: 1_000,
        executor: Executor {
            workers: 3,
            backups: 3,
            allowed_stragglers: setup.stragglers,
            round_timeout_blocks: 40,
            max_failed_rounds: 100,
            ..base.executor
        },
        batching: Batching {
            flush_timeout_ms: 20,
            propose_timeout_ms: setup.propose_timeout_ms,
            max_batch_gas: 1_000,
            ..base.batching
        },
        ..base
    };
    let time = GenesisTime::from_seconds(GENESIS_SECONDS).unwrap();
    let mut builder = Builder::new("worker", time, params)
        .entity(owner, Amount(1_000_000))
        .validator(owner, &validator, &[])
        .runtime(runtime);
    for node in 0..6_u8 {
        // An entity each: none may report its own nodes.
        let entity = paralith_harness::key(150 + node).public();
        let keys =
            NodeKeys { node: id(node.into()), consensus: consensus_key(VALIDATOR + 1 + node) };
        builder = builder
            .entity(entity, Amount(1_000_000))
            .compute_node(entity, &keys, &[], &[RUNTIME])
            .fund(&keys.node, Amount(1_000_000));
    }
    builder.build().unwrap()
}

/// A seed of the beacon with which the nodes 0, 1 and 2 are the first workers, and 3, 4 and 5 the
/// backups.
fn seed() -> Hash {
    static SEED: OnceLock<Hash> = OnceLock::new();
    let ids = |nodes: [usize; 3]| nodes.map(id).into_iter().collect::<BTreeSet<_>>();
    let elected = |seed: Hash| -> [BTreeSet<PublicKey>; 2] {
        let chain = AppChain::new(document(&Setup::three(), seed), consensus_key(VALIDATOR));
        let committee: Committee = chain.read(&scheduler::keys::committee(&RUNTIME)).unwrap();
        [committee.workers, committee.backups].map(|nodes| nodes.into_iter().collect())
    };
    let wanted = [ids([0, 1, 2]), ids([3, 4, 5])];
    // One in 400 is such a seed; the search begins at the first.
    let mut seeds = (FIRST_SEED..).map(|number: u64| {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&number.to_le_bytes());
        Hash(seed)
    });
    *SEED.get_or_init(|| seeds.find(|seed| elected(*seed) == wanted).unwrap())
}

const FIRST_SEED: u64 = 0;

/// The chain as one node reaches it.
pub(crate) struct NodeChain {
    pub(crate) chain: Arc<TestChain>,
    /// Signs what the node submits.
    pub(crate) key: SigningKey,
}

impl NodeChain {
    pub(crate) fn of(chain: &Arc<TestChain>, node: usize) -> Arc<Self> {
        Arc::new(Self { chain: Arc::clone(chain), key: key(node) })
    }
}

impl Chain for NodeChain {
    fn subscribe(&self) -> broadcast::Receiver<ChainBlock> {
        self.chain.blocks.subscribe()
    }

    fn get_raw(
        &self,
        height: Option<u64>,
        key: Vec<u8>,
    ) -> BoxFuture<'_, Result<(u64, Option<Vec<u8>>), ChainError>> {
        async move {
            let height = height.map_or_else(|| self.chain.app.height(), Height);
            let value = self.chain.app.read_at(height, &key);
            let value = value.map_err(|e| ChainError::Unavailable(e.to_string()))?;
            Ok((height.0, value))
        }
        .boxed()
    }

    fn proven(&self, height: u64, key: Vec<u8>) -> BoxFuture<'_, Result<ProvenValue, ChainError>> {
        let proven = self.chain.app.prove(Height(height), &key);
        async { proven.ok_or_else(|| ChainError::Unavailable("no such height".into())) }.boxed()
    }

    fn light_block(&self, height: u64) -> BoxFuture<'_, Result<Vec<u8>, ChainError>> {
        let block = self.chain.app.light_block(Height(height), None).map(|block| block.encode());
        async { block.ok_or_else(|| ChainError::Unavailable("no such block".into())) }.boxed()
    }

    fn submit(&self, body: Body) -> BoxFuture<'_, Result<(), ChainError>> {
        async move {
            self.chain.queue.lock().unwrap().push((self.key.clone(), body));
            Ok(())
        }
        .boxed()
    }
}
