//! Many contracts at once: bounded work in each round, and nobody is forgotten.

use paralith_crypto::kem::{KEM_X_WING, KemSecret};
use paralith_policy::Policy;
use paralith_private_contract_core::Class;
use paralith_private_contract_core::messages::{
    BatchKind, ContractId, ContractStatus, Definition, OpenBatch, SetKeys, TransactionRecord,
    TransactionStatus, keys,
};
use paralith_sdk::testing::{address, public_key};
use paralith_sdk::{Amount, Hash};

use crate::fixture::{RICH, World, code, definition, no_actions, root, set_keys};

#[test]
fn seventy_contracts_open_in_two_rounds_and_expire_in_two() {
    let one = definition(&["m0"], "1 of (m0)");
    let mut world = World::proposed(one.clone(), &["m0"]);
    let mut ids: Vec<ContractId> = Vec::new();
    for number in 0..70 {
        if number > 0 {
            world.create(one.clone());
        }
        world.join("m0").unwrap();
        world.submit("alice", 1).unwrap();
        ids.push(world.id);
    }
    let opened = |world: &World| {
        ids.iter().filter(|id| world.chain.stored(&keys::open_batch(id)).is_some()).count()
    };
    world.chain.next_round();
    assert_eq!(opened(&world), 64, "64 in a round");
    assert_eq!(world.chain.wake_height(), Some(world.chain.height()), "and the next is asked for");
    world.chain.next_round();
    assert_eq!(opened(&world), 70);
    let expired = |world: &World| {
        let is_expired = |id: &&ContractId| {
            let stored = world.chain.stored(&keys::transaction(id, 1));
            stored.is_none_or(|bytes| {
                use paralith_private_contract_core::messages::Canonical;
                let tx = TransactionRecord::decode(&bytes, 4096).unwrap();
                tx.status == TransactionStatus::Expired
            })
        };
        ids.iter().filter(is_expired).count()
    };
    world.id = ids[0];
    let deadline = world.open().deadline;
    world.chain.advance_to(deadline);
    assert_eq!(expired(&world), 0, "never early");
    // 64 deadlines fell due at one height, and are taken as fast as batches open.
    for least in [64, 70] {
        world.chain.next_round();
        assert!(expired(&world) >= least, "{} of {least}", expired(&world));
    }
    // Nobody sends anything any more: everything returns.
    let now = world.chain.height();
    world.chain.advance_to(now + 60);
    assert_eq!(world.balance(&mediator::custody()), 70 * 1000, "only bonds are left");
}

/// Those that have an open batch.
fn opened(world: &World, ids: &[ContractId]) -> usize {
    ids.iter().filter(|id| world.chain.stored(&keys::open_batch(id)).is_some()).count()
}

#[test]
fn a_thousand_deadlines_at_one_height_delay_no_vote_and_no_batch_of_another_contract() {
    const COUNT: usize = 1_000;
    const A_ROUND: usize = 64;
    let rounds = COUNT.div_ceil(A_ROUND);
    let with = |vote_blocks: usize| {
        let mut one = definition(&["m0"], "1 of (m0)");
        one.terms.vote_blocks = vote_blocks.try_into().unwrap();
        one.terms.retention_blocks = 200;
        (one.terms.deposit, one.terms.bond, one.terms.slash) = Default::default();
        one
    };
    // 64 open in a round: those that open later have less time, so all deadlines are at one height.
    let mut world = World::proposed(with(100), &["m0"]);
    let mut ids: Vec<ContractId> = Vec::new();
    for number in 0..COUNT {
        world.definition = with(100 - number / A_ROUND);
        world.create(world.definition.clone());
        world.join("m0").unwrap();
        world.submit("alice", 0).unwrap();
        ids.push(world.id);
    }
    for _ in 0..rounds {
        world.chain.next_round();
    }
    assert_eq!(opened(&world, &ids), COUNT);
    let deadlines: std::collections::BTreeSet<u64> = ids
        .iter()
        .map(|id| world.get::<OpenBatch>(&keys::open_batch(id)).unwrap().deadline)
        .collect();
    assert_eq!(deadlines.len(), 1);
    let deadline = *deadlines.first().unwrap();
    // Another contract, which decides in the round in which all of them are due, and in the next ones.
    let mut other = with(10);
    other.terms.max_batch = 1;
    world.definition = other.clone();
    world.create(other);
    world.join("m0").unwrap();
    world.chain.advance_to(deadline);
    for _ in 0..4 {
        world.submit("bob", 0).unwrap();
    }
    for number in 0..4 {
        world.chain.next_round();
        let left = COUNT - (number + 1) * A_ROUND;
        assert_eq!(opened(&world, &ids), left, "64 in each round");
        let open = world.open();
        assert_eq!(open.batch.open_height, world.chain.height() - 1, "it waits for nobody");
        let verdict = world.verdict(root(2), Class::Executed, &no_actions());
        world.vote(&[0], &verdict).unwrap();
        assert_eq!(world.tx(open.batch.first_seq).status, TransactionStatus::Yes);
    }
    for _ in 4..rounds {
        world.chain.next_round();
    }
    assert_eq!(opened(&world, &ids), 0, "as fast as they opened");
}

#[test]
fn batches_that_expire_all_the_time_keep_nobodys_deposit() {
    let one = definition(&["m0"], "1 of (m0)");
    let mut world = World::proposed(one.clone(), &["m0"]);
    let mut ids: Vec<ContractId> = Vec::new();
    for number in 0..41 {
        if number > 0 {
            world.create(one.clone());
        }
        world.join("m0").unwrap();
        world.submit("alice", 1).unwrap();
        ids.push(world.id);
    }
    world.chain.next_round();
    world.id = ids[0];
    let opened = world.open().batch.open_height;
    world.chain.advance_to(opened + 8);
    let verdict = world.verdict(root(2), Class::Executed, &no_actions());
    world.vote(&[0], &verdict).unwrap();
    // Its deposit returns at the height at which 40 other batches end.
    world.chain.advance_to(opened + 12);
    assert_eq!(world.tx(1).deposit, Amount(90));
    world.chain.next_round();
    assert_eq!(world.tx(1).deposit, Amount::ZERO);
}

/// So many more accounts with money and keys, and a definition of them by which the first decides.
fn crowd(count: usize) -> (World, Vec<&'static str>) {
    let one = definition(&["m0"], "1 of (m0)");
    let mut world = World::proposed(one, &["m0"]);
    let name = |number| -> &'static str { Box::leak(format!("c{number}").into_boxed_str()) };
    let names: Vec<&'static str> = (0..count).map(name).collect();
    for name in &names {
        world.chain.deposit(address(name), Amount(RICH));
    }
    world.chain.next_round();
    for name in &names {
        world.call(name, "set_keys", &set_keys(name)).unwrap();
    }
    world.definition.members = names.iter().map(|name| public_key(name)).collect();
    world.definition.policy = Policy::Member(0);
    world.definition.terms.bond = Amount::ZERO;
    world.definition.terms.slash = Amount::ZERO;
    world.members = names.clone();
    (world, names)
}

fn start(world: &mut World, names: &[&'static str]) {
    world.create(world.definition.clone());
    for name in names {
        world.join(name).unwrap();
    }
    assert_eq!(world.contract().status, ContractStatus::Active);
}

#[test]
fn a_thousand_transactions_at_one_contract_delay_no_other_and_end_in_order() {
    let (mut world, senders) = crowd(63);
    let mut one = definition(&["m0"], "1 of (m0)");
    one.terms.max_batch = 64;
    (world.definition, world.members) = (one.clone(), vec!["m0"]);
    let mut ids = Vec::new();
    for _ in 0..2 {
        world.create(one.clone());
        world.join("m0").unwrap();
        ids.push(world.id);
    }
    let (busy, other) = (ids[0], ids[1]);
    world.id = busy;
    for sender in senders.iter().chain(&["alice"]) {
        for _ in 0..16 {
            world.submit(sender, 0).unwrap();
        }
    }
    assert_eq!(code(world.submit("bob", 0)), 14, "the queue is full");
    let mut ended = 0;
    for round in 0..16 {
        world.id = other;
        world.submit("bob", 0).unwrap();
        world.chain.next_round();
        for id in [other, busy] {
            world.id = id;
            let open = world.open();
            assert_eq!(open.batch.open_height, world.chain.height() - 1, "{round}");
            let verdict = world.verdict(root(2), Class::Executed, &no_actions());
            world.vote(&[0], &verdict).unwrap();
            assert_eq!(world.tx(open.batch.last_seq).status, TransactionStatus::Yes);
        }
        let head = world.contract().head;
        assert_eq!(head, ended + 65, "64 in a batch, in order");
        ended += 64;
    }
    assert_eq!(world.contract().head, 1025);
}

#[test]
fn large_keys_of_the_others_keep_nobody_from_leaving_and_stop_no_end_block() {
    let (mut world, names) = crowd(216);
    start(&mut world, &names);
    let migrated =
        Definition { version: 2, package_hash: Hash([6; 32]), ..world.definition.clone() };
    world.change("c0", &migrated, true, &[0]).unwrap();
    world.chain.next_round();
    assert_eq!(world.open().batch.kind, BatchKind::Migrate);
    // Together they no longer fit into a record.
    let large = KemSecret::XWing([7; 32].into()).public();
    for name in &names {
        let keys = SetKeys { kem_id: KEM_X_WING, kem_key: large.clone(), ..set_keys(name) };
        world.call(name, "set_keys", &keys).unwrap();
    }
    world.of_contract("c1", "leave").unwrap();
    let deadline = world.open().deadline;
    world.chain.advance_to(deadline);
    world.chain.next_round();
    assert_eq!(world.contract().status, ContractStatus::Active, "the change is dropped");
    world.of_contract("c2", "leave").unwrap();
    assert_eq!(world.key_set().gone[..1], [0b110]);
    let next = Definition { version: 3, package_hash: Hash([7; 32]), ..world.definition.clone() };
    let next = Definition { members: [&next.members[..1], &next.members[3..]].concat(), ..next };
    assert_eq!(code(world.change("c0", &next, false, &[0])), 22);
    // Fewer fit.
    let next = Definition { members: next.members[..200].to_vec(), ..next };
    world.change("c0", &next, false, &[0]).unwrap();
}

#[test]
fn large_definitions_come_into_force_over_several_rounds() {
    let (mut world, names) = crowd(128);
    let mut ids = Vec::new();
    for _ in 0..5 {
        start(&mut world, &names);
        ids.push(world.id);
    }
    let next = Definition { version: 2, ..world.definition.clone() };
    for id in &ids {
        world.id = *id;
        world.change("c0", &next, false, &[0]).unwrap();
    }
    for active in [4, 5] {
        world.chain.next_round();
        let mut count = 0;
        for id in &ids {
            world.id = *id;
            count += u32::from(world.contract().status == ContractStatus::Active);
        }
        assert_eq!(count, active);
    }
}

#[test]
fn deposits_under_many_key_sets_return_over_several_rounds() {
    let (mut world, names) = crowd(12);
    start(&mut world, &names);
    // Each departure makes another key set.
    for name in names.iter().rev() {
        world.submit("alice", 0).unwrap();
        if *name != names[0] {
            world.of_contract(name, "leave").unwrap();
        }
    }
    world.chain.next_round();
    assert_eq!(world.open().batch.len(), 12);
    let ended = world.chain.height();
    let verdict = world.verdict(root(2), Class::Executed, &no_actions());
    world.vote(&[0], &verdict).unwrap();
    world.chain.advance_to(ended + 4);
    for returned in [0, 8, 12] {
        let deposits = (1..13).map(|seq| world.tx(seq).deposit);
        assert_eq!(deposits.filter(|deposit| *deposit == Amount::ZERO).count(), returned);
        world.chain.next_round();
    }
    let keys_version = world.contract().keys_version;
    for version in 1..keys_version - 1 {
        assert!(world.chain.stored(&keys::key_set(&world.id, version)).is_none());
    }
}
