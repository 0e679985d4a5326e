//! The stored form of a runtime with a running round is frozen.

use paralith_consensus_api::roothash::{
    FailedRounds, Header, HeaderType, MemberRecord, Pool, PoolRank, PoolVote, RuntimeState,
};
use paralith_proto::Canonical;
use paralith_types::{Hash, Height, PublicKey, Round, RuntimeId};

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
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, GOLDEN.trim());
    assert_eq!(RuntimeState::decode(&bytes, bytes.len()), Ok(state()));
}
