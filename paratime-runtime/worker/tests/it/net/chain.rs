//! A consensus chain in memory: the discrepancy rules decide, and state is what a worker reads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use discrepancy::{Config, Outcome, Pool, ProposalId, ResultHash, Signer, Verdict, Vote};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use paralith_consensus_api::beacon::{self, EpochState};
use paralith_consensus_api::registry::{
    self, Batching, Executor, Runtime, RuntimeKind, RuntimeStaking,
};
use paralith_consensus_api::roothash::{
    self, EvidenceKind, ExecutorCommit, Header, HeaderType, PendingResult, RuntimeState, empty_hash,
};
use paralith_consensus_api::scheduler::{self, Committee};
use paralith_consensus_api::tx::Body;
use paralith_proto::Canonical;
use paralith_runtime_worker::{Chain, ChainBlock, ChainError, ProvenValue};
use paralith_storage::EMPTY_ROOT;
use paralith_types::{Amount, ChainContext, Epoch, Hash, Height, PublicKey, Round, RuntimeId};
use tokio::sync::broadcast;

use super::{Setup, id};

pub(crate) const CHAIN: ChainContext = ChainContext([7; 32]);
pub(crate) const RUNTIME: RuntimeId = RuntimeId([8; 32]);

/// How a round ended.
#[derive(Debug, Clone)]
pub(crate) struct Ended {
    pub(crate) verdict: Verdict,
    pub(crate) disputed: bool,
    pub(crate) outcome: Outcome,
    pub(crate) commits: usize,
}

pub(crate) struct FakeChain {
    inner: Mutex<Inner>,
    blocks: broadcast::Sender<ChainBlock>,
    /// Rounds whose outputs no enclave opens.
    closed: Mutex<BTreeSet<u64>>,
    all_closed: std::sync::atomic::AtomicBool,
}

struct Inner {
    height: u64,
    epoch_blocks: u64,
    states: Vec<BTreeMap<Vec<u8>, Vec<u8>>>,
    queue: Vec<Body>,
    committee: Committee,
    runtime: Runtime,
    headers: Vec<Header>,
    last_normal: u64,
    skipped: BTreeSet<PublicKey>,
    pool: Pool,
    pending: BTreeMap<Hash, PendingResult>,
    commits: usize,
    ended: Vec<Ended>,
    evidence: BTreeSet<PublicKey>,
    log: Vec<String>,
}

impl FakeChain {
    pub(crate) fn new(setup: &Setup) -> Self {
        let ids = |nodes: &[usize]| nodes.iter().map(|node| id(*node)).collect();
        let committee = Committee {
            runtime_id: RUNTIME,
            epoch: Epoch(1),
            workers: ids(&setup.workers),
            backups: ids(&setup.backups),
        };
        let runtime = runtime(setup);
        let genesis = Header {
            version: 1,
            runtime_id: RUNTIME,
            round: Round(0),
            timestamp: 0,
            header_type: HeaderType::EpochTransition,
            previous_hash: Hash::ZERO,
            io_root: empty_hash(),
            state_root: EMPTY_ROOT,
            messages_hash: empty_hash(),
            in_messages_hash: empty_hash(),
            consensus_height: Height(0),
            batch_hash: Hash::ZERO,
            proposal_id: Hash::ZERO,
        };
        let pool = Pool::new(config(&committee, &runtime, 1, &BTreeSet::new())).unwrap();
        let mut inner = Inner {
            height: 0,
            epoch_blocks: 1_000_000,
            states: Vec::new(),
            queue: Vec::new(),
            committee,
            runtime,
            headers: vec![genesis],
            last_normal: 0,
            skipped: BTreeSet::new(),
            pool,
            pending: BTreeMap::new(),
            commits: 0,
            ended: Vec::new(),
            evidence: BTreeSet::new(),
            log: Vec::new(),
        };
        inner.write(0);
        Self {
            inner: Mutex::new(inner),
            blocks: broadcast::Sender::new(64),
            closed: Mutex::default(),
            all_closed: false.into(),
        }
    }

    /// Makes a block of everything that was handed in.
    pub(crate) fn advance(&self) {
        let height = self.inner.lock().unwrap().block();
        let _ = self.blocks.send(ChainBlock { height, events: Vec::new() });
    }

    /// Ends epochs after this many blocks each.
    pub(crate) fn epochs_of(&self, blocks: u64) {
        self.inner.lock().unwrap().epoch_blocks = blocks;
    }

    pub(crate) fn header(&self, round: u64) -> Option<Header> {
        self.inner.lock().unwrap().headers.get(round as usize).cloned()
    }

    pub(crate) fn last_round(&self) -> u64 {
        self.inner.lock().unwrap().headers.len() as u64 - 1
    }

    /// From now on no round's outputs are opened, or all are but those that are broken.
    pub(crate) fn break_openings(&self, broken: bool) {
        self.all_closed.store(broken, std::sync::atomic::Ordering::SeqCst);
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
        !self.all_closed.load(std::sync::atomic::Ordering::SeqCst)
            && !self.closed.lock().unwrap().contains(&round)
    }

    /// Who schedules the running round at a rank.
    pub(crate) fn scheduler(&self, rank: u64) -> PublicKey {
        let inner = self.inner.lock().unwrap();
        PublicKey(inner.pool.config().scheduler(rank).unwrap().0)
    }

    pub(crate) fn ended(&self) -> Vec<Ended> {
        self.inner.lock().unwrap().ended.clone()
    }

    pub(crate) fn evidence_against(&self, node: &PublicKey) -> bool {
        self.inner.lock().unwrap().evidence.contains(node)
    }

    /// Whether anybody was slashed for a result.
    pub(crate) fn anybody_bad(&self) -> bool {
        self.ended().iter().any(|ended| !ended.outcome.bad.is_empty())
    }

    pub(crate) fn describe(&self) -> String {
        let inner = self.inner.lock().unwrap();
        let tail = inner.log.iter().rev().take(40).rev().cloned().collect::<Vec<_>>().join("\n");
        format!("height {}\n{tail}\npool {:?}", inner.height, inner.pool.to_parts())
    }
}

fn runtime(setup: &Setup) -> Runtime {
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
            workers: setup.workers.len() as u32,
            backups: setup.backups.len() as u32,
            allowed_stragglers: setup.stragglers,
            round_timeout_blocks: 40,
            max_messages: 0,
            max_in_messages: 0,
            max_failed_rounds: 100,
            liveness: Default::default(),
        },
        batching: Batching {
            max_batch_size: 10,
            max_batch_bytes: 100_000,
            flush_timeout_ms: 20,
            propose_timeout_ms: setup.propose_timeout_ms,
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

fn config(
    committee: &Committee,
    runtime: &Runtime,
    round: u64,
    skipped: &BTreeSet<PublicKey>,
) -> Config {
    let signers = |keys: &[PublicKey]| keys.iter().map(|key| Signer(key.0)).collect();
    Config {
        workers: signers(&committee.workers),
        backups: signers(&committee.backups),
        allowed_stragglers: runtime.executor.allowed_stragglers,
        round_timeout: runtime.executor.round_timeout_blocks,
        round,
        skipped: skipped.iter().map(|key| Signer(key.0)).collect(),
    }
}

impl Inner {
    fn last(&self) -> &Header {
        self.headers.last().unwrap()
    }

    fn round(&self) -> u64 {
        self.headers.len() as u64
    }

    fn epoch_began(&self) -> u64 {
        self.height / self.epoch_blocks * self.epoch_blocks
    }

    fn block(&mut self) -> u64 {
        self.height += 1;
        let mut made = false;
        if self.height.is_multiple_of(self.epoch_blocks) {
            self.skipped.clear();
            self.committee.epoch = self.committee.epoch.next();
            self.new_header(HeaderType::EpochTransition, None);
            made = true;
        }
        for body in std::mem::take(&mut self.queue) {
            match body {
                Body::ExecutorCommit(commit) => self.commit(&commit),
                Body::Evidence(evidence) => self.accuse(&evidence.kind),
                other => panic!("nobody sends {}", other.method()),
            }
        }
        for verdict in self.pool.end_block(self.height) {
            self.log.push(format!("{} round {} {verdict:?}", self.height, self.round()));
            match verdict {
                Verdict::Wait | Verdict::Discrepancy { .. } => {}
                Verdict::Finalise { result, .. } => {
                    self.end(verdict);
                    let pending = self.pending.get(&Hash(result.0)).cloned().unwrap();
                    self.last_normal = self.round();
                    self.new_header(HeaderType::Normal, Some(pending));
                    made = true;
                }
                Verdict::Fail(_) => {
                    self.end(verdict);
                    self.new_header(HeaderType::RoundFailed, None);
                    made = true;
                }
            }
        }
        self.write(if made { self.height } else { self.last_block_height() });
        self.height
    }

    fn last_block_height(&self) -> u64 {
        let state = &self.states.last().unwrap()[&roothash::keys::runtime_state(&RUNTIME)];
        RuntimeState::decode(state, state.len()).unwrap().last_block_height.0
    }

    fn end(&mut self, verdict: Verdict) {
        let outcome = self.pool.outcome().unwrap();
        let disputed = self.pool.disputed();
        self.skipped.extend(outcome.equivocators.iter().map(|signer| PublicKey(signer.0)));
        self.ended.push(Ended { verdict, disputed, outcome, commits: self.commits });
    }

    fn new_header(&mut self, header_type: HeaderType, results: Option<PendingResult>) {
        let last = self.last();
        let mut header = Header {
            round: last.round.next(),
            timestamp: self.height,
            header_type,
            previous_hash: last.hash(),
            io_root: empty_hash(),
            batch_hash: Hash::ZERO,
            proposal_id: Hash::ZERO,
            consensus_height: Height(self.height),
            ..last.clone()
        };
        if let Some(PendingResult { results, proposal, .. }) = results {
            header.io_root = results.io_root;
            header.state_root = results.state_root;
            header.consensus_height = proposal.consensus_height;
            header.batch_hash = proposal.batch_hash;
            header.proposal_id = proposal.id();
        }
        self.headers.push(header);
        self.pending.clear();
        self.commits = 0;
        let config = config(&self.committee, &self.runtime, self.round(), &self.skipped);
        self.pool = Pool::new(config).unwrap();
    }

    fn commit(&mut self, commit: &ExecutorCommit) {
        let mut counted = false;
        for vote in &commit.votes {
            let named =
                commit.proposals.iter().map(|signed| (signed, signed.open(&CHAIN).unwrap()));
            let (signed, header) =
                named.into_iter().find(|(_, header)| header.id() == vote.proposal_id).unwrap();
            vote.verify(&CHAIN).unwrap();
            let last = self.last();
            let fits = header.round == last.round.next()
                && header.previous_hash == last.hash()
                && header.consensus_height.0 >= self.epoch_began().max(last.consensus_height.0)
                && header.consensus_height.0 < self.height
                && self.pool.config().scheduler(header.rank) == Some(Signer(signed.scheduler.0));
            if !fits {
                continue;
            }
            let result = vote.results.as_ref().map(|results| ResultHash(results.hash().0));
            let (signer, rank) = (Signer(vote.node.0), header.rank);
            let proposal = ProposalId(vote.proposal_id.0);
            let kept = self.pool.vote(self.height, Vote { signer, rank, proposal, result });
            self.log.push(format!("{} {signer:?} rank {rank} {result:?} {kept:?}", self.height));
            counted |= kept.is_ok();
            if let (Ok(()), Some(results)) = (kept, &vote.results) {
                let pending = PendingResult {
                    messages: commit.messages.clone(),
                    results: results.clone(),
                    proposal: header,
                };
                self.pending.insert(results.hash(), pending);
            }
        }
        self.commits += usize::from(counted);
    }

    fn accuse(&mut self, kind: &EvidenceKind) {
        let node = match kind {
            EvidenceKind::Proposals(two) => {
                let (a, b) = (two.a.open(&CHAIN).unwrap(), two.b.open(&CHAIN).unwrap());
                assert!(two.a.scheduler == two.b.scheduler && a != b);
                assert!((a.round, a.rank) == (b.round, b.rank));
                two.a.scheduler
            }
            EvidenceKind::Votes(two) => {
                two.vote_a.verify(&CHAIN).unwrap();
                two.vote_b.verify(&CHAIN).unwrap();
                let (a, b) =
                    (two.proposal_a.open(&CHAIN).unwrap(), two.proposal_b.open(&CHAIN).unwrap());
                assert!((a.round, a.rank) == (b.round, b.rank));
                assert!(two.vote_a.node == two.vote_b.node && two.vote_a != two.vote_b);
                two.vote_a.node
            }
        };
        self.log.push(format!("{} evidence against {node}", self.height));
        self.evidence.insert(node);
        self.skipped.insert(node);
    }

    /// State after the block.
    fn write(&mut self, last_block_height: u64) {
        let state = RuntimeState {
            runtime_id: RUNTIME,
            suspended: false,
            last_block_height: Height(last_block_height),
            last_normal_round: Round(self.last_normal),
            last_normal_height: Height(0),
            pool: Some(roothash::Pool::from_parts(&self.pool.to_parts())),
            skipped: self.skipped.iter().copied().collect(),
            failed: Vec::new(),
            io_root: empty_hash(),
            wakeup: self.pool.next_wakeup(),
            slashed: Vec::new(),
            records: Vec::new(),
            last_block: self.last().clone(),
        };
        let epoch = EpochState {
            epoch: self.committee.epoch,
            height: Height(self.epoch_began()),
            next_height: Height(self.epoch_began() + self.epoch_blocks),
            entropy: Hash::ZERO,
        };
        let mut values = BTreeMap::from([
            (roothash::keys::runtime_state(&RUNTIME), state.encode()),
            (beacon::keys::epoch(), epoch.encode()),
            (scheduler::keys::committee(&RUNTIME), self.committee.encode()),
            (registry::keys::runtime(&RUNTIME), self.runtime.encode()),
        ]);
        for header in &self.headers {
            values.insert(roothash::keys::header(&RUNTIME, header.round), header.encode());
        }
        self.states.push(values);
    }
}

impl Chain for FakeChain {
    fn subscribe(&self) -> broadcast::Receiver<ChainBlock> {
        self.blocks.subscribe()
    }

    fn get_raw(
        &self,
        height: Option<u64>,
        key: Vec<u8>,
    ) -> BoxFuture<'_, Result<(u64, Option<Vec<u8>>), ChainError>> {
        async move {
            let inner = self.inner.lock().unwrap();
            let height = height.unwrap_or(inner.height);
            Ok((height, inner.states[height as usize].get(&key).cloned()))
        }
        .boxed()
    }

    fn proven(&self, _: u64, _: Vec<u8>) -> BoxFuture<'_, Result<ProvenValue, ChainError>> {
        async { Err(ChainError::Unavailable("no proofs here".into())) }.boxed()
    }

    fn light_block(&self, _: u64) -> BoxFuture<'_, Result<Vec<u8>, ChainError>> {
        async { Err(ChainError::Unavailable("no headers here".into())) }.boxed()
    }

    fn submit(&self, body: Body) -> BoxFuture<'_, Result<(), ChainError>> {
        async move {
            self.inner.lock().unwrap().queue.push(body);
            Ok(())
        }
        .boxed()
    }
}
