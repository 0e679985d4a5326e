//! Members that sign two verdicts of one batch, and those to whom they send them.

use paralith_bls::BlsSecret;
use paralith_crypto::Domain;
use paralith_crypto::kdf::derive;
use paralith_private_contract_core::messages::{Canonical as _, ContractVote, VoteSignature};
use paralith_private_contract_core::vote::vote_hash;
use paralith_types::Hash;

use crate::guests::recorded;
use crate::model::PLACE;
use crate::world::{World, call, package};

/// How the key of votes follows from the seed in a key file.
const VOTE_KEY: Domain = Domain::new("paralith/private-contract/key-file/vote/v1");

/// The vote that the second member has sent, and one for another root with its true signature.
fn two_votes(world: &World) -> (ContractVote, ContractVote) {
    let left = world.outer.lock().unwrap().left[&(1, 1)].clone();
    let first = left.first().expect("the member has voted");
    let first = ContractVote::decode(first, 1 << 20).unwrap();
    let mut second = first.clone();
    second.verdict.new_root = Hash([9; 32]);
    let open = world.contract().open_batch().unwrap().expect("the batch is open");
    let inputs = world.contract().inputs_hash(&open.batch).unwrap();
    let hash = vote_hash(&PLACE, open.batch.version, 1, &inputs, &second.verdict);
    let secret = BlsSecret::from_ikm(&derive(&[22; 32], b"", VOTE_KEY, &[]));
    second.signature = VoteSignature(secret.sign(&hash.0));
    (first, second)
}

/// A batch that stays open while the third member looks for its content.
async fn open_batch() -> World {
    let mut world = World::new(package(recorded("counter"), b""), "3 of (a, b, c)").await;
    let third = world.nodes[2].keys.account();
    world.outer.lock().unwrap().no_content.insert(third);
    world.submit(40, &call("add", r#"{"amount":2}"#), 0);
    world.rounds(1).await;
    world
}

fn is_slashed(world: &World, number: usize) -> bool {
    let member = world.nodes[number].keys.account();
    world.contract().is_slashed(1, 1, &member).unwrap()
}

#[tokio::test]
async fn a_member_that_signed_two_verdicts_is_accused_once_by_those_who_got_both() {
    let mut world = open_batch().await;
    let (_, second) = two_votes(&world);
    let liar = world.nodes[1].keys.account();
    for number in [0, 2] {
        world.server(number).send_vote(&liar, second.clone()).unwrap();
        // Again: it says nothing new.
        world.server(number).send_vote(&liar, second.clone()).unwrap();
    }
    assert!(!is_slashed(&world, 1));
    world.rounds(8).await;
    assert!(is_slashed(&world, 1));
    assert!(!is_slashed(&world, 0) && !is_slashed(&world, 2));
    let outer = world.outer.lock().unwrap();
    assert!(!outer.refused.contains(&"25"), "a second accusation: {:?}", outer.refused);
}

#[tokio::test]
async fn nobody_is_accused_of_what_it_did_not_sign() {
    let mut world = open_batch().await;
    let (first, second) = two_votes(&world);
    let member = world.nodes[1].keys.account();
    let false_one = ContractVote { signature: first.signature, ..second.clone() };
    for vote in [first, false_one] {
        // More often than false signatures are verified.
        for _ in 0..10 {
            world.server(0).send_vote(&member, vote.clone()).unwrap();
        }
    }
    // From others it is not taken, however right it is.
    let other = world.nodes[2].keys.account();
    assert!(world.server(0).send_vote(&other, second).is_err());
    world.rounds(8).await;
    assert!((0..3).all(|number| !is_slashed(&world, number)));
}
