//! A network of one application, and the transactions of its people.

use std::collections::BTreeMap;

use paralith_consensus_api::genesis::Params;
use paralith_consensus_api::registry::{
    Batching, CONSENSUS_KEY_DOMAIN, Code, Executor, Node, RegisterNode, Runtime, RuntimeKind,
    RuntimeStaking,
};
use paralith_consensus_api::tx::{Body, Fee, Transaction};
use paralith_consensus_api::{Error, address, staking};
use paralith_consensus_app::{App, BlockInput, BlockOutput, Misbehaviour, TxOutcome, query};
use paralith_crypto::SigningKey;
use paralith_genesis::{Builder, Document, GenesisTime, NodeKeys, development_params};
use paralith_proto::Canonical;
use paralith_storage::{Kv, Snapshot, StateRead, WriteBatch};
use paralith_types::{
    Address, Amount, ChainContext, CodeId, Epoch, Hash, Height, PublicKey, RuntimeId,
};

pub(crate) const ALICE: u8 = 1;
pub(crate) const BOB: u8 = 2;
/// Entities; their node's keys are the two numbers after.
pub(crate) const ENTITIES: [u8; 3] = [10, 20, 30];
pub(crate) const RUNTIME: RuntimeId = RuntimeId([7; 32]);
pub(crate) const EPOCH_BLOCKS: u64 = 5;

pub(crate) fn key(number: u8) -> SigningKey {
    SigningKey::from_seed([number; 32])
}

pub(crate) fn public(number: u8) -> PublicKey {
    key(number).public()
}

pub(crate) fn account(number: u8) -> Address {
    address::of_key(&public(number))
}

/// Three entities, each with a validator that also computes; Alice and Bob with money; one public
/// runtime.
pub(crate) fn builder() -> Builder {
    builder_without_runtime().runtime(runtime(ENTITIES[0]))
}

/// [`builder`] for another descriptor of the runtime, which the nodes offer.
pub(crate) fn builder_without_runtime() -> Builder {
    let params = development_params(Hash([3; 32]));
    let mut builder =
        Builder::new("test", GenesisTime::from_seconds(1_770_000_000).unwrap(), params)
            .params(|params| {
                params.beacon.epoch_blocks = EPOCH_BLOCKS;
                params.staking.debonding_epochs = 2;
                params.registry.max_node_expiration_epochs = 50;
            })
            .account(address::common_pool(), Amount(1000))
            .fund(&public(ALICE), Amount(1_000_000))
            .fund(&public(BOB), Amount(1_000_000));
    for (entity, stake) in ENTITIES.into_iter().zip([16_000, 8_000, 8_000]) {
        let keys = NodeKeys { node: public(entity + 1), consensus: key(entity + 2) };
        builder = builder
            .entity(public(entity), Amount(stake))
            .fund(&public(entity), Amount(1_000_000))
            .fund(&public(entity + 1), Amount(1_000_000))
            .node(public(entity), &keys, 8 | 1, &["127.0.0.1:1000".into()], &[RUNTIME]);
    }
    builder
}

pub(crate) fn runtime(entity: u8) -> Runtime {
    Runtime {
        id: RUNTIME,
        entity_id: public(entity),
        kind: RuntimeKind::Compute,
        name: "public".into(),
        code: Some(Code {
            id: CodeId([8; 32]),
            size_bytes: 100,
            abi_version: 1,
            gas_schedule_version: 1,
        }),
        confidential: false,
        allow_plain_calls: true,
        key_manager: None,
        tee: None,
        init_argument: vec![],
        min_gas_price: Amount(0),
        max_tx_gas: 1_000_000,
        sequence: 1,
        approval: None,
        terms: Vec::new(),
        raw_transactions: false,
        second_key_manager: None,
        executor: Executor {
            workers: 2,
            backups: 1,
            allowed_stragglers: 0,
            round_timeout_blocks: 5,
            max_messages: 10,
            max_in_messages: 10,
            max_failed_rounds: 3,
            liveness: Default::default(),
        },
        batching: Batching {
            max_batch_size: 100,
            max_batch_bytes: 10_000,
            flush_timeout_ms: 10,
            propose_timeout_ms: 100,
            max_batch_gas: 1_000_000,
            empty_round_blocks: 0,
        },
        staking: RuntimeStaking {
            slash_incorrect_results: Amount(100),
            slash_equivocation: Amount(100),
            reward_incorrect_results_percent: 0,
            reward_equivocation_percent: 0,
            min_in_message_fee: Amount(0),
        },
    }
}

pub(crate) struct Net {
    pub(crate) app: App,
    pub(crate) kv: Kv,
    pub(crate) document: Document,
    pub(crate) chain: ChainContext,
    nonces: BTreeMap<PublicKey, u64>,
}

impl Net {
    pub(crate) fn new() -> Self {
        Self::of(builder())
    }

    pub(crate) fn with(params: impl FnOnce(&mut Params)) -> Self {
        Self::of(builder().params(params))
    }

    pub(crate) fn of(builder: Builder) -> Self {
        let document = builder.build().unwrap();
        let kv = Kv::memory();
        let mut app = App::open(kv.clone()).unwrap();
        let chain = document.hash().unwrap();
        app.init_chain(&document.genesis, chain).unwrap();
        Self { app, kv, document, chain, nonces: BTreeMap::new() }
    }

    /// Forgets everything that is not in the store.
    pub(crate) fn reopen(&mut self) {
        self.app = App::open(self.kv.clone()).unwrap();
    }

    pub(crate) fn next_height(&self) -> Height {
        self.app.info().height.next()
    }

    pub(crate) fn input(&self, txs: Vec<Vec<u8>>) -> BlockInput {
        let height = self.next_height();
        let time_seconds = 1_770_000_000 + height.0;
        BlockInput { height, time_seconds, proposer: [0; 20], txs, misbehaviour: vec![] }
    }

    pub(crate) fn finalize(&mut self, block: BlockInput) -> BlockOutput {
        let output = self.app.finalize_block(block).unwrap();
        let info = self.app.commit(WriteBatch::new()).unwrap();
        assert_eq!(info.app_hash, output.app_hash);
        output
    }

    pub(crate) fn block(&mut self, txs: Vec<Vec<u8>>) -> BlockOutput {
        let block = self.input(txs);
        self.finalize(block)
    }

    pub(crate) fn slash(&mut self, consensus_key: u8) -> BlockOutput {
        let validator = paralith_consensus_app::registry::comet_address(&public(consensus_key));
        let height = self.next_height();
        let misbehaviour = vec![Misbehaviour { validator, height }];
        let block = BlockInput { misbehaviour, ..self.input(vec![]) };
        self.finalize(block)
    }

    /// Empty blocks until the epoch has just begun.
    pub(crate) fn run_until_epoch(&mut self, epoch: u64) {
        while query::epoch(self.app.latest()).unwrap().epoch < Epoch(epoch) {
            self.block(vec![]);
        }
    }

    pub(crate) fn next_epoch(&mut self) {
        let now = query::epoch(self.app.latest()).unwrap().epoch;
        self.run_until_epoch(now.0 + 1);
    }

    /// A transaction of a key, with its next nonce.
    pub(crate) fn tx(&mut self, signer: u8, body: impl Into<Body>) -> Vec<u8> {
        self.paying(signer, body, Fee { amount: Amount(10), gas_limit: 1_000_000 })
    }

    pub(crate) fn paying(&mut self, signer: u8, body: impl Into<Body>, fee: Fee) -> Vec<u8> {
        let nonce = self.nonces.entry(public(signer)).or_insert(0);
        let tx = Transaction::new(self.chain, *nonce, fee, &body.into());
        *nonce += 1;
        tx.sign(&key(signer)).encode()
    }

    /// The transaction was not accepted after all.
    pub(crate) fn unuse(&mut self, signer: u8) {
        *self.nonces.get_mut(&public(signer)).unwrap() -= 1;
    }

    /// Runs a transaction in a block of its own.
    pub(crate) fn run(&mut self, signer: u8, body: impl Into<Body>) -> TxOutcome {
        let tx = self.tx(signer, body);
        self.block(vec![tx]).txs.remove(0)
    }

    pub(crate) fn ok(&mut self, signer: u8, body: impl Into<Body>) -> TxOutcome {
        let outcome = self.run(signer, body);
        assert_eq!(outcome.code, 0, "{}", outcome.message);
        outcome
    }

    /// The refusal, "module/code".
    pub(crate) fn refused(&mut self, signer: u8, body: impl Into<Body>) -> String {
        identity(&self.run(signer, body))
    }

    pub(crate) fn state(&self) -> Snapshot {
        self.app.state(None).unwrap()
    }

    pub(crate) fn account(&self, address: &Address) -> staking::Account {
        query::account(self.app.latest(), address).unwrap()
    }

    pub(crate) fn balance(&self, number: u8) -> u128 {
        self.account(&account(number)).balance.0
    }

    /// Registers a node for the current chain.
    pub(crate) fn registration(&self, node: Node, consensus: u8) -> RegisterNode {
        let signature = key(consensus).sign(CONSENSUS_KEY_DOMAIN, &self.chain, &node.encode());
        RegisterNode { consensus_signature: signature, node }
    }
}

pub(crate) fn identity(outcome: &TxOutcome) -> String {
    format!("{}/{}", outcome.module, outcome.code)
}

/// What always holds of the token.
pub(crate) fn assert_conserved(state: &dyn StateRead) -> Result<(), Error> {
    let mut total = 0;
    let mut pools: BTreeMap<Address, (Amount, Amount)> = BTreeMap::new();
    for (key, value) in scan(state, b"staking/account/") {
        let address = Address::try_from(&key[b"staking/account/".len()..]).unwrap();
        let account = staking::Account::decode(&value, value.len()).unwrap();
        total += account.balance.0 + account.active.balance.0 + account.debonding.balance.0;
        let shares = (account.active.total_shares, account.debonding.total_shares);
        if shares != Default::default() {
            pools.insert(address, shares);
        }
    }
    assert_eq!(Amount(total), query::total_supply(state)?);
    assert_eq!(query::account(state, &address::fee_accumulator())?, Default::default());

    let mut shares: BTreeMap<Address, (Amount, Amount)> = BTreeMap::new();
    for (key, value) in scan(state, b"staking/delegation/") {
        let escrow = Address::try_from(&key[19..40]).unwrap();
        let held = staking::Delegation::decode(&value, value.len()).unwrap().shares;
        shares.entry(escrow).or_default().0.0 += held.0;
    }
    for (key, value) in scan(state, b"staking/debonding/") {
        let escrow = Address::try_from(&key[18 + 8 + 21..]).unwrap();
        let held = staking::Delegation::decode(&value, value.len()).unwrap().shares;
        shares.entry(escrow).or_default().1.0 += held.0;
    }
    assert_eq!(pools, shares);
    Ok(())
}

fn scan(state: &dyn StateRead, prefix: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    state.scan(prefix, None, usize::MAX / 2).unwrap()
}
