//! The encoding of a descriptor: signed by owners and read by every node and enclave.

use paralith_proto::Canonical;
use paralith_types::{Amount, CodeId, Hash, PublicKey, RuntimeId};

use super::*;

fn full() -> Runtime {
    Runtime {
        id: RuntimeId([1; 32]),
        entity_id: PublicKey([2; 32]),
        kind: RuntimeKind::Compute,
        name: "full".into(),
        code: Some(Code {
            id: CodeId([3; 32]),
            size_bytes: 100,
            abi_version: 1,
            gas_schedule_version: 1,
        }),
        confidential: true,
        allow_plain_calls: true,
        key_manager: Some(RuntimeId([4; 32])),
        tee: Some(TeePolicy {
            measurements: vec![Hash([5; 32]), Hash([6; 32])],
            max_age_blocks: 50,
        }),
        init_argument: b"init".to_vec(),
        min_gas_price: Amount(256),
        max_tx_gas: 500_000,
        sequence: 5,
        approval: Some(Approval {
            organisations: vec![PublicKey([7; 32]), PublicKey([8; 32])],
            policy: vec![1, 2, 3],
        }),
        terms: b"terms".to_vec(),
        raw_transactions: true,
        second_key_manager: Some(RuntimeId([9; 32])),
        executor: Executor {
            workers: 3,
            backups: 2,
            allowed_stragglers: 1,
            round_timeout_blocks: 5,
            max_messages: 8,
            max_in_messages: 9,
            max_failed_rounds: 4,
            liveness: Liveness { min_rounds: 10, min_live_percent: 50, max_missed_percent: 25 },
        },
        batching: Batching {
            max_batch_size: 100,
            max_batch_bytes: 10_000,
            flush_timeout_ms: 10,
            propose_timeout_ms: 1000,
            max_batch_gas: 1_000_000,
            empty_round_blocks: 7,
        },
        staking: RuntimeStaking {
            slash_incorrect_results: Amount(300),
            slash_equivocation: Amount(7),
            reward_incorrect_results_percent: 20,
            reward_equivocation_percent: 10,
            min_in_message_fee: Amount(1),
        },
    }
}

#[test]
fn the_encoding_of_a_descriptor_is_frozen() {
    let bytes = full().encode();
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(text, ENCODED);
    assert_eq!(Runtime::decode(&bytes, bytes.len()).unwrap(), full());
}

/// Written by hand from `registry/v1/types.proto`, field by field.
const ENCODED: &str = "\
     0a20010101010101010101010101010101010101010101010101010101010101010112200202020\
     2020202020202020202020202020202020202020202020202020202021801220466756c6c2a280a\
     2003030303030303030303030303030303030303030303030303030303030303031064180120013\
     0013801422004040404040404040404040404040404040404040404040404040404040404044a46\
     0a2005050505050505050505050505050505050505050505050505050505050505050a200606060\
     6060606060606060606060606060606060606060606060606060606061032521608031002180120\
     052808300938044206080a103218195a10086410904e180a20e80728c0843d3007620e0a02012c1\
     201071814200a2a01016a04696e69747202010078a0c21e8001058a01490a200707070707070707\
     0707070707070707070707070707070707070707070707070a20080808080808080808080808080\
     808080808080808080808080808080808080812030102039201057465726d73980101a201200909\
     090909090909090909090909090909090909090909090909090909090909";

#[test]
fn the_hash_that_organisations_approve_is_of_the_whole_descriptor() {
    let hash = full().descriptor_hash();
    assert_eq!(hash.to_string(), DESCRIPTOR_HASH);
    let changed = Runtime { sequence: 6, ..full() };
    assert_ne!(changed.descriptor_hash(), hash);
}

const DESCRIPTOR_HASH: &str = "ebb30d758a6abe709cd04673ae000905579254a914aac59910f871f276c11cae";
