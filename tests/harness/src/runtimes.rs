//! Descriptors of runtimes to begin with. A test changes what it is about.

use paralith_consensus_api::registry::{
    Batching, Code, Executor, Liveness, Runtime, RuntimeKind, RuntimeStaking, TeePolicy,
};
use paralith_types::{Amount, CodeId, Hash, PublicKey, RuntimeId};

/// Attestations count for so many blocks.
pub const MAX_AGE_BLOCKS: u64 = 1000;

/// A public ParaTime of one worker, without liveness rules and messages.
#[must_use]
pub fn public(id: RuntimeId, owner: PublicKey) -> Runtime {
    Runtime {
        id,
        entity_id: owner,
        kind: RuntimeKind::Compute,
        name: "test".into(),
        code: Some(Code {
            id: CodeId([3; 32]),
            size_bytes: 1,
            abi_version: 1,
            gas_schedule_version: 1,
        }),
        confidential: false,
        allow_plain_calls: false,
        key_manager: None,
        tee: None,
        init_argument: Vec::new(),
        min_gas_price: Amount::ZERO,
        max_tx_gas: 1_000_000,
        sequence: 1,
        approval: None,
        terms: Vec::new(),
        raw_transactions: false,
        second_key_manager: None,
        executor: Executor {
            workers: 1,
            backups: 0,
            allowed_stragglers: 0,
            round_timeout_blocks: 5,
            max_messages: 0,
            max_in_messages: 0,
            max_failed_rounds: 3,
            liveness: Liveness::default(),
        },
        batching: Batching {
            max_batch_size: 10,
            max_batch_bytes: 100_000,
            flush_timeout_ms: 1,
            propose_timeout_ms: 1,
            max_batch_gas: 1_000_000_000,
            empty_round_blocks: 0,
        },
        staking: RuntimeStaking {
            slash_incorrect_results: Amount(1),
            slash_equivocation: Amount(1),
            reward_incorrect_results_percent: 0,
            reward_equivocation_percent: 0,
            min_in_message_fee: Amount::ZERO,
        },
    }
}

/// A confidential ParaTime whose enclaves have this measurement.
#[must_use]
pub fn confidential(
    id: RuntimeId,
    owner: PublicKey,
    key_manager: RuntimeId,
    measurement: Hash,
) -> Runtime {
    Runtime {
        confidential: true,
        key_manager: Some(key_manager),
        tee: Some(policy(measurement)),
        ..public(id, owner)
    }
}

/// A key manager whose enclaves have this measurement.
#[must_use]
pub fn key_manager(id: RuntimeId, owner: PublicKey, measurement: Hash) -> Runtime {
    Runtime {
        kind: RuntimeKind::KeyManager,
        code: None,
        tee: Some(policy(measurement)),
        ..public(id, owner)
    }
}

fn policy(measurement: Hash) -> TeePolicy {
    TeePolicy { measurements: vec![measurement], max_age_blocks: MAX_AGE_BLOCKS }
}
