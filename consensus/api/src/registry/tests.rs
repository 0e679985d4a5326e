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
        executor: Executor {
            workers: 3,
            backups: 2,
            allowed_stragglers: 1,
            round_timeout_blocks: 5,
            max_messages: 8,
            max_in_messages: 9,
            max_failed_rounds: 4,
        },
        batching: Batching {
            max_batch_size: 100,
            max_batch_bytes: 10_000,
            flush_timeout_ms: 10,
            propose_timeout_ms: 1000,
            max_batch_gas: 1_000_000,
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
     0a200101010101010101010101010101010101010101010101010101010101010101122002020202\
     020202020202020202020202020202020202020202020202020202021801220466756c6c2a280a20\
     03030303030303030303030303030303030303030303030303030303030303031064180120013001\
     3801422004040404040404040404040404040404040404040404040404040404040404044a460a20\
     05050505050505050505050505050505050505050505050505050505050505050a20060606060606\
     06060606060606060606060606060606060606060606060606061032520e08031002180120052808\
     300938045a0e086410904e180a20e80728c0843d620e0a02012c1201071814200a2a01016a04696e\
     69747202010078a0c21e";
