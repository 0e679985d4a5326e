//! Complaints and evidence: who is false loses, and nobody else.

use paralith_policy::Policy;
use paralith_private_contract_core::Class;
use paralith_private_contract_core::messages::{
    Accuse, Complain, Definition, Evidence, Revealed, TransactionStatus, VoteSignature,
};
use paralith_private_contract_core::vote::vote_hash;
use paralith_sdk::testing::public_key;
use paralith_sdk::{Amount, Hash};

use crate::fixture::{World, bitmap, bls, code, definition, no_actions, place, root};

fn complaint(world: &World, seq: u64, index: u32) -> Complain {
    let (sk, uri) = &world.sks[&seq];
    Complain { contract_id: world.id, seq, sk: Revealed(*sk.as_bytes()), uri: uri.clone(), index }
}

#[test]
fn nobody_frames_an_honest_sender() {
    let mut world = World::new();
    world.submit("alice", 0).unwrap();
    for index in [0, 1, 2, 3, u32::MAX] {
        let complaint = complaint(&world, 1, index);
        assert_eq!(code(world.call("m1", "complain", &complaint)), 24, "{index}");
        for change in 0..3 {
            let mut other = complaint.clone();
            match change {
                0 => other.sk.0[0] ^= 1,
                1 => other.uri = "https://a.example/data/00".into(),
                _ => other.seq = 2,
            }
            assert_eq!(code(world.call("m1", "complain", &other)), 24, "{index} {change}");
        }
    }
    let complaint = complaint(&world, 1, 0);
    assert_eq!(code(world.call("bob", "complain", &complaint)), 24, "not a member");
    assert_eq!(world.tx(1).deposit, Amount(90));
}

#[test]
fn a_false_wrap_costs_the_deposit_once() {
    let mut world = World::new();
    let mut submit = world.submission("alice", 0);
    submit.wraps[2][50] ^= 1;
    world.hand_in("alice", &submit).unwrap();
    let before = (world.of("m0"), world.of("m1"), world.of("m2"));
    let right = complaint(&world, 1, 0);
    assert_eq!(code(world.call("m0", "complain", &right)), 24, "that wrap is right");
    let proof = complaint(&world, 1, 2);
    world.call("m0", "complain", &proof).unwrap();
    assert_eq!(world.tx(1).deposit, Amount::ZERO);
    let fees = 2 * crate::fixture::FEE;
    assert_eq!(world.of("m0"), before.0 + 30 - fees);
    assert_eq!((world.of("m1"), world.of("m2")), (before.1 + 30, before.2 + 30));
    assert_eq!(code(world.call("m1", "complain", &proof)), 24, "once");
    world.next();
    let verdict = world.verdict(root(2), Class::Malformed, &no_actions());
    world.vote(&[0, 1], &verdict).unwrap();
    assert_eq!(world.tx(1).status, TransactionStatus::Malformed);
    let alice = world.of("alice");
    world.advance(10);
    assert_eq!(world.of("alice"), alice, "no deposit returns");
}

#[test]
fn wraps_of_another_transaction_or_swapped_ones_are_false() {
    let mut world = World::new();
    world.submit("alice", 0).unwrap();
    let other = world.submission("alice", 0);
    let mut submit = world.submission("alice", 0);
    submit.wraps[1] = other.wraps[1].clone();
    world.hand_in("alice", &submit).unwrap();
    let proof = complaint(&world, 2, 1);
    world.call("m0", "complain", &proof).unwrap();
    let mut submit = world.submission("alice", 0);
    submit.wraps.swap(0, 1);
    world.hand_in("alice", &submit).unwrap();
    let proof = complaint(&world, 3, 1);
    world.call("m2", "complain", &proof).unwrap();
    world.holds();
}

#[test]
fn a_complaint_comes_in_time_or_not_at_all() {
    let mut world = World::new();
    let mut submit = world.submission("alice", 0);
    submit.wraps[2][50] ^= 1;
    world.hand_in("alice", &submit).unwrap();
    world.next();
    let verdict = world.verdict(root(2), Class::Malformed, &no_actions());
    world.vote(&[0, 1], &verdict).unwrap();
    world.advance(10);
    let late = complaint(&world, 1, 2);
    assert_eq!(code(world.call("m0", "complain", &late)), 24);
}

fn accusation(world: &World, members: [&[u32]; 2]) -> Accuse {
    let verdicts = [2, 3].map(|number| world.verdict(root(number), Class::Executed, &no_actions()));
    Accuse {
        contract_id: world.id,
        version: world.open().batch.version,
        batch: world.open().batch.number,
        inputs_hash: world.inputs(),
        first: world.evidence(members[0], &verdicts[0]),
        second: world.evidence(members[1], &verdicts[1]),
    }
}

#[test]
fn two_votes_that_met_off_the_chain_are_slashed_once_for_each_signer_of_both() {
    let mut world = World::new();
    world.submit("alice", 0).unwrap();
    world.next();
    let accuse = accusation(&world, [&[0, 1], &[1, 2]]);
    world.call("bob", "accuse", &accuse).unwrap();
    let bonds = ["m0", "m1", "m2"].map(|name| world.bond(name, 1).unwrap().amount.0);
    assert_eq!(bonds, [1000, 500, 1000]);
    assert_eq!(code(world.call("bob", "accuse", &accuse)), 25);
    // On the chain it is void: a vote of it completes nothing and costs nothing more.
    let verdict = world.verdict(root(2), Class::Executed, &no_actions());
    assert_eq!(code(world.vote(&[1], &verdict)), 20);
    world.vote(&[0, 1], &verdict).unwrap();
    assert_eq!(world.contract().open_batch, 1);
    world.vote(&[2], &verdict).unwrap();
    assert_eq!(world.contract().last_root, root(2));
    assert_eq!(world.bond("m1", 1).unwrap().amount, Amount(500));
    world.holds();
}

#[test]
fn evidence_after_fini_and_after_leaving_reaches_the_bond() {
    let mut world = World::new();
    world.submit("alice", 0).unwrap();
    world.next();
    let accuse = accusation(&world, [&[1], &[1]]);
    world.yes(2);
    world.next();
    world.of_contract("m1", "leave").unwrap();
    world.advance(20);
    world.call("bob", "accuse", &accuse).unwrap();
    assert_eq!(world.bond("m1", 1).unwrap().amount, Amount(500));
    world.advance(30);
    assert!(world.bond("m1", 1).is_none(), "the rest returned");
    assert_eq!(code(world.call("bob", "accuse", &accuse)), 25);
}

/// Two verdicts of the open batch's number that a member signs as one of this version.
fn under(world: &World, version: u64, name: &str, index: u32) -> Accuse {
    let batch = world.open().batch.number;
    let inputs_hash = world.inputs();
    let evidence = |number| {
        let verdict = world.verdict(root(number), Class::Executed, &no_actions());
        let hash = vote_hash(&place(world.id), version, batch, &inputs_hash, &verdict);
        let signature = VoteSignature(bls(name).sign(&hash.0));
        Evidence { verdict, signers: bitmap(&[index]), signature }
    };
    let (first, second) = (evidence(8), evidence(9));
    Accuse { contract_id: world.id, version, batch, inputs_hash, first, second }
}

#[test]
fn a_former_member_that_accuses_itself_makes_no_present_member_void() {
    let mut world = World::new();
    let next = Definition {
        version: 2,
        package_hash: Hash([5; 32]),
        members: ["m3", "m0", "m1"].map(public_key).to_vec(),
        policy: Policy::parse("2 of (a, b, c)", &["a", "b", "c"]).unwrap(),
        ..world.definition.clone()
    };
    crate::changes::join(&mut world, "m3", &next);
    world.change("m0", &next, false, &[0, 1]).unwrap();
    world.next();
    world.members = vec!["m3", "m0", "m1"];
    world.submit("alice", 0).unwrap();
    world.next();
    assert_eq!(world.open().batch.version, 2);
    // Its place 2 of the first definition is m1's place in the second.
    let accuse = under(&world, 1, "m2", 2);
    let _ = world.call("m2", "accuse", &accuse);
    let verdict = world.verdict(root(2), Class::Executed, &no_actions());
    world.vote(&[1, 2], &verdict).unwrap();
    assert_eq!(world.contract().last_root, root(2));
    assert_eq!(world.bond("m1", 1).unwrap().amount, Amount(1000));
    world.next();
}

#[test]
fn a_cheap_slash_under_an_old_definition_pays_for_no_later_vote() {
    let members = ["m0", "m1", "m2"];
    let mut first = definition(&members, "2 of (m0, m1, m2)");
    first.terms.slash = Amount(1);
    let mut world = World::with(first.clone(), &members);
    let mut next = Definition { version: 2, ..first };
    next.terms.slash = Amount(500);
    world.change("m0", &next, false, &[0, 1]).unwrap();
    world.next();
    world.submit("alice", 0).unwrap();
    world.next();
    assert_eq!(world.open().batch.version, 2);
    let accuse = under(&world, 1, "m1", 1);
    let _ = world.call("m1", "accuse", &accuse);
    for number in [2, 3] {
        let verdict = world.verdict(root(number), Class::Executed, &no_actions());
        world.vote(&[1], &verdict).unwrap();
    }
    assert!(world.bond("m1", 1).unwrap().amount <= Amount(500));
    world.holds();
}

#[test]
fn evidence_that_shows_nothing_is_refused() {
    let mut world = World::new();
    world.submit("alice", 0).unwrap();
    world.next();
    let good = accusation(&world, [&[0, 1], &[1, 2]]);
    let same = Accuse { second: good.first.clone(), ..good.clone() };
    assert_eq!(code(world.call("bob", "accuse", &same)), 25);
    let apart = accusation(&world, [&[0], &[1, 2]]);
    assert_eq!(code(world.call("bob", "accuse", &apart)), 25);
    let version = Accuse { version: 2, ..good.clone() };
    assert_eq!(code(world.call("bob", "accuse", &version)), 25);
    let batch = Accuse { batch: 2, ..good.clone() };
    assert_eq!(code(world.call("bob", "accuse", &batch)), 21);
    let inputs = Accuse { inputs_hash: Hash::ZERO, ..good.clone() };
    assert_eq!(code(world.call("bob", "accuse", &inputs)), 21);
    let first = Evidence { signature: VoteSignature([9; 48]), ..good.first.clone() };
    assert_eq!(code(world.call("bob", "accuse", &Accuse { first, ..good.clone() })), 21);
    let first = Evidence { signers: vec![], ..good.first.clone() };
    assert_eq!(code(world.call("bob", "accuse", &Accuse { first, ..good })), 20);
    for name in ["m0", "m1", "m2"] {
        assert_eq!(world.bond(name, 1).unwrap().amount, Amount(1000));
    }
}

#[test]
fn a_bond_is_slashed_for_each_batch_until_nothing_is_left() {
    let mut world = World::new();
    for left in [500, 0, 0] {
        world.submit("alice", 0).unwrap();
        world.next();
        let accuse = accusation(&world, [&[1], &[1]]);
        world.call("bob", "accuse", &accuse).unwrap();
        assert_eq!(world.bond("m1", 1).unwrap().amount.0, left);
        let verdict = world.verdict(root(2), Class::Executed, &no_actions());
        world.vote(&[0, 2], &verdict).unwrap();
        world.next();
    }
}
