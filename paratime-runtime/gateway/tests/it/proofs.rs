//! Proofs of state and headers that members give.

use paralith_consensus_api::roothash::{self, Header, HeaderType};
use paralith_proto::Wire;
use paralith_proto::pb::paratime::v1::{
    GetHeadersRequest, ProveStateRequest, ProveStateResponse, ProvenEntry,
};
use paralith_runtime_worker::LinkError;
use paralith_storage::{Changes, Durability, Kv, Tree, WriteBatch};
use paralith_types::{Hash, Round};

use crate::fakes::{RUNTIME, World, header, id};

/// The state of ten rounds: each sets `round` to its number.
fn states() -> Tree {
    let tree = Tree::new(Kv::memory(), b"t");
    let mut base = None;
    for round in 1..=10 {
        let changes = Changes::from([(b"round".to_vec(), Some(vec![round as u8]))]);
        let prepared = tree.prepare(base, round, &changes).unwrap();
        tree.commit(prepared, WriteBatch::new(), Durability::Lazy).unwrap();
        base = Some(round);
    }
    tree
}

fn at(tree: &Tree, round: u64) -> Header {
    let state_root = tree.root(round).unwrap().unwrap();
    Header { state_root, ..header(round, HeaderType::Normal, &[]) }
}

fn proof(tree: &Tree, round: u64) -> ProveStateResponse {
    let (value, proof) = tree.prove(round, b"round").unwrap();
    let entries = vec![ProvenEntry { value, proof: proof.to_bytes() }];
    ProveStateResponse { header: Some(at(tree, round).to_pb()), entries }
}

fn ask(round: Option<u64>) -> ProveStateRequest {
    ProveStateRequest {
        runtime_id: RUNTIME.as_bytes().to_vec(),
        round: round.unwrap_or_default(),
        newest: round.is_none(),
        keys: vec![b"round".to_vec()],
    }
}

#[tokio::test(start_paused = true)]
async fn a_member_that_lies_or_is_behind_is_passed_over() {
    let (world, tree) = (World::new(), states());
    world.last_round(at(&tree, 10));
    let mut false_value = proof(&tree, 10);
    false_value.entries[0].value = Some(vec![99]);
    let mut false_header = proof(&tree, 10);
    false_header.header.as_mut().unwrap().timestamp += 1;
    let none = ProveStateResponse { entries: Vec::new(), ..proof(&tree, 10) };
    for bad in [false_value, false_header, none, proof(&tree, 9)] {
        world.script(|script| {
            script.proofs.insert(id(3), [Ok(bad)].into());
            script.proofs.insert(id(1), [Err(LinkError::NotFound)].into());
            script.proofs.insert(id(2), [Ok(proof(&tree, 10))].into());
        });
        let proven = world.gateway.prove_state(&RUNTIME, &ask(None)).await;
        assert_eq!(proven, Ok(proof(&tree, 10)));
    }
}

#[tokio::test(start_paused = true)]
async fn an_old_round_is_proven_under_its_own_header_also_when_the_chain_has_dropped_it() {
    let (world, tree) = (World::new(), states());
    world.last_round(at(&tree, 10));
    for kept in [true, false] {
        let key = roothash::keys::header(&RUNTIME, Round(4));
        if kept {
            world.chain.put(key, &at(&tree, 4));
        } else {
            world.chain.remove(&key);
        }
        world.script(|script| {
            script.proofs.insert(id(3), [Ok(proof(&tree, 5))].into());
            script.proofs.insert(id(1), [Ok(proof(&tree, 4))].into());
        });
        let proven = world.gateway.prove_state(&RUNTIME, &ask(Some(4))).await;
        assert_eq!(proven, Ok(proof(&tree, 4)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_for_too_much_reaches_no_member() {
    let world = World::new();
    let many = ProveStateRequest { keys: vec![vec![1]; 65], ..ask(None) };
    let refused = world.gateway.prove_state(&RUNTIME, &many).await.unwrap_err().refusal();
    assert_eq!((refused.module.as_str(), refused.code), ("worker", 15));
    assert!(world.script(|script| script.queried.is_empty()));
}

#[tokio::test(start_paused = true)]
async fn headers_with_a_gap_or_a_false_link_are_passed_over() {
    let world = World::new();
    let mut chain: Vec<Header> = Vec::new();
    for round in 1..=5 {
        let previous_hash = chain.last().map_or(Hash::ZERO, Header::hash);
        chain.push(Header { previous_hash, ..header(round, HeaderType::Normal, &[]) });
    }
    let mut false_link = chain.clone();
    false_link[1].timestamp += 1;
    let gap = [chain[1].clone(), chain[3].clone()];
    let request = GetHeadersRequest { runtime_id: RUNTIME.as_bytes().to_vec(), from: 2, to: 4 };
    for bad in [false_link[1..4].to_vec(), gap.to_vec(), chain[..3].to_vec(), Vec::new()] {
        world.script(|script| {
            script.headers.insert(id(3), bad);
            script.headers.insert(id(2), chain[1..4].to_vec());
        });
        let answer = world.gateway.headers(&RUNTIME, &request).await.unwrap();
        assert_eq!(answer.headers, chain[1..4].to_vec().to_pb());
    }
}
