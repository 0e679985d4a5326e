use paralith_consensus_api::address;
use paralith_consensus_api::genesis::Allocation;
use paralith_consensus_api::registry::{
    Batching, Code, Executor, Liveness, MAX_BATCH_SIZE, Runtime, RuntimeKind, RuntimeStaking,
};
use paralith_crypto::SigningKey;
use paralith_types::{Amount, CodeId, Hash, Height, RuntimeId};

use super::*;
use crate::{Builder, NodeKeys, development_params};

fn key(number: u8) -> SigningKey {
    SigningKey::from_seed([number; 32])
}

fn document() -> Document {
    let time = GenesisTime::from_seconds(1_770_000_000).unwrap();
    let keys = NodeKeys { node: key(2).public(), consensus: key(3) };
    Builder::new("test1", time, development_params(Hash([1; 32])))
        .fund(&key(4).public(), Amount(u128::from(u64::MAX) * 1000))
        .fund(&key(5).public(), Amount(5))
        .account(address::common_pool(), Amount(7))
        .entity(key(1).public(), Amount(1000))
        .validator(key(1).public(), &keys, &["localhost:1000".into()])
        .build()
        .unwrap()
}

#[test]
fn a_document_survives_export_and_import() {
    let document = document();
    let json = document.to_json().unwrap();
    assert!(json.ends_with("}\n") && json.starts_with("{\n  \"chain_name\": \"test1\",\n"));
    let parsed = Document::parse(&json).unwrap();
    assert_eq!(parsed, document);
    assert_eq!(parsed.to_json().unwrap(), json);
}

#[test]
fn the_hash_is_that_of_the_meaning_not_of_the_text() {
    let document = document();
    let json = document.to_json().unwrap();
    let compact: String = json.lines().map(str::trim).collect();
    let seconds = compact.replace("\"2026-02-02T02:40:00Z\"", "1770000000");
    assert_ne!(seconds, compact);
    assert_eq!(Document::parse(&seconds).unwrap().hash(), document.hash());
    let mut other = document.clone();
    other.genesis.accounts[0].balance.0 += 1;
    assert_ne!(other.hash(), document.hash());
}

/// A change of this hash is a change of every chain's identity.
#[test]
fn the_hash_of_a_known_document_is_frozen() {
    let document = document();
    let hash = document.hash().unwrap().to_string();
    assert_eq!(hash, "872566a387409e5a9d00d74231dabae775aef5cc1db444839f043636c5674f19");
    let chain_id = document.chain_id().unwrap();
    assert_eq!(chain_id, format!("test1-{}", &hash[..40]));
    let longest = Document { chain_name: "ninechars".into(), ..document };
    assert_eq!(longest.chain_id().unwrap().len(), 50);
}

#[test]
fn every_refusal_says_where_what_and_how() {
    type Change = fn(&mut Document);
    let cases: [(&str, Change); 24] = [
        ("chain_name: \"\"", |d| d.chain_name.clear()),
        ("chain_name: \"Test\"", |d| d.chain_name = "Test".into()),
        ("chain_name: \"tencharsxx\"", |d| d.chain_name = "tencharsxx".into()),
        ("genesis.initial_height: is 0", |d| d.genesis.initial_height = Height(0)),
        ("beacon.insecure_seed", |d| d.genesis.params.beacon.insecure_seed = None),
        ("beacon.epoch_blocks", |d| d.genesis.params.beacon.epoch_blocks = 1),
        ("consensus.max_tx_bytes", |d| d.genesis.params.consensus.max_tx_bytes = 10),
        ("scheduler.min_validators", |d| d.genesis.params.scheduler.min_validators = 0),
        ("scheduler.max_validators:", |d| d.genesis.params.scheduler.max_validators = 0),
        ("max_validators_per_entity", |d| {
            d.genesis.params.scheduler.max_validators_per_entity = 0;
        }),
        ("staking.debonding_epochs", |d| d.genesis.params.staking.debonding_epochs = 0),
        ("slash_reward_percent", |d| d.genesis.params.staking.slash_reward_percent = 101),
        ("min_transact_balance", |d| {
            d.genesis.params.consensus.min_transact_balance = Amount::ZERO;
        }),
        ("replication_percent", |d| d.genesis.params.keymanager.replication_percent = 101),
        ("genesis.accounts[1].address", |d| d.genesis.accounts.swap(0, 1)),
        ("genesis.accounts[2].address", |d| {
            d.genesis.accounts[2] = d.genesis.accounts[1].clone();
        }),
        ("is the fee accumulator", |d| {
            let address = address::fee_accumulator();
            d.genesis.accounts = vec![Allocation { address, balance: Amount(1) }];
        }),
        ("overflows 128 bits", |d| d.genesis.accounts[0].balance = Amount(u128::MAX)),
        ("genesis.escrows[0]: is of nothing", |d| d.genesis.escrows[0].amount = Amount(0)),
        ("genesis.entities[1].id", |d| {
            d.genesis.entities.push(d.genesis.entities[0].clone());
        }),
        ("genesis.nodes[0].node.entity_id: no entity", |d| d.genesis.entities.clear()),
        ("genesis.nodes[1].node.id", |d| d.genesis.nodes.push(d.genesis.nodes[0].clone())),
        ("genesis.nodes: holds no validator", |d| d.genesis.nodes.clear()),
        ("genesis.escrows[0]: is on an account of the chain", |d| {
            d.genesis.escrows[0].escrow = address::common_pool();
        }),
    ];
    for (text, change) in cases {
        let mut document = document();
        change(&mut document);
        let error = document.validate().unwrap_err();
        assert_eq!(error.code(), 2);
        assert!(error.to_string().contains(text), "{text}: {error}");
        assert!(error.to_string().contains("; "), "a remedy: {error}");
    }
}

fn runtime() -> Runtime {
    Runtime {
        id: RuntimeId([7; 32]),
        entity_id: key(1).public(),
        kind: RuntimeKind::Compute,
        name: "counter".into(),
        code: Some(Code {
            id: CodeId([8; 32]),
            size_bytes: 100,
            abi_version: 1,
            gas_schedule_version: 1,
        }),
        confidential: false,
        allow_plain_calls: false,
        key_manager: None,
        tee: None,
        init_argument: vec![],
        min_gas_price: Amount(0),
        max_tx_gas: 10,
        sequence: 1,
        approval: None,
        terms: Vec::new(),
        raw_transactions: false,
        second_key_manager: None,
        executor: Executor {
            workers: 2,
            backups: 0,
            allowed_stragglers: 0,
            round_timeout_blocks: 5,
            max_messages: 1,
            max_in_messages: 1,
            max_failed_rounds: 1,
            liveness: Liveness { min_rounds: 1, min_live_percent: 100, max_missed_percent: 100 },
        },
        batching: Batching {
            max_batch_size: MAX_BATCH_SIZE,
            max_batch_bytes: 10_000,
            flush_timeout_ms: 1,
            propose_timeout_ms: 1,
            max_batch_gas: 10,
            empty_round_blocks: 0,
        },
        staking: RuntimeStaking {
            slash_incorrect_results: Amount(1),
            slash_equivocation: Amount(1),
            reward_incorrect_results_percent: 100,
            reward_equivocation_percent: 100,
            min_in_message_fee: Amount(0),
        },
    }
}

#[test]
fn a_runtime_outside_its_ranges_is_refused_by_its_field() {
    type Change = fn(&mut Runtime);
    let with = |change: Change| {
        let mut runtime = runtime();
        change(&mut runtime);
        let mut document = document();
        document.genesis.runtimes.push(runtime);
        document.validate()
    };
    with(|_| {}).unwrap();
    let cases: [(&str, Change); 7] = [
        ("executor.liveness", |r| r.executor.liveness.min_live_percent = 101),
        ("executor.liveness", |r| r.executor.liveness.max_missed_percent = u32::MAX),
        ("batching.max_batch_size", |r| r.batching.max_batch_size = MAX_BATCH_SIZE + 1),
        ("batching.max_batch_size", |r| r.batching.max_batch_size = 0),
        ("executor.allowed_stragglers", |r| r.executor.allowed_stragglers = 2),
        ("max_tx_gas", |r| r.max_tx_gas = 11),
        ("staking", |r| r.staking.reward_equivocation_percent = 101),
    ];
    for (field, change) in cases {
        let error = with(change).unwrap_err().to_string();
        assert!(error.contains(&format!("genesis.runtimes[0].{field}")), "{field}: {error}");
    }
}

#[test]
fn json_that_is_not_a_document_is_refused_with_its_place() {
    let json = document().to_json().unwrap();
    let unknown = json.replacen("\"chain_name\"", "\"colour\": 1,\n  \"chain_name\"", 1);
    let error = Document::parse(&unknown).unwrap_err();
    assert_eq!(error.code(), 1);
    assert!(error.to_string().starts_with("line 2, column "), "{error}");
    assert!(error.to_string().contains("unknown field `colour`"), "{error}");
    assert_eq!(Document::parse("").unwrap_err().code(), 1);
    let negative = json.replacen("\"1000\"", "\"-1\"", 1);
    assert!(Document::parse(&negative).unwrap_err().to_string().contains("decimal"));
}

#[test]
fn the_longest_step_of_a_light_client_is_tied_to_the_debonding_time() {
    let step = |debonding_epochs, epoch_blocks| {
        let mut document = document();
        document.genesis.params.staking.debonding_epochs = debonding_epochs;
        document.genesis.params.beacon.epoch_blocks = epoch_blocks;
        document.validate().unwrap();
        document.longest_light_step()
    };
    assert_eq!(step(10, 20), 100);
    assert_eq!(step(1, 2), 1);
    assert_eq!(step(336, 600), paralith_consensus_api::light::MAX_STEP);
    assert_eq!(step(u64::MAX, 600), paralith_consensus_api::light::MAX_STEP);
}
