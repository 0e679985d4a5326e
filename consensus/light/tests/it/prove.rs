use paralith_consensus_api::consensus::{EventsRoot, keys};
use paralith_consensus_api::event::Event;
use paralith_consensus_light::LightClient;
use paralith_crypto::merkle::{MerkleProof, merkle_proof, merkle_root};
use paralith_proto::Canonical;
use paralith_storage::{Changes, Durability, Kv, Tree, WriteBatch};
use paralith_types::{Hash, Height};

use crate::chain::{Wanted, client};

const ONE: [(u8, u64); 1] = [(1, 10)];

fn tree(pairs: &[(Vec<u8>, Vec<u8>)]) -> (Tree, Hash) {
    let tree = Tree::new(Kv::memory(), b"state");
    let changes: Changes = pairs.iter().map(|(k, v)| (k.clone(), Some(v.clone()))).collect();
    let prepared = tree.prepare(None, 4, &changes).unwrap();
    let root = prepared.root();
    tree.commit(prepared, WriteBatch::new(), Durability::Synced).unwrap();
    (tree, root)
}

#[test]
fn state_is_proven_by_the_header_after_it() {
    let (tree, root) = tree(&[(b"a".to_vec(), b"1".to_vec()), (b"b".to_vec(), b"2".to_vec())]);
    let mut client = client(&ONE);
    client.update(&Wanted { app_hash: root, ..Wanted::new(5, &ONE, &[1]) }.block()).unwrap();
    let (_, proof) = tree.prove(4, b"a").unwrap();
    let proof = proof.to_bytes();
    client.verify_state(Height(4), b"a", Some(b"1"), &proof).unwrap();
    for (height, key, value, code) in [
        (4, &b"a"[..], Some(&b"2"[..]), 5),
        (4, b"a", None, 5),
        (4, b"b", Some(b"1"), 5),
        (5, b"a", Some(b"1"), 9),
        (3, b"a", Some(b"1"), 9),
    ] {
        let error = client.verify_state(Height(height), key, value, &proof).unwrap_err();
        assert_eq!(error.code(), code, "{height} {key:?} {value:?}");
    }
    let (_, absent) = tree.prove(4, b"c").unwrap();
    client.verify_state(Height(4), b"c", None, &absent.to_bytes()).unwrap();
}

#[test]
fn earlier_verified_states_stay_provable_for_a_while() {
    let (tree, root) = tree(&[(b"a".to_vec(), b"1".to_vec())]);
    let proof = tree.prove(4, b"a").unwrap().1.to_bytes();
    let mut client = client(&ONE);
    client.update(&Wanted { app_hash: root, ..Wanted::new(5, &ONE, &[1]) }.block()).unwrap();
    let kept = LightClient::KEPT_ROOTS as u64;
    for height in 6..5 + kept {
        client.update(&Wanted::new(height, &ONE, &[1]).block()).unwrap();
        client.verify_state(Height(4), b"a", Some(b"1"), &proof).unwrap();
    }
    client.update(&Wanted::new(5 + kept, &ONE, &[1]).block()).unwrap();
    let gone = client.verify_state(Height(4), b"a", Some(b"1"), &proof).unwrap_err();
    assert_eq!(gone.code(), 9);
}

#[test]
fn an_event_is_proven_by_the_root_in_state() {
    let event = |n: u8| Event { kind: "staking.X".into(), body: vec![n], tx_index: Some(0) };
    let leaves: Vec<Vec<u8>> = (0..3).map(|n| event(n).encode()).collect();
    let root = EventsRoot { height: Height(4), root: merkle_root(&leaves), count: 3 }.encode();
    let (tree, state) = tree(&[(keys::events_root(), root.clone())]);
    let mut client = client(&ONE);
    client.update(&Wanted { app_hash: state, ..Wanted::new(5, &ONE, &[1]) }.block()).unwrap();
    let root_proof = tree.prove(4, &keys::events_root()).unwrap().1.to_bytes();
    let proof = merkle_proof(&leaves, 1).unwrap();
    let verify = |event: &Event, proof: &MerkleProof| {
        client.verify_event(Height(4), &root, &root_proof, event, proof)
    };
    assert_eq!(verify(&event(1), &proof), Ok(Height(4)));
    assert_eq!(verify(&event(2), &proof).unwrap_err().code(), 5);
    let claims_more = MerkleProof { total: 4, ..proof };
    assert_eq!(verify(&event(1), &claims_more).unwrap_err().code(), 5);
}
