//! The stored form of a runtime with a running round is frozen.

use paralith_consensus_api::roothash::{
    FailedRounds, Header, HeaderType, IncomingQueue, MemberRecord, MessageResult, Pool, PoolRank,
    PoolVote, QueuedResult, ResultQueue, ResultsHeader, RuntimeState, Standing,
};
use paralith_proto::Canonical;
use paralith_types::{Epoch, Hash, Height, PublicKey, Round, RuntimeId};

const GOLDEN: &str = include_str!("runtime_state.hex");

fn state() -> RuntimeState {
    let vote = |signer: u8, result: &[u8]| PoolVote {
        signer: PublicKey([signer; 32]),
        result: result.to_vec(),
    };
    RuntimeState {
        runtime_id: RuntimeId([1; 32]),
        suspended: false,
        last_block_height: Height(300),
        last_normal_round: Round(7),
        last_normal_height: Height(299),
        pool: Some(Pool {
            ranks: vec![PoolRank {
                rank: 1,
                proposal_id: Hash([2; 32]),
                votes: vec![vote(3, &[4; 32]), vote(5, &[])],
                scheduler_voted_at: Some(301),
            }],
            void_ranks: vec![0],
            lead: Some(1),
            disputed: true,
            timeout: Some(308),
            grace: None,
            equivocators: vec![PublicKey([6; 32])],
        }),
        skipped: vec![PublicKey([7; 32])],
        failed: vec![FailedRounds { node: PublicKey([8; 32]), count: 2 }],
        io_root: Hash([9; 32]),
        wakeup: Some(308),
        slashed: vec![PublicKey([6; 32])],
        records: vec![MemberRecord {
            node: PublicKey([15; 32]),
            live: 3,
            failed: 1,
            silent: 2,
            finalised: 4,
            missed: 5,
        }],
        last_block: Header {
            version: 1,
            runtime_id: RuntimeId([1; 32]),
            round: Round(8),
            timestamp: 1_700_000_000,
            header_type: HeaderType::RoundFailed,
            previous_hash: Hash([10; 32]),
            io_root: Hash([11; 32]),
            state_root: Hash([12; 32]),
            messages_hash: Hash([13; 32]),
            in_messages_hash: Hash([14; 32]),
            consensus_height: Height(300),
            batch_hash: Hash([0; 32]),
        },
    }
}

#[test]
fn a_runtime_with_a_running_round_has_one_frozen_form() {
    let bytes = state().encode();
    assert_eq!(hex(&bytes), GOLDEN.trim());
    assert_eq!(RuntimeState::decode(&bytes, bytes.len()), Ok(state()));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A RAK signs these bytes.
#[test]
fn results_headers_have_one_frozen_form() {
    let results = ResultsHeader {
        round: Round(7),
        previous_hash: Hash([1; 32]),
        io_root: Hash([2; 32]),
        state_root: Hash([3; 32]),
        messages_hash: Hash([4; 32]),
        in_messages_hash: Hash([5; 32]),
        in_messages_count: 6,
        results_taken: 300,
    };
    let field = |tag: &str, byte: &str| format!("{tag}20{}", byte.repeat(32));
    let expected = [
        "0807".to_string(),
        field("12", "01"),
        field("1a", "02"),
        field("22", "03"),
        field("2a", "04"),
        field("32", "05"),
        "380640ac02".to_string(),
    ];
    assert_eq!(hex(&results.encode()), expected.concat());
    let mut other = results.clone();
    other.results_taken = 299;
    assert_ne!(other.hash(), results.hash(), "votes agree on what is taken");
    assert_ne!(other.signed_bytes(&Hash::ZERO), results.signed_bytes(&Hash::ZERO));
}

#[test]
fn queues_and_standings_have_one_frozen_form() {
    let queued = |round, index, module: &str, code| QueuedResult {
        round: Round(round),
        result: MessageResult { index, module: module.to_string(), code },
    };
    let queue = ResultQueue { results: vec![queued(7, 1, "staking", 3), queued(8, 0, "", 0)] };
    let expected = "0a110807120d080112077374616b696e6718030a0408081200";
    assert_eq!(hex(&queue.encode()), expected);
    let incoming = IncomingQueue { size: 3, next_id: 9, bytes: 1000 };
    assert_eq!(hex(&incoming.encode()), "0803100918e807");
    let (suspended_until, frozen_until) = (Epoch(5), Epoch(20));
    let standing = Standing { failures: 1, suspended_until, frozen_until };
    assert_eq!(hex(&standing.encode()), "080110051814");
}
