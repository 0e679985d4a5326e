//! What the recorded chain begins with.

use paralith_consensus_api::keymanager::{Policy, RuntimePolicy};
use paralith_consensus_api::registry::{
    Batching, Code, Executor, Runtime, RuntimeKind, RuntimeStaking, TeePolicy,
};
use paralith_genesis::{Builder, Document, GenesisTime, NodeKeys, development_params};
use paralith_runtime_vm::{GAS_SCHEDULE_VERSION, code_id};
use paralith_types::{Amount, Epoch, Hash, RuntimeId};

use crate::keys::{
    COMPUTE, ENTITY, KEY_MANAGER, KEY_MANAGER_NODE, USERS, VALIDATOR, account, consensus_key, key,
    platform,
};
use crate::{ParaTime, module};

/// When the chain begins.
pub(crate) const GENESIS_SECONDS: u64 = 1_770_000_000;

/// Blocks in the epochs 0 and 1, in which the key manager is born.
const FIRST_EPOCH_BLOCKS: u64 = 8;

/// Blocks in every later epoch.
const EPOCH_BLOCKS: u64 = 28;

/// The ABI that the modules are written for.
const ABI_VERSION: u32 = paralith_consensus_app::registry::KNOWN_ABI_VERSION;

/// The last epoch of every registration.
pub(crate) const EXPIRATION: Epoch = Epoch(100);

/// The three ParaTimes, without batches.
pub(crate) fn paratimes() -> Vec<ParaTime> {
    [("tokens", 5), ("ballot", 6), ("counter", 7)]
        .into_iter()
        .map(|(name, id)| ParaTime {
            name: name.to_string(),
            id: RuntimeId([id; 32]),
            batches: Vec::new(),
        })
        .collect()
}

/// Whether a ParaTime's state is encrypted.
pub(crate) fn is_confidential(paratime: &ParaTime) -> bool {
    paratime.name != "counter"
}

/// One entity with a validator, a key manager and two compute nodes; three users with money.
pub(crate) fn document() -> Document {
    let (entity, paratimes) = (key(ENTITY).public(), paratimes());
    let host = paralith_runtime_enclave::measurement().0;
    let allowed = |one: &ParaTime| RuntimePolicy { runtime_id: one.id, measurements: vec![host] };
    let policy = Policy {
        serial: 1,
        id: KEY_MANAGER,
        measurements: vec![paralith_keymanager_service::measurement().0],
        runtimes: paratimes.iter().filter(|one| is_confidential(one)).map(allowed).collect(),
        max_epoch_secret_age: 2,
        rotation_epochs: 1,
        nodes: Vec::new(),
    };
    let validator = NodeKeys { node: key(VALIDATOR).public(), consensus: consensus_key(VALIDATOR) };
    let time = GenesisTime::from_seconds(GENESIS_SECONDS).unwrap();
    let mut builder = Builder::new("replay", time, development_params(Hash([7; 32])))
        .params(|params| {
            params.registry.software_platforms = vec![platform().public()];
            params.beacon.first_epochs = 2;
            params.beacon.first_epoch_blocks = FIRST_EPOCH_BLOCKS;
            params.beacon.epoch_blocks = EPOCH_BLOCKS;
            params.staking.debonding_epochs = 1;
        })
        .entity(entity, Amount(1_000_000))
        .validator(entity, &validator, &[])
        .runtime(key_manager())
        .policy(policy);
    for paratime in &paratimes {
        builder = builder.runtime(compute(paratime));
    }
    for node in [COMPUTE[0], COMPUTE[1], KEY_MANAGER_NODE] {
        let node = key(node).public();
        builder = builder.entity_node(entity, node).fund(&node, Amount(1_000_000));
    }
    for user in USERS {
        builder = builder.fund(&key(user).public(), Amount(1_000_000));
    }
    builder.build().unwrap()
}

fn key_manager() -> Runtime {
    let measurements = vec![paralith_keymanager_service::measurement().0];
    Runtime {
        id: KEY_MANAGER,
        kind: RuntimeKind::KeyManager,
        name: "keymanager".to_string(),
        code: None,
        key_manager: None,
        confidential: true,
        tee: Some(TeePolicy { measurements, max_age_blocks: 1000 }),
        init_argument: Vec::new(),
        ..compute(&paratimes()[0])
    }
}

fn compute(paratime: &ParaTime) -> Runtime {
    let code = module(&paratime.name);
    let confidential = is_confidential(paratime);
    let measurements = vec![paralith_runtime_enclave::measurement().0];
    Runtime {
        id: paratime.id,
        entity_id: key(ENTITY).public(),
        kind: RuntimeKind::Compute,
        name: paratime.name.clone(),
        code: Some(Code {
            id: code_id(&code),
            size_bytes: u32::try_from(code.len()).unwrap(),
            abi_version: ABI_VERSION,
            gas_schedule_version: GAS_SCHEDULE_VERSION,
        }),
        confidential,
        // What a user sends in the clear is refused by the modules, and that is recorded, too.
        allow_plain_calls: true,
        key_manager: confidential.then_some(KEY_MANAGER),
        tee: confidential.then_some(TeePolicy { measurements, max_age_blocks: 1000 }),
        init_argument: init_argument(&paratime.name),
        min_gas_price: Amount(0),
        max_tx_gas: 10_000_000_000,
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
            max_messages: 4,
            max_in_messages: 4,
            max_failed_rounds: 3,
            liveness: Default::default(),
        },
        batching: Batching {
            max_batch_size: 16,
            max_batch_bytes: 100_000,
            flush_timeout_ms: 10,
            propose_timeout_ms: 1000,
            max_batch_gas: 10_000_000_000,
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

fn init_argument(name: &str) -> Vec<u8> {
    if name != "tokens" {
        return Vec::new();
    }
    let [alice, bob, _] = USERS.map(|user| account(user).to_string());
    let balances = [serde_json::json!({ "address": bob, "amount": "5000" })];
    serde_json::json!({ "minter": alice, "balances": balances }).to_string().into_bytes()
}
