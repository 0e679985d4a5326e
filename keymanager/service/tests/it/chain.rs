//! A chain of one validator: the real application, headers signed as CometBFT signs them.

use std::sync::Mutex;

use paralith_attest::SoftwarePlatform;
use paralith_consensus_api::beacon::EpochState;
use paralith_consensus_api::keymanager::{Policy, RuntimePolicy, Status};
use paralith_consensus_api::registry::{
    Batching, Code, Executor, Runtime, RuntimeKind, RuntimeStaking, TeePolicy,
};
use paralith_consensus_api::tx::{Body, Fee, Transaction};
use paralith_consensus_api::{beacon, keymanager};
use paralith_consensus_app::{App, BlockInput};
use paralith_consensus_engine::headers::{ConsensusKey, HeaderInput, consensus_hash, sign};
use paralith_consensus_light::{LightBlock, validator_set};
use paralith_crypto::SigningKey;
use paralith_genesis::{Builder, Document, GenesisTime, NodeKeys, development_params};
use paralith_proto::Canonical;
use paralith_storage::{Kv, WriteBatch};
use paralith_types::{Amount, ChainContext, CodeId, Epoch, Hash, Height, PublicKey, RuntimeId};
use tendermint::Time;

pub(crate) const KM: RuntimeId = RuntimeId([9; 32]);
pub(crate) const RT: RuntimeId = RuntimeId([5; 32]);
pub(crate) const CODE: CodeId = CodeId([3; 32]);
/// What the compute enclaves of these tests claim to be.
pub(crate) const COMPUTE: Hash = Hash([0xcc; 32]);
const VALIDATOR: u8 = 200;

/// The key of a node, an entity or a platform.
pub(crate) fn key(n: u8) -> SigningKey {
    SigningKey::from_seed([n; 32])
}

/// The consensus key of a node.
pub(crate) fn consensus_key(n: u8) -> SigningKey {
    let mut seed = [n; 32];
    seed[0] = 255;
    SigningKey::from_seed(seed)
}

pub(crate) fn platform() -> SoftwarePlatform {
    SoftwarePlatform::new(key(250))
}

pub(crate) struct Chain {
    pub(crate) document: Document,
    state: Mutex<State>,
}

struct State {
    app: App,
    /// Roots by height of their state; that of genesis first.
    roots: Vec<Hash>,
    blocks: Vec<BlockInput>,
    power: u64,
}

impl Chain {
    /// Nodes 1 to 6 may register; node `VALIDATOR` validates.
    pub(crate) fn new(rotation_epochs: u64) -> Self {
        let owner = key(100).public();
        let seconds = GenesisTime::from_seconds(1_700_000_000).unwrap();
        let mut params = development_params(Hash([1; 32]));
        params.registry.software_platforms = vec![platform().public()];
        params.beacon.epoch_blocks = EPOCH_BLOCKS;
        let validator =
            NodeKeys { node: key(VALIDATOR).public(), consensus: consensus_key(VALIDATOR) };
        let policy = Policy {
            serial: 1,
            id: KM,
            measurements: vec![paralith_keymanager_service::measurement().0],
            runtimes: vec![RuntimePolicy { runtime_id: RT, measurements: vec![COMPUTE] }],
            max_epoch_secret_age: 2,
            rotation_epochs,
            nodes: Vec::new(),
        };
        let mut builder = Builder::new("test", seconds, params)
            .entity(owner, Amount(1_000_000))
            .fund(&owner, Amount(1_000_000))
            .validator(owner, &validator, &[])
            .runtime(runtime(KM))
            .runtime(runtime(RT))
            .policy(policy);
        for n in 1..=6 {
            builder = builder
                .entity_node(owner, key(n).public())
                .fund(&key(n).public(), Amount(1_000_000));
        }
        Self::of(builder.build().unwrap())
    }

    fn of(document: Document) -> Self {
        let mut app = App::open(Kv::memory()).unwrap();
        let (validators, root) =
            app.init_chain(&document.genesis, document.hash().unwrap()).unwrap();
        assert_eq!(validators.len(), 1);
        let power = validators[0].power;
        let (roots, blocks) = (vec![root], Vec::new());
        Self { document, state: Mutex::new(State { app, roots, blocks, power }) }
    }

    /// Another chain with the same past. Its validators have signed both.
    pub(crate) fn fork(&self) -> Self {
        let fork = Self::of(self.document.clone());
        let blocks = self.state.lock().unwrap().blocks.clone();
        for block in blocks {
            fork.execute(block);
        }
        fork
    }

    pub(crate) fn context(&self) -> ChainContext {
        self.document.hash().unwrap()
    }

    /// A block with these transactions, each of which must succeed.
    pub(crate) fn block(&self, txs: Vec<(SigningKey, Body)>) -> Height {
        let state = self.state.lock().unwrap();
        let height = Height(state.roots.len() as u64);
        let mut nonces = std::collections::BTreeMap::<PublicKey, u64>::new();
        let txs: Vec<Vec<u8>> = txs
            .into_iter()
            .map(|(signer, body)| {
                let next = nonces.entry(signer.public()).or_insert_with(|| {
                    let account = paralith_consensus_api::address::of_key(&signer.public());
                    let key = paralith_consensus_api::staking::keys::account(&account);
                    let bytes = state.app.latest().get(&key).unwrap();
                    bytes.map_or(0, |bytes| {
                        paralith_consensus_api::staking::Account::decode(&bytes, bytes.len())
                            .unwrap()
                            .nonce
                    })
                });
                let nonce = *next;
                *next += 1;
                let fee = Fee { amount: Amount(0), gas_limit: 1_000_000_000 };
                Transaction::new(self.context(), nonce, fee, &body).sign(&signer).encode()
            })
            .collect();
        let input = BlockInput {
            height,
            time_seconds: 1_700_000_000 + height.0,
            proposer: [0; 20],
            txs,
            misbehaviour: vec![],
        };
        drop(state);
        self.execute(input);
        height
    }

    fn execute(&self, input: BlockInput) {
        let mut state = self.state.lock().unwrap();
        state.blocks.push(input.clone());
        let output = state.app.finalize_block(input).unwrap();
        for tx in output.txs {
            assert_eq!(tx.code, 0, "{} {}: {}", tx.module, tx.code, tx.message);
        }
        assert!(output.validator_updates.is_empty());
        state.app.commit(WriteBatch::new()).unwrap();
        state.roots.push(output.app_hash);
    }

    /// The root of the state after a block.
    pub(crate) fn root(&self, height: Height) -> Hash {
        self.state.lock().unwrap().roots[height.0 as usize]
    }

    /// Empty blocks until an epoch begins.
    pub(crate) fn next_epoch(&self) -> Height {
        let epoch = self.epoch();
        loop {
            let height = self.block(vec![]);
            if self.epoch() > epoch {
                return height;
            }
        }
    }

    pub(crate) fn height(&self) -> Height {
        Height(self.state.lock().unwrap().roots.len() as u64 - 1)
    }

    pub(crate) fn epoch(&self) -> Epoch {
        self.read::<EpochState>(&beacon::keys::epoch()).unwrap().epoch
    }

    pub(crate) fn status(&self) -> Status {
        self.read(&keymanager::keys::status(&KM)).unwrap()
    }

    pub(crate) fn read<T: Canonical>(&self, key: &[u8]) -> Option<T> {
        let state = self.state.lock().unwrap();
        let bytes = state.app.latest().get(key).unwrap();
        bytes.map(|bytes| T::decode(&bytes, bytes.len()).unwrap())
    }

    /// A value of a committed state with its proof.
    pub(crate) fn prove(&self, height: Height, key: &[u8]) -> Option<(Option<Vec<u8>>, Vec<u8>)> {
        let proven = self.state.lock().unwrap().app.query(Some(height), key).ok()?;
        Some((proven.value, proven.proof))
    }

    /// The header of a height, which carries the root of the state before; signed by the validator,
    /// or by somebody else.
    pub(crate) fn light_block(&self, height: Height, signer: Option<u8>) -> Option<LightBlock> {
        let state = self.state.lock().unwrap();
        let app_hash = *state.roots.get(usize::try_from(height.0.checked_sub(1)?).ok()?)?;
        let validator = signer.map_or_else(|| consensus_key(VALIDATOR), key);
        let validator = ConsensusKey::from_seed(*validator.seed());
        let validators = validator_set(&[(validator.public(), state.power)]).unwrap();
        let header = HeaderInput {
            chain_id: self.document.chain_id().unwrap().parse().unwrap(),
            height: height.0.try_into().unwrap(),
            time: Time::from_unix_timestamp(1_700_000_000 + height.0 as i64, 0).unwrap(),
            last: None,
            txs: &[],
            last_results: &[],
            validators: &validators,
            next_validators: &validators,
            consensus_hash: consensus_hash(4_194_304, -1),
            app_hash: app_hash.as_bytes().to_vec().try_into().unwrap(),
            app_version: 1,
            proposer: validator.address(),
        }
        .header();
        let signed = sign(header, &validators, &[validator]).unwrap();
        Some(LightBlock::new(signed, &validators, &validators).unwrap())
    }
}

fn runtime(id: RuntimeId) -> Runtime {
    let compute = id == RT;
    let code = Code { id: CODE, size_bytes: 1, abi_version: 1, gas_schedule_version: 1 };
    let measurement = if compute { COMPUTE } else { paralith_keymanager_service::measurement().0 };
    Runtime {
        id,
        entity_id: key(100).public(),
        kind: if compute { RuntimeKind::Compute } else { RuntimeKind::KeyManager },
        name: "test".to_string(),
        code: compute.then_some(code),
        confidential: true,
        allow_plain_calls: false,
        key_manager: compute.then_some(KM),
        tee: Some(TeePolicy { measurements: vec![measurement], max_age_blocks: 1000 }),
        init_argument: vec![],
        min_gas_price: Amount(0),
        max_tx_gas: 1_000_000,
        sequence: 1,
        approval: None,
        terms: Vec::new(),
        raw_transactions: false,
        second_key_manager: None,
        executor: Executor {
            workers: 1,
            backups: 1,
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
            flush_timeout_ms: 100,
            propose_timeout_ms: 1000,
            max_batch_gas: 1_000_000,
            empty_round_blocks: 0,
        },
        staking: RuntimeStaking {
            slash_incorrect_results: Amount(0),
            slash_equivocation: Amount(0),
            reward_incorrect_results_percent: 0,
            reward_equivocation_percent: 0,
            min_in_message_fee: Amount(0),
        },
    }
}

const EPOCH_BLOCKS: u64 = 10;
