//! A chain of consensus blocks over the in-memory store, with the real modules around.

use std::cell::RefCell;

use paralith_consensus_api::event::EventKind;
use paralith_consensus_api::registry::{
    Batching, Code, Executor, Node, NodeRuntime, ROLE_COMPUTE, Runtime, RuntimeKind, RuntimeStaking,
};
use paralith_consensus_api::roothash::{
    ExecutorCommit, Failure, HeaderType, Message, Params, ProposalHeader, ResultsHeader,
    RoundFinalised, RuntimeState, SignedProposal, Vote, empty_hash, keys,
};
use paralith_consensus_api::scheduler::Committee;
use paralith_consensus_api::staking::{Account, SharePool};
use paralith_consensus_api::tx::Body;
use paralith_consensus_api::{Error, address, beacon, registry, scheduler, staking};
use paralith_crypto::ed25519::SigningKey;
use paralith_proto::Canonical;
use paralith_storage::{
    Changes, Durability, Kv, Pair, Snapshot, StateRead, StorageError, Tree, WriteBatch,
};
use paralith_types::{
    Address, Amount, ChainContext, CodeId, Epoch, Hash, Height, PublicKey, Round, RuntimeId,
};

use crate::roothash::{self, query};
use crate::{Context, Signer};

pub(super) const CHAIN: ChainContext = ChainContext([7; 32]);
pub(super) const RUNTIME: RuntimeId = RuntimeId([1; 32]);
pub(super) const WORKERS: [u8; 3] = [0, 1, 2];
pub(super) const BACKUPS: [u8; 3] = [3, 4, 5];
/// An account with balance and without node.
pub(super) const USER: u8 = 50;
pub(super) const STAKE: u128 = 1000;
pub(super) const USER_BALANCE: u128 = 1_000_000;

pub(super) fn node_key(node: u8) -> SigningKey {
    SigningKey::from_seed([node + 1; 32])
}

pub(super) fn entity(node: u8) -> Address {
    address::of_key(&SigningKey::from_seed([node + 101; 32]).public())
}

pub(super) fn ids(nodes: &[u8]) -> Vec<PublicKey> {
    let mut ids: Vec<_> = nodes.iter().map(|node| node_key(*node).public()).collect();
    ids.sort();
    ids
}

/// What one consensus block did.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) results: Vec<Result<(), Error>>,
    pub(super) tx_events: Vec<EventKind>,
    pub(super) events: Vec<EventKind>,
}

impl Block {
    /// The ParaTime block that it made.
    pub(super) fn finalised(&self) -> Option<&RoundFinalised> {
        let mut found = self.events.iter().filter_map(|event| match event {
            EventKind::RoundFinalised(finalised) => Some(finalised),
            _ => None,
        });
        let first = found.next();
        assert!(found.next().is_none(), "one ParaTime block a consensus block");
        first
    }

    pub(super) fn code(&self, tx: usize) -> u32 {
        self.results[tx].as_ref().map_or_else(Error::code, |()| 0)
    }

    /// The codes of the votes that were ignored.
    pub(super) fn ignored(&self) -> Vec<u32> {
        let code = |event: &EventKind| match event {
            EventKind::VoteIgnored(ignored) => Some(ignored.code),
            _ => None,
        };
        self.tx_events.iter().filter_map(code).collect()
    }

    pub(super) fn discrepancy(&self) -> Option<(u64, bool)> {
        self.events.iter().find_map(|event| match event {
            EventKind::DiscrepancyDetected(found) => Some((found.rank, found.late)),
            _ => None,
        })
    }
}

pub(super) struct Net {
    tree: Tree,
    pub(super) height: u64,
    pub(super) root: Hash,
    /// What the last block cost.
    pub(super) costs: Costs,
}

/// What a block reads of committed state and writes to it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Costs {
    pub(super) gets: usize,
    /// The prefixes of scans.
    pub(super) scans: Vec<Vec<u8>>,
    pub(super) scanned: usize,
    pub(super) written: usize,
}

/// Committed state that counts its reads.
struct Counting<'a> {
    base: &'a Snapshot,
    costs: &'a RefCell<Costs>,
}

impl StateRead for Counting<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        self.costs.borrow_mut().gets += 1;
        self.base.get(key)
    }

    fn scan(
        &self,
        prefix: &[u8],
        start_after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Pair>, StorageError> {
        let found = self.base.scan(prefix, start_after, limit)?;
        let mut costs = self.costs.borrow_mut();
        costs.scans.push(prefix.to_vec());
        costs.scanned += found.len();
        Ok(found)
    }
}

impl Net {
    /// A runtime with its committee in epoch 1, which began in block 10; the next block is 11.
    pub(super) fn new() -> Self {
        Self::with(|_| {})
    }

    /// All of what is slashed is paid as rewards, so that every division shows.
    pub(super) fn with(change: impl FnOnce(&mut Runtime)) -> Self {
        Self::rewarding(100, change)
    }

    /// At most `percent` of what is slashed is paid as rewards.
    pub(super) fn rewarding(percent: u32, change: impl FnOnce(&mut Runtime)) -> Self {
        let mut runtime = runtime();
        change(&mut runtime);
        let mut token_params = paralith_genesis::development_params(Hash([1; 32])).staking;
        token_params.slash_reward_percent = percent;
        let tree = Tree::new(Kv::memory(), b"test");
        let mut net = Self { tree, height: 8, root: Hash::ZERO, costs: Costs::default() };
        net.run(|ctx| {
            ctx.set(keys::params(), &params());
            ctx.set(staking::keys::params(), &token_params);
            ctx.set(registry::keys::runtime(&RUNTIME), &runtime);
            for node in WORKERS.into_iter().chain(BACKUPS).chain([6]) {
                let id = node_key(node).public();
                ctx.set(registry::keys::node(&id), &registered(node));
                let active = SharePool { balance: Amount(STAKE), total_shares: Amount(STAKE) };
                let account = Account { active, ..Account::default() };
                ctx.set(staking::keys::account(&entity(node)), &account);
                let own = staking::Delegation { shares: Amount(STAKE) };
                ctx.set(staking::keys::delegation(&entity(node), &entity(node)), &own);
            }
            let user = Account { balance: Amount(USER_BALANCE), ..Account::default() };
            ctx.set(staking::keys::account(&net_user()), &user);
            set_epoch(ctx, 0);
            roothash::on_runtime_registered(ctx, &runtime).unwrap();
        });
        net.begin_epoch(1, true);
        net
    }

    /// Runs a step as a block of its own; gives its result and the events.
    pub(super) fn run<T>(
        &mut self,
        step: impl FnOnce(&mut Context<'_>) -> T,
    ) -> (T, Vec<EventKind>) {
        let mut result = None;
        let (_, events) = self.run_changes(|ctx| result = Some(step(ctx)));
        (result.unwrap(), events)
    }

    /// Runs a step as a block of its own; gives its changes and the events.
    pub(super) fn run_changes(
        &mut self,
        step: impl FnOnce(&mut Context<'_>),
    ) -> (Changes, Vec<EventKind>) {
        let latest = self.tree.latest().unwrap().map(|(version, _)| version);
        let base = Snapshot::new(self.tree.clone(), latest);
        self.height += 1;
        let time = 1_700_000_000 + self.height;
        let costs = RefCell::new(Costs::default());
        let counting = Counting { base: &base, costs: &costs };
        let mut ctx = Context::new(&counting, CHAIN, Height(self.height), time);
        step(&mut ctx);
        let events = kinds(&ctx.take_events());
        let changes = ctx.into_changes();
        self.costs = costs.into_inner();
        self.costs.written = changes.len();
        let prepared = self.tree.prepare(latest, self.height, &changes).unwrap();
        self.root = prepared.root();
        self.tree.commit(prepared, WriteBatch::new(), Durability::Lazy).unwrap();
        (changes, events)
    }

    pub(super) fn begin_epoch(&mut self, epoch: u64, committee: bool) -> Vec<EventKind> {
        let ((), events) = self.run(|ctx| {
            set_epoch(ctx, epoch);
            let key = scheduler::keys::committee(&RUNTIME);
            if committee {
                let of = |nodes: &[u8]| nodes.iter().map(|n| node_key(*n).public()).collect();
                ctx.set(
                    key,
                    &Committee {
                        runtime_id: RUNTIME,
                        epoch: Epoch(epoch),
                        workers: of(&WORKERS),
                        backups: of(&BACKUPS),
                    },
                );
            } else {
                ctx.remove(key);
            }
            roothash::liveness::judge_epoch(ctx).unwrap();
            roothash::on_committees_changed(ctx).unwrap();
            roothash::end_block(ctx).unwrap();
        });
        events
    }

    /// A block of transactions. Base units are neither made nor lost in it.
    pub(super) fn block(&mut self, txs: &[(SigningKey, Body)]) -> Block {
        let before = self.total();
        let ((results, tx_events), events) = self.run(|ctx| {
            let mut results = Vec::new();
            let mut tx_events = Vec::new();
            for (tx_index, (key, body)) in (0..).zip(txs) {
                let key = key.public();
                let address = address::of_key(&key);
                ctx.begin_tx(Signer { key, address, tx_index }, 1_000_000);
                results.push(ctx.isolated(|ctx| deliver(ctx, body)));
                tx_events.extend(kinds(&ctx.end_tx().1));
            }
            roothash::end_block(ctx).unwrap();
            (results, tx_events)
        });
        assert_eq!(self.total(), before);
        Block { results, tx_events, events }
    }

    /// A block with one commit, sent by the user.
    pub(super) fn commit(&mut self, header: &ProposalHeader, votes: Vec<Vote>) -> Block {
        let body = self.body(std::slice::from_ref(header), votes, Vec::new());
        self.block(&[(node_key(USER), body)])
    }

    /// A commit with the proposals, each signed by its rank's scheduler.
    pub(super) fn body(
        &self,
        headers: &[ProposalHeader],
        votes: Vec<Vote>,
        messages: Vec<Message>,
    ) -> Body {
        let proposals = headers.iter().map(|header| self.signed(header)).collect();
        ExecutorCommit { runtime_id: RUNTIME, proposals, votes, messages }.into()
    }

    /// Empty blocks up to a height; the last one.
    pub(super) fn empty_until(&mut self, height: u64) -> Block {
        loop {
            let block = self.block(&[]);
            if self.height >= height {
                return block;
            }
            assert!(block.events.is_empty(), "{:?} at {}", block.events, self.height);
        }
    }

    pub(super) fn state(&self) -> RuntimeState {
        query::runtime_state(&self.snapshot(), &RUNTIME).unwrap().unwrap()
    }

    pub(super) fn epoch(&self) -> u64 {
        crate::query::epoch(&self.snapshot()).unwrap().epoch.0
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot::new(self.tree.clone(), Some(self.height))
    }

    /// The node that schedules at a rank of the running round, by the protocol's formula.
    pub(super) fn scheduler(&self, rank: u64) -> u8 {
        let state = self.state();
        let skipped = |node: &u8| state.skipped.contains(&node_key(*node).public());
        let mut order: Vec<u8> = WORKERS.into_iter().filter(|node| !skipped(node)).collect();
        if order.is_empty() {
            order = WORKERS.to_vec();
        }
        let len = order.len() as u64;
        let round = state.last_block.round.0 + 1;
        order[((rank + len - round % len) % len) as usize]
    }

    /// The workers that do not schedule at a rank.
    pub(super) fn others(&self, rank: u64) -> [u8; 2] {
        let others = WORKERS.into_iter().filter(|node| *node != self.scheduler(rank));
        others.collect::<Vec<_>>().try_into().unwrap()
    }

    pub(super) fn header(&self, rank: u64, batch: u8) -> ProposalHeader {
        let last = self.state().last_block;
        ProposalHeader {
            runtime_id: RUNTIME,
            round: last.round.next(),
            previous_hash: last.hash(),
            rank,
            consensus_height: Height(self.height),
            batch_hash: Hash([batch; 32]),
        }
    }

    pub(super) fn signed(&self, header: &ProposalHeader) -> SignedProposal {
        header.sign(&node_key(self.scheduler(header.rank)), &CHAIN)
    }

    pub(super) fn results(&self, what: u8) -> ResultsHeader {
        let last = self.state().last_block;
        ResultsHeader {
            round: last.round.next(),
            previous_hash: last.hash(),
            io_root: Hash([what; 32]),
            state_root: Hash([what.wrapping_add(1); 32]),
            messages_hash: empty_hash(),
            in_messages_hash: empty_hash(),
            in_messages_count: 0,
            results_taken: 0,
        }
    }

    /// A vote for the result `what`; 0 is a failure.
    pub(super) fn vote(&self, node: u8, header: &ProposalHeader, what: u8) -> Vote {
        let results = (what != 0).then(|| self.results(what));
        vote_for(node, header, results)
    }

    /// All workers vote for one result of rank 0.
    pub(super) fn unanimous_round(&mut self) -> Block {
        let header = self.header(0, 1);
        let votes = WORKERS.map(|node| self.vote(node, &header, 1)).to_vec();
        let block = self.commit(&header, votes);
        assert_eq!(block.finalised().unwrap().header_type, HeaderType::Normal);
        block
    }

    /// What an entity's stake has become, relative to the beginning.
    pub(super) fn gain(&self, node: u8) -> i128 {
        let active = self.account(&entity(node)).active.balance.0;
        i128::try_from(active).unwrap() - i128::try_from(STAKE).unwrap()
    }

    pub(super) fn account(&self, address: &Address) -> Account {
        crate::query::account(&self.snapshot(), address).unwrap()
    }

    pub(super) fn runtime_balance(&self) -> u128 {
        self.account(&address::of_runtime(&RUNTIME)).balance.0
    }

    /// Everything that accounts hold.
    pub(super) fn total(&self) -> u128 {
        let accounts: Vec<Account> =
            crate::query::list(&self.snapshot(), b"staking/account/").unwrap();
        let of = |a: &Account| a.balance.0 + a.active.balance.0 + a.debonding.balance.0;
        accounts.iter().map(of).sum()
    }
}

pub(super) fn vote_for(node: u8, header: &ProposalHeader, results: Option<ResultsHeader>) -> Vote {
    let failure = results.is_none().then_some(Failure::Unavailable);
    let key = node_key(node);
    Vote {
        node: key.public(),
        proposal_id: header.id(),
        results,
        failure,
        rak_signature: None,
        signature: paralith_types::Signature([0; 64]),
    }
    .signed(&key, &CHAIN)
}

pub(super) fn net_user() -> Address {
    address::of_key(&node_key(USER).public())
}

pub(super) fn signer_of(node: u8) -> Signer {
    let key = node_key(node).public();
    Signer { key, address: address::of_key(&key), tx_index: 0 }
}

pub(super) fn deliver(ctx: &mut Context<'_>, body: &Body) -> Result<(), Error> {
    match body {
        Body::ExecutorCommit(body) => roothash::execute::executor_commit(ctx, body),
        Body::Evidence(body) => roothash::execute::evidence(ctx, body),
        Body::SubmitMessage(body) => roothash::execute::submit_message(ctx, body),
        other => panic!("{} is not of this module", other.method()),
    }
}

fn kinds(events: &[paralith_consensus_api::event::Event]) -> Vec<EventKind> {
    events.iter().map(|event| EventKind::from_event(event).unwrap()).collect()
}

fn set_epoch(ctx: &mut Context<'_>, epoch: u64) {
    let (height, next_height) = (ctx.height(), ctx.height().plus(1000));
    let state =
        beacon::EpochState { epoch: Epoch(epoch), height, next_height, entropy: Hash::ZERO };
    assert_eq!(beacon::EpochState::decode(&state.encode(), 100).unwrap(), state);
    ctx.set(beacon::keys::epoch(), &state);
}

pub(super) fn params() -> Params {
    Params {
        max_runtime_messages: 8,
        max_in_runtime_messages: 3,
        max_evidence_age_rounds: 3,
        max_past_roots: 4,
        gas_executor_commit: 100,
        gas_vote: 10,
        gas_evidence: 50,
        gas_submit_message: 20,
        max_in_message_bytes: 100,
        max_in_queue_bytes: 400,
        max_queued_results: 6,
        max_liveness_failures: 3,
        liveness_freeze_epochs: 10,
        slash_liveness: Amount(70),
    }
}

pub(super) fn runtime() -> Runtime {
    Runtime {
        id: RUNTIME,
        entity_id: SigningKey::from_seed([99; 32]).public(),
        kind: RuntimeKind::Compute,
        name: "test".to_string(),
        code: Some(Code {
            id: CodeId([1; 32]),
            size_bytes: 100,
            abi_version: 1,
            gas_schedule_version: 1,
        }),
        confidential: false,
        allow_plain_calls: false,
        key_manager: None,
        tee: None,
        init_argument: Vec::new(),
        min_gas_price: Amount(0),
        max_tx_gas: 1_000_000,
        sequence: 1,
        approval: None,
        terms: Vec::new(),
        raw_transactions: false,
        second_key_manager: None,
        executor: Executor {
            workers: 3,
            backups: 3,
            allowed_stragglers: 1,
            round_timeout_blocks: 5,
            max_messages: 4,
            max_in_messages: 2,
            max_failed_rounds: 2,
            liveness: Default::default(),
        },
        batching: Batching {
            max_batch_size: 10,
            max_batch_bytes: 10_000,
            flush_timeout_ms: 100,
            propose_timeout_ms: 1000,
            max_batch_gas: 1_000_000,
            empty_round_blocks: 0,
        },
        staking: RuntimeStaking {
            slash_incorrect_results: Amount(101),
            slash_equivocation: Amount(61),
            reward_incorrect_results_percent: 25,
            reward_equivocation_percent: 50,
            min_in_message_fee: Amount(10),
        },
    }
}

fn registered(node: u8) -> Node {
    Node {
        id: node_key(node).public(),
        entity_id: SigningKey::from_seed([node + 101; 32]).public(),
        expiration: Epoch(100),
        roles: ROLE_COMPUTE,
        consensus_key: SigningKey::from_seed([node + 201; 32]).public(),
        addresses: Vec::new(),
        runtimes: vec![NodeRuntime { runtime_id: RUNTIME, tee: None, extra_info: Vec::new() }],
        software_version: String::new(),
    }
}

/// The first round that a net runs: block 0 is genesis, block 1 began the epoch.
pub(super) const FIRST: Round = Round(2);
