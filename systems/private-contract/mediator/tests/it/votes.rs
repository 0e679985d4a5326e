//! Votes: what they bind, who may give them, how they count.

use paralith_private_contract_core::messages::{
    Canonical, ContractId, MAX_ACTION_BYTES, TOPIC_SLASHED, TransactionStatus, Vote, VoteSignature,
};
use paralith_private_contract_core::vote::vote_hash;
use paralith_private_contract_core::{Class, Place};
use paralith_sdk::{Amount, Hash, RuntimeId};

use crate::fixture::{World, bitmap, bls, code, no_actions, place, root};

fn opened() -> World {
    let mut world = World::new();
    world.submit("alice", 10).unwrap();
    world.next();
    world
}

#[test]
fn each_fault_of_a_vote_has_its_own_code() {
    let mut world = opened();
    let verdict = world.verdict(root(2), Class::Executed, &no_actions());
    let good = world.vote_of(&[0, 1], &verdict, &no_actions());
    let vote = |world: &mut World, change: &dyn Fn(&mut Vote)| {
        let mut vote = good.clone();
        change(&mut vote);
        let before = world.open();
        let code = code(world.call("m0", "vote", &vote));
        assert_eq!(world.open(), before);
        code
    };
    let w = &mut world;
    assert_eq!(vote(w, &|v| v.contract_id = ContractId([9; 32])), 1);
    assert_eq!(vote(w, &|v| v.batch = 0), 16);
    assert_eq!(vote(w, &|v| v.batch = 2), 16);
    assert_eq!(vote(w, &|v| v.verdict.classes = vec![]), 18);
    assert_eq!(vote(w, &|v| v.verdict.classes = vec![0b111]), 18);
    assert_eq!(vote(w, &|v| v.verdict.classes = vec![3, 0]), 18);
    assert_eq!(vote(w, &|v| v.verdict.actions_hash = Hash::ZERO), 19);
    assert_eq!(vote(w, &|v| v.signers = vec![]), 20);
    assert_eq!(vote(w, &|v| v.signers = vec![0b1011]), 20, "a fourth of three");
    assert_eq!(vote(w, &|v| v.signers = vec![0b11, 0]), 20, "another form of the set");
    assert_eq!(vote(w, &|v| v.signers = vec![0b111]), 21, "one who did not sign");
    assert_eq!(vote(w, &|v| v.signers = vec![0b1]), 21, "one left out");
    assert_eq!(vote(w, &|v| v.signature.0[7] ^= 1), 21);
    assert_eq!(vote(w, &|v| v.verdict.new_root = root(3)), 21);
    assert_eq!(vote(w, &|v| v.verdict.results_root = root(3)), 21);
    assert_eq!(vote(w, &|v| v.verdict.classes = vec![2]), 21);
    let mut infinite = [0; 48];
    infinite[0] = 0xc0;
    assert_eq!(vote(w, &|v| v.signature = VoteSignature(infinite)), 21, "the identity");
    assert_eq!(code(world.call("alice", "vote", &good)), 20, "not a member's account");
    world.call("m2", "vote", &good).unwrap();
    assert_eq!(code(world.call("m2", "vote", &good)), 17, "a replay");
    assert_eq!(world.tx(1).status, TransactionStatus::Yes);
}

#[test]
fn a_signature_for_another_place_version_batch_or_input_is_none() {
    let mut world = opened();
    let verdict = world.verdict(root(2), Class::Executed, &no_actions());
    let good = world.vote_of(&[0], &verdict, &no_actions());
    let (here, inputs) = (place(world.id), world.inputs());
    let hashes = [
        vote_hash(&Place { mediator: RuntimeId([0; 32]), ..here }, 1, 1, &inputs, &verdict),
        vote_hash(&place(ContractId([9; 32])), 1, 1, &inputs, &verdict),
        vote_hash(&here, 2, 1, &inputs, &verdict),
        vote_hash(&here, 1, 2, &inputs, &verdict),
        vote_hash(&here, 1, 1, &Hash::ZERO, &verdict),
    ];
    for (number, hash) in hashes.into_iter().enumerate() {
        let vote = Vote { signature: VoteSignature(bls("m0").sign(&hash.0)), ..good.clone() };
        assert_eq!(code(world.call("m0", "vote", &vote)), 21, "{number}");
    }
    // A deposit more in the batch would be another input, too.
    let mut other = world.open().batch;
    other.first_deposit = 1;
    other.last_deposit = 1;
    let inputs = paralith_private_contract_core::vote::inputs_hash(&other, &[world.tx(1).tx_hash]);
    let hash = vote_hash(&here, 1, 1, &inputs, &verdict);
    let vote = Vote { signature: VoteSignature(bls("m0").sign(&hash.0)), ..good.clone() };
    assert_eq!(code(world.call("m0", "vote", &vote)), 21);
    world.call("m0", "vote", &good).unwrap();
}

#[test]
fn a_member_counts_once_however_often_it_is_in_an_aggregate() {
    let mut world = opened();
    let verdict = world.verdict(root(2), Class::Executed, &no_actions());
    world.vote(&[0], &verdict).unwrap();
    assert_eq!(code(world.vote(&[0], &verdict)), 20, "nothing new");
    assert_eq!(world.contract().open_batch, 1);
    world.vote(&[0, 2], &verdict).unwrap();
    assert_eq!(world.tx(1).status, TransactionStatus::Yes);
}

#[test]
fn the_order_of_votes_changes_nothing() {
    let orders: [&[u32]; 6] =
        [&[0, 1, 2], &[0, 2, 1], &[1, 0, 2], &[1, 2, 0], &[2, 0, 1], &[2, 1, 0]];
    for order in orders {
        let mut world = opened();
        let right = world.verdict(root(2), Class::Executed, &no_actions());
        let wrong = world.verdict(root(3), Class::Executed, &no_actions());
        for member in order {
            let verdict = if *member == 1 { &wrong } else { &right };
            let voted = world.contract().open_batch == 0;
            if !voted {
                world.vote(&[*member], verdict).unwrap();
            }
        }
        assert_eq!(world.contract().last_root, root(2), "{order:?}");
    }
}

#[test]
fn a_signer_of_two_verdicts_is_void_in_both_and_slashed_once() {
    let mut world = opened();
    let one = world.verdict(root(2), Class::Executed, &no_actions());
    let two = world.verdict(root(3), Class::Executed, &no_actions());
    let three = world.verdict(root(4), Class::Executed, &no_actions());
    let others = (world.of("m0"), world.of("m2"));
    world.vote(&[1], &one).unwrap();
    world.vote(&[1], &two).unwrap();
    assert_eq!(world.bond("m1", 1).unwrap().amount, Amount(500));
    assert_eq!((world.of("m0"), world.of("m2")), (others.0 + 250, others.1 + 250));
    assert!(world.chain.events().iter().any(|event| event.topic == TOPIC_SLASHED));
    world.holds();
    // A third verdict, and the first again, cost nothing more and count for nothing.
    assert_eq!(code(world.vote(&[1], &three)), 20);
    assert_eq!(code(world.vote(&[1], &one)), 20);
    assert_eq!(world.bond("m1", 1).unwrap().amount, Amount(500));
    // Its vote does not complete the quorum of an honest one.
    world.vote(&[0], &one).unwrap();
    assert_eq!(world.contract().open_batch, 1);
    world.vote(&[0, 1, 2], &one).unwrap();
    assert_eq!(world.contract().last_root, root(2));
    world.holds();
}

#[test]
fn two_verdicts_inside_two_aggregates_are_found() {
    let mut world = opened();
    let one = world.verdict(root(2), Class::Executed, &no_actions());
    let two = world.verdict(root(3), Class::Executed, &no_actions());
    world.vote(&[1], &one).unwrap();
    // With member 1 void, the aggregate of 0 and 1 has one vote.
    world.vote(&[0, 1], &two).unwrap();
    assert_eq!(world.contract().open_batch, 1);
    assert_eq!(world.bond("m1", 1).unwrap().amount, Amount(500));
    assert_eq!(world.bond("m0", 1).unwrap().amount, Amount(1000));
    world.vote(&[2], &two).unwrap();
    assert_eq!(world.contract().last_root, root(3));
}

#[test]
fn void_members_can_make_a_batch_impossible() {
    let mut world = opened();
    let one = world.verdict(root(2), Class::Executed, &no_actions());
    let two = world.verdict(root(3), Class::Executed, &no_actions());
    world.vote(&[1], &one).unwrap();
    world.vote(&[1], &two).unwrap();
    world.vote(&[0], &one).unwrap();
    world.vote(&[0], &two).unwrap();
    // Only member 2 is left of the two that are needed.
    assert_eq!(world.tx(1).status, TransactionStatus::No);
    world.holds();
}

#[test]
fn an_aggregate_of_a_hundred_members_takes_at_most_256_bytes() {
    let mut world = opened();
    let verdict = world.verdict(root(2), Class::Executed, &no_actions());
    let members: Vec<u32> = (0..100).collect();
    let vote = Vote {
        signers: bitmap(&members),
        verdict: paralith_private_contract_core::messages::Verdict {
            classes: vec![0xff; 16],
            ..verdict
        },
        ..world.vote_of(
            &[0],
            &world.verdict(root(2), Class::Executed, &no_actions()),
            &no_actions(),
        )
    };
    let len = vote.encode().len();
    assert!(len <= 256, "{len} bytes");
    world.yes(2);
    const { assert!(MAX_ACTION_BYTES == 4096) };
}
