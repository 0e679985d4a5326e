//! A definition is replaced whole, once, and no transaction runs under another than its own.

use paralith_policy::Policy;
use paralith_private_contract_core::messages::{
    BatchKind, ContractStatus, Definition, Join, Revoke, TransactionStatus, keys,
};
use paralith_private_contract_core::{Class, ids};
use paralith_sdk::testing::public_key;
use paralith_sdk::{Amount, Hash};

use crate::fixture::{FEE, RICH, World, code, kem, no_actions, root, set_keys};

/// m2 goes, m3 comes.
fn exchanged(world: &World) -> Definition {
    Definition {
        version: 2,
        package_hash: Hash([5; 32]),
        members: ["m0", "m1", "m3"].map(public_key).to_vec(),
        policy: Policy::parse("2 of (a, b, c)", &["a", "b", "c"]).unwrap(),
        ..world.definition.clone()
    }
}

pub(crate) fn join(world: &mut World, who: &str, definition: &Definition) {
    let contract = world.contract();
    let join = Join {
        contract_id: world.id,
        definition: ids::definition_hash(definition),
        batch: contract.last_batch,
        root: contract.last_root,
        bond: definition.terms.bond,
    };
    world.call(who, "join", &join).unwrap();
}

#[test]
fn a_member_is_exchanged_and_the_old_bond_returns_later() {
    let mut world = World::new();
    let next = exchanged(&world);
    assert_eq!(code(world.change("m0", &next, false, &[0, 1])), 32, "nobody joined");
    join(&mut world, "m3", &next);
    world.submit("alice", 0).unwrap();
    world.next();
    world.submit("alice", 0).unwrap();
    world.change("m0", &next, false, &[0, 1]).unwrap();
    assert_eq!(world.contract().status, ContractStatus::Changing);
    assert_eq!(world.contract().keys_version, 2);
    // Later submissions are sealed to the new keys; the queue ends under the old definition.
    let set = world.key_set();
    assert_eq!(set.keys[2].key, kem("m3").public());
    world.submit("bob", 0).unwrap();
    world.yes(2);
    world.next();
    let open = world.open().batch;
    assert_eq!((open.version, open.first_seq, open.last_seq), (1, 2, 2));
    let verdict = world.verdict(root(3), Class::Executed, &no_actions());
    world.vote(&[1, 2], &verdict).unwrap();
    world.next();
    world.members = vec!["m0", "m1", "m3"];
    let open = world.open().batch;
    assert_eq!((open.version, open.first_seq, open.last_seq), (2, 3, 3));
    assert_eq!(world.contract().status, ContractStatus::Active);
    let verdict = world.verdict(root(4), Class::Executed, &no_actions());
    world.vote(&[0, 2], &verdict).unwrap();
    assert_eq!(world.contract().last_root, root(4));
    world.advance(60);
    assert!(world.bond("m2", 1).is_none());
    assert_eq!(world.bond("m3", 2).unwrap().amount, Amount(1000));
    assert_eq!(world.bond("m0", 1).unwrap().amount, Amount(1000), "those that stay keep theirs");
    assert!(world.chain.stored(&keys::definition(&world.id, 1)).is_none());
    assert_eq!(world.of("m2"), RICH - 2 * FEE);
}

#[test]
fn while_changing_only_the_newest_keys_count_and_no_other_change() {
    let mut world = World::new();
    let next = exchanged(&world);
    join(&mut world, "m3", &next);
    let old = world.submission("alice", 0);
    // The queue keeps the change waiting.
    world.submit("bob", 0).unwrap();
    world.next();
    world.change("m0", &next, false, &[0, 1]).unwrap();
    assert_eq!(code(world.hand_in("alice", &old)), 3);
    let another = Definition { version: 3, ..next.clone() };
    assert_eq!(code(world.change("m0", &another, false, &[0, 1])), 27);
    assert_eq!(code(world.change("m0", &next, false, &[0, 1])), 27, "a replay");
    world.yes(2);
    world.next();
    assert_eq!(world.contract().version, 2);
    assert_eq!(code(world.change("m0", &next, false, &[0, 1])), 27, "a replay later");
}

#[test]
fn each_fault_of_a_change_has_its_own_code() {
    let mut world = World::new();
    let good = exchanged(&world);
    join(&mut world, "m3", &good);
    let w = &mut world;
    let with = |change: fn(&mut Definition)| {
        let mut definition = good.clone();
        change(&mut definition);
        definition
    };
    let policy = with(|d| d.policy = Policy::Member(3));
    assert_eq!(code(w.change("m0", &policy, false, &[0, 1])), 26);
    assert_eq!(code(w.change("m0", &good, false, &[0])), 26, "too few");
    assert_eq!(code(w.change("m0", &with(|d| d.version = 1), false, &[0, 1])), 27);
    assert_eq!(code(w.change("m0", &with(|d| d.version = 3), false, &[0, 1])), 27);
    let same = with(|d| d.package_hash = Hash([4; 32]));
    assert_eq!(code(w.change("m0", &same, false, &[0, 1])), 31, "a member is dropped");
    assert_eq!(code(w.change("m0", &good, true, &[0, 1])), 31, "more than the package differs");
    let terms = with(|d| d.terms.deposit = Amount(1));
    assert_eq!(code(w.change("m0", &terms, false, &[0, 1])), 32, "joined another definition");
    // Signed for something else.
    let hash = ids::change_hash(&crate::fixture::place(w.id), &ids::definition_hash(&good), true);
    let signatures = ["m0", "m1"].map(|name| crate::fixture::bls(name).sign(&hash.0));
    let change = paralith_private_contract_core::messages::Change {
        contract_id: w.id,
        definition: good.clone(),
        migrate: false,
        signers: vec![0b11],
        signature: paralith_private_contract_core::messages::VoteSignature(
            paralith_bls::aggregate(&signatures).unwrap(),
        ),
    };
    assert_eq!(code(w.call("m0", "change", &change)), 21);
    assert_eq!(world.contract().last_version, 1);
    world.change("m0", &good, false, &[0, 1]).unwrap();
}

#[test]
fn a_join_that_no_definition_takes_is_left_with_its_bond() {
    let mut world = World::new();
    let next = exchanged(&world);
    join(&mut world, "m3", &next);
    assert_eq!(world.of("m3"), RICH - 2 * FEE - 1000);
    // Joining again replaces the join.
    join(&mut world, "m3", &next);
    assert_eq!(world.of("m3"), RICH - 3 * FEE - 1000);
    world.of_contract("m3", "leave").unwrap();
    assert_eq!(world.of("m3"), RICH - 4 * FEE);
    assert_eq!(code(world.of_contract("m3", "leave")), 20);
    assert_eq!(code(world.change("m0", &next, false, &[0, 1])), 32);
}

#[test]
fn an_issuer_of_a_change_that_waits_revokes_its_certificates() {
    let mut world = World::new();
    let issuers = vec![public_key("bob")];
    let next = Definition { version: 2, issuers, ..world.definition.clone() };
    // The queue keeps the change waiting.
    world.submit("alice", 0).unwrap();
    world.next();
    let revoke = Revoke { contract_id: world.id, issuer: public_key("bob"), serial: 7 };
    assert_eq!(code(world.call("bob", "revoke", &revoke)), 4);
    world.change("m0", &next, false, &[0, 1]).unwrap();
    world.call("bob", "revoke", &revoke).unwrap();
    assert_eq!(code(world.call("alice", "revoke", &revoke)), 4);
}

fn migrated(world: &World) -> Definition {
    Definition { version: 2, package_hash: Hash([6; 32]), ..world.definition.clone() }
}

#[test]
fn new_code_is_in_force_after_its_migration_ends_yes() {
    let mut world = World::new();
    let next = migrated(&world);
    world.submit("alice", 0).unwrap();
    world.next();
    world.change("m0", &next, true, &[0, 1]).unwrap();
    world.submit("bob", 0).unwrap();
    world.yes(2);
    world.next();
    let open = world.open().batch;
    assert_eq!((open.kind, open.version, open.len()), (BatchKind::Migrate, 1, 0));
    world.yes(3);
    assert_eq!((world.contract().version, world.contract().status), (2, ContractStatus::Active));
    world.next();
    assert_eq!((world.open().batch.version, world.open().batch.first_seq), (2, 2));
    world.yes(4);
    assert_eq!(world.tx(2).status, TransactionStatus::Yes);
}

#[test]
fn a_migration_that_fails_leaves_nothing_behind() {
    for how in 0..2 {
        let mut world = World::new();
        let next = migrated(&world);
        world.change("m0", &next, true, &[0, 1]).unwrap();
        world.submit("bob", 30).unwrap();
        world.next();
        assert_eq!(world.open().batch.kind, BatchKind::Migrate);
        if how == 0 {
            let verdict = world.verdict(root(1), Class::Failed, &no_actions());
            world.vote(&[0, 1], &verdict).unwrap();
        } else {
            let deadline = world.open().deadline;
            world.chain.advance_to(deadline);
            world.next();
        }
        let contract = world.contract();
        assert_eq!((contract.version, contract.status), (1, ContractStatus::Active));
        assert!(world.chain.stored(&keys::definition(&world.id, 2)).is_none());
        // Sealed to the new definition: it runs under no other.
        world.next();
        assert_eq!(world.tx(1).status, TransactionStatus::Expired);
        world.submit("bob", 0).unwrap();
        world.next();
        assert_eq!((world.open().batch.version, world.open().batch.first_seq), (1, 2));
        world.yes(4);
        // The number of the dropped one is not used again.
        world.next();
        assert_eq!(code(world.change("m0", &next, true, &[0, 1])), 27);
        let again = Definition { version: 3, ..next };
        world.change("m0", &again, true, &[0, 1]).unwrap();
        world.advance(100);
        assert_eq!(world.of("bob"), RICH - 2 * FEE);
    }
}

#[test]
fn key_sets_follow_the_members_at_most_every_hundred_blocks() {
    let mut world = World::new();
    let sealed = world.submission("alice", 0);
    world.of_contract("m0", "refresh").unwrap_err();
    world.advance(101);
    assert_eq!(code(world.of_contract("m0", "refresh")), 3, "nothing is new");
    let other = paralith_private_contract_core::messages::SetKeys {
        kem_key: kem("another").public(),
        ..set_keys("m1")
    };
    world.call("m1", "set_keys", &other).unwrap();
    assert_eq!(code(world.of_contract("alice", "refresh")), 20);
    world.of_contract("m0", "refresh").unwrap();
    assert_eq!(world.key_set().keys[1].key, kem("another").public());
    // What was sealed to the one before counts for 100 blocks.
    assert_eq!(world.hand_in("alice", &sealed), Ok(1));
    assert_eq!(code(world.of_contract("m0", "refresh")), 3);
    let late = paralith_private_contract_core::messages::Submit { sender_seq: 1, ..sealed };
    world.advance(100);
    assert_eq!(code(world.call("alice", "submit", &late)), 3);
    // The old set is kept while a deposit is held under it, and one more change later it is gone.
    world.call("m1", "set_keys", &set_keys("m1")).unwrap();
    world.of_contract("m0", "refresh").unwrap();
    assert!(world.chain.stored(&keys::key_set(&world.id, 1)).is_none());
    assert!(world.chain.stored(&keys::key_set(&world.id, 2)).is_some());
}

#[test]
fn a_vote_key_changes_with_a_definition_only() {
    let mut world = World::new();
    let before = world.record().vote_keys;
    let mut other = set_keys("m0");
    let secret = crate::fixture::bls("new m0");
    other.vote_key = paralith_private_contract_core::messages::VoteKey(secret.public());
    let place = crate::fixture::place(world.id);
    let message = ids::possession_message(
        &place.chain_context,
        &place.mediator,
        &public_key("m0"),
        &other.vote_key,
    );
    other.possession = paralith_private_contract_core::messages::VoteSignature(
        secret.prove_possession(&message.0),
    );
    world.call("m0", "set_keys", &other).unwrap();
    assert_eq!(world.record().vote_keys, before);
    world.submit("alice", 0).unwrap();
    world.next();
    world.yes(2);
    world.next();
    let next = Definition { version: 2, ..world.definition.clone() };
    world.change("m0", &next, false, &[0, 1]).unwrap();
    world.next();
    assert_eq!(world.record().vote_keys[0].0, secret.public());
}
