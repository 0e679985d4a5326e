//! A chain whose state and blocks a test makes, and members with scripts.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use paralith_consensus_api::registry::{
    self, Batching, Executor, Runtime, RuntimeKind, RuntimeStaking,
};
use paralith_consensus_api::roothash::{self, Header, HeaderType, RuntimeState, empty_hash};
use paralith_consensus_api::scheduler::{self, Committee};
use paralith_consensus_api::tx::Body;
use paralith_crypto::ed25519::SigningKey;
use paralith_proto::pb::host::v1::Answer;
use paralith_proto::pb::paratime::v1::{self as ppb, OpenedOutput, Receipt};
use paralith_proto::pb::worker::v1::RoundData;
use paralith_proto::{Canonical, Wire};
use paralith_runtime_api::output::{IoLeaf, commitment, io_root};
use paralith_runtime_api::query::Query;
use paralith_runtime_api::tx::{self, Call, Transaction};
use paralith_runtime_gateway::{Asked, Gateway, Members};
use paralith_runtime_worker::{
    Admitted, Chain, ChainBlock, ChainError, Confirmation, LinkError, ProvenValue, Submission,
};
use paralith_types::{Amount, ChainContext, Epoch, Hash, Height, PublicKey, Round, RuntimeId};
use tokio::sync::{broadcast, mpsc};

pub(crate) const RUNTIME: RuntimeId = RuntimeId([8; 32]);
pub(crate) const CHAIN: ChainContext = ChainContext([7; 32]);

/// A member by number.
pub(crate) fn id(number: u8) -> PublicKey {
    PublicKey([number; 32])
}

pub(crate) struct FakeChain {
    state: Mutex<BTreeMap<Vec<u8>, Vec<u8>>>,
    blocks: broadcast::Sender<ChainBlock>,
}

impl FakeChain {
    fn new() -> Self {
        Self { state: Mutex::default(), blocks: broadcast::Sender::new(4096) }
    }

    pub(crate) fn put<T: Canonical>(&self, key: Vec<u8>, value: &T) {
        self.state.lock().unwrap().insert(key, value.encode());
    }

    pub(crate) fn remove(&self, key: &[u8]) {
        self.state.lock().unwrap().remove(key);
    }

    /// So many blocks, each when all tasks have done what they could.
    pub(crate) async fn blocks(&self, count: u32) {
        for height in 0..count {
            for _ in 0..50 {
                tokio::task::yield_now().await;
            }
            let _ = self.blocks.send(ChainBlock { height: height.into(), events: Vec::new() });
        }
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }
}

impl Chain for FakeChain {
    fn subscribe(&self) -> broadcast::Receiver<ChainBlock> {
        self.blocks.subscribe()
    }

    fn get_raw(
        &self,
        _: Option<u64>,
        key: Vec<u8>,
    ) -> BoxFuture<'_, Result<(u64, Option<Vec<u8>>), ChainError>> {
        async move { Ok((1, self.state.lock().unwrap().get(&key).cloned())) }.boxed()
    }

    fn proven(&self, _: u64, _: Vec<u8>) -> BoxFuture<'_, Result<ProvenValue, ChainError>> {
        async { Err(ChainError::Unavailable("no proofs here".into())) }.boxed()
    }

    fn light_block(&self, _: u64) -> BoxFuture<'_, Result<Vec<u8>, ChainError>> {
        async { Err(ChainError::Unavailable("no headers here".into())) }.boxed()
    }

    fn submit(&self, _: Body) -> BoxFuture<'_, Result<(), ChainError>> {
        async { Ok(()) }.boxed()
    }
}

/// What members answer: for each the next answer of its script, and its last one ever after.
#[derive(Default)]
pub(crate) struct Script {
    pub(crate) submits: BTreeMap<PublicKey, VecDeque<Result<Admitted, LinkError>>>,
    pub(crate) queries: BTreeMap<PublicKey, VecDeque<Result<Answer, LinkError>>>,
    pub(crate) rounds: BTreeMap<(PublicKey, u64), RoundData>,
    pub(crate) found: BTreeMap<PublicKey, u64>,
    /// Who was asked to take a transaction, in order.
    pub(crate) asked: Vec<PublicKey>,
    pub(crate) queried: Vec<PublicKey>,
}

#[derive(Default)]
pub(crate) struct FakeMembers(pub(crate) Mutex<Script>);

fn next<T: Clone>(script: Option<&mut VecDeque<Result<T, LinkError>>>) -> Result<T, LinkError> {
    let silent = || Err(LinkError::Unreachable("silent".into()));
    let Some(script) = script else { return silent() };
    let first = script.front().cloned().unwrap_or_else(silent);
    if script.len() > 1 {
        script.pop_front();
    }
    first
}

impl Members for FakeMembers {
    fn is_here(&self, _: &PublicKey, _: &RuntimeId) -> bool {
        false
    }

    fn submit_here(&self, _: RuntimeId, _: Submission) -> Asked<'_, Admitted> {
        async { Err(LinkError::NotFound) }.boxed()
    }

    fn submit(
        &self,
        member: PublicKey,
        _: RuntimeId,
        raws: Vec<Vec<u8>>,
    ) -> Asked<'_, Vec<Admitted>> {
        async move {
            let mut script = self.0.lock().unwrap();
            script.asked.push(member);
            let answer = next(script.submits.get_mut(&member))?;
            Ok(vec![answer; raws.len()])
        }
        .boxed()
    }

    fn run_query(&self, member: PublicKey, _: Query) -> Asked<'_, Answer> {
        async move {
            let mut script = self.0.lock().unwrap();
            script.queried.push(member);
            next(script.queries.get_mut(&member))
        }
        .boxed()
    }

    fn reveal(&self, member: PublicKey, _: RuntimeId, _: Round, _: Vec<u8>) -> Asked<'_, Answer> {
        async move { next(self.0.lock().unwrap().queries.get_mut(&member)) }.boxed()
    }

    fn fetch_round(&self, member: PublicKey, _: RuntimeId, round: Round) -> Asked<'_, RoundData> {
        async move {
            let found = self.0.lock().unwrap().rounds.get(&(member, round.0)).cloned();
            found.ok_or(LinkError::NotFound)
        }
        .boxed()
    }

    fn find_round(&self, member: PublicKey, _: RuntimeId, _: Hash) -> Asked<'_, Round> {
        async move {
            let found = self.0.lock().unwrap().found.get(&member).copied();
            found.map(Round).ok_or(LinkError::NotFound)
        }
        .boxed()
    }

    fn own_receipt(&self, _: &RuntimeId, _: &Hash) -> Result<Option<Receipt>, LinkError> {
        Ok(None)
    }

    fn confirmations(&self, _: &RuntimeId) -> Option<broadcast::Receiver<Confirmation>> {
        None
    }

    fn opened(&self, _: &RuntimeId) -> Option<broadcast::Receiver<Arc<ppb::Round>>> {
        None
    }
}

/// A ParaTime with workers 1, 2 and backups 2, 3, after round 10.
pub(crate) struct World {
    pub(crate) chain: Arc<FakeChain>,
    pub(crate) members: Arc<FakeMembers>,
    pub(crate) gateway: Gateway,
}

impl World {
    pub(crate) fn new() -> Self {
        let (chain, members) = (Arc::new(FakeChain::new()), Arc::<FakeMembers>::default());
        let gateway = Gateway::new(id(3), chain.clone(), members.clone());
        let world = Self { chain, members, gateway };
        world.chain.put(registry::keys::runtime(&RUNTIME), &runtime());
        world.committee(&[1, 2], &[2, 3]);
        world.last_round(header(10, HeaderType::Normal, &[]));
        world
    }

    pub(crate) fn committee(&self, workers: &[u8], backups: &[u8]) {
        let ids = |numbers: &[u8]| numbers.iter().map(|number| id(*number)).collect();
        let committee = Committee {
            runtime_id: RUNTIME,
            epoch: Epoch(1),
            workers: ids(workers),
            backups: ids(backups),
        };
        self.chain.put(scheduler::keys::committee(&RUNTIME), &committee);
    }

    pub(crate) fn last_round(&self, header: Header) {
        let state = RuntimeState {
            runtime_id: RUNTIME,
            suspended: false,
            last_block_height: Height(1),
            last_normal_round: header.round,
            last_normal_height: Height(1),
            pool: None,
            skipped: Vec::new(),
            failed: Vec::new(),
            io_root: empty_hash(),
            wakeup: None,
            slashed: Vec::new(),
            records: Vec::new(),
            last_block: header.clone(),
        };
        self.chain.put(roothash::keys::runtime_state(&RUNTIME), &state);
        self.chain.put(roothash::keys::header(&RUNTIME, header.round), &header);
    }

    /// A final round with these transactions, which members have; opened or not.
    pub(crate) fn finalise(&self, round: u64, txs: &[Hash], by: &[u8], open: bool) {
        let leaves: Vec<IoLeaf> = txs.iter().map(leaf).collect();
        self.last_round(header(round, HeaderType::Normal, &leaves));
        self.give(round, txs, by, open);
    }

    pub(crate) fn give(&self, round: u64, txs: &[Hash], by: &[u8], open: bool) {
        let leaves: Vec<IoLeaf> = txs.iter().map(leaf).collect();
        let outputs = txs.iter().map(|tx| OpenedOutput {
            tx_hash: tx.as_bytes().to_vec(),
            blinding: Hash::ZERO.as_bytes().to_vec(),
            output: output(tx),
        });
        let outputs: Vec<_> = if open { outputs.collect() } else { Vec::new() };
        let data = RoundData { leaves: leaves.to_pb(), outputs, ..RoundData::default() };
        for member in by {
            self.script(|script| script.rounds.insert((id(*member), round), data.clone()));
        }
    }

    pub(crate) fn script<T>(&self, change: impl FnOnce(&mut Script) -> T) -> T {
        change(&mut self.members.0.lock().unwrap())
    }

    pub(crate) fn submits(&self, member: u8, answers: Vec<Result<Admitted, LinkError>>) {
        self.script(|script| script.submits.insert(id(member), answers.into()));
    }

    /// Submits in a task; the receipts come out of the channel, then the outcome of the handle.
    pub(crate) fn submit(
        &self,
        raw: Vec<u8>,
        wait_for: ppb::Confirmation,
    ) -> (
        mpsc::Receiver<Receipt>,
        paralith_rt::JoinHandle<Result<(), paralith_runtime_gateway::GatewayError>>,
    ) {
        let (sender, receipts) = mpsc::channel(8);
        let gateway = self.gateway.clone();
        let task = paralith_rt::spawn(async move { gateway.submit(raw, wait_for, &sender).await });
        (receipts, task)
    }
}

fn output(tx: &Hash) -> Vec<u8> {
    [&tx.0[..], b" done"].concat()
}

fn leaf(tx: &Hash) -> IoLeaf {
    let output_commitment = commitment(&Hash::ZERO, &output(tx));
    IoLeaf { tx_hash: *tx, gas_used: 1, output_commitment, events: Vec::new() }
}

pub(crate) fn header(round: u64, header_type: HeaderType, leaves: &[IoLeaf]) -> Header {
    Header {
        version: 1,
        runtime_id: RUNTIME,
        round: Round(round),
        timestamp: 0,
        header_type,
        previous_hash: Hash::ZERO,
        io_root: io_root(leaves),
        state_root: Hash::ZERO,
        messages_hash: empty_hash(),
        in_messages_hash: empty_hash(),
        consensus_height: Height(1),
        batch_hash: Hash::ZERO,
        proposal_id: Hash::ZERO,
    }
}

/// A signed transaction.
pub(crate) fn transaction(nonce: u64) -> (Vec<u8>, Hash) {
    let transaction = Transaction {
        version: tx::VERSION,
        chain_context: CHAIN,
        runtime_id: RUNTIME,
        nonce,
        fee: Amount(0),
        gas_limit: 10,
        body: tx::Body::Call(Call { method: "add".into(), args: Vec::new() }),
    };
    let raw = transaction.sign(&SigningKey::from_seed([9; 32])).encode();
    let hash = tx::hash_of(&raw);
    (raw, hash)
}

fn runtime() -> Runtime {
    Runtime {
        id: RUNTIME,
        entity_id: PublicKey([1; 32]),
        kind: RuntimeKind::Compute,
        name: "test".into(),
        code: None,
        confidential: false,
        allow_plain_calls: true,
        key_manager: None,
        tee: None,
        init_argument: Vec::new(),
        min_gas_price: Amount(0),
        max_tx_gas: 1_000,
        sequence: 1,
        approval: None,
        terms: Vec::new(),
        raw_transactions: false,
        second_key_manager: None,
        executor: Executor {
            workers: 2,
            backups: 2,
            allowed_stragglers: 0,
            round_timeout_blocks: 5,
            max_messages: 0,
            max_in_messages: 0,
            max_failed_rounds: 1,
            liveness: Default::default(),
        },
        batching: Batching {
            max_batch_size: 10,
            max_batch_bytes: 100_000,
            flush_timeout_ms: 20,
            propose_timeout_ms: 400,
            max_batch_gas: 1_000,
            empty_round_blocks: 0,
        },
        staking: RuntimeStaking {
            slash_incorrect_results: Amount(1),
            slash_equivocation: Amount(1),
            reward_incorrect_results_percent: 0,
            reward_equivocation_percent: 0,
            min_in_message_fee: Amount(0),
        },
    }
}
