//! A contract from its creation to its end.

use paralith_private_contract_core::Class;
use paralith_private_contract_core::messages::{
    Action, Actions, BatchEvent, BatchKind, Canonical, Close, ContractStatus, Emit, FiniEvent,
    InitEvent, TOPIC_ENDED, TOPIC_FINI, TOPIC_INIT, TransactionStatus, Withdraw, keys,
};
use paralith_sdk::Amount;
use paralith_sdk::testing::address;

use crate::fixture::{FEE, RICH, World, code, definition, no_actions, pay, root};

fn close(world: &World) -> Close {
    Close { contract_id: world.id, signers: vec![], signature: None }
}

#[test]
fn two_of_three_end_a_transaction_with_yes() {
    let mut world = World::new();
    assert_eq!(world.contract().status, ContractStatus::Active);
    let before = world.of("alice");
    let seq = world.submit("alice", 50).unwrap();
    assert_eq!(seq, 1);
    let events = world.chain.events();
    let init = events.iter().find(|event| event.topic == TOPIC_INIT).unwrap();
    assert_eq!(InitEvent::decode(&init.data, 200).unwrap().seq, 1);
    assert_eq!(world.of("alice"), before - FEE - 50 - 90);
    world.next();
    let open = world.open();
    assert_eq!((open.batch.number, open.batch.first_seq, open.batch.last_seq), (1, 1, 1));
    assert_eq!(open.batch.old_root, root(1));
    let voter = world.of("m1");
    let verdict = world.verdict(root(2), Class::Executed, &no_actions());
    world.vote(&[0], &verdict).unwrap();
    assert_eq!(world.contract().open_batch, 1, "one of two needed");
    world.vote(&[1], &verdict).unwrap();
    let contract = world.contract();
    assert_eq!((contract.last_root, contract.last_batch, contract.open_batch), (root(2), 1, 0));
    assert_eq!(contract.balance, Amount(50));
    assert_eq!(world.tx(1).status, TransactionStatus::Yes);
    assert_eq!(world.of("m1"), voter - FEE + FEE / 2, "half of the fee for the deciding vote");
    let events = world.chain.events();
    let fini = events.iter().find(|event| event.topic == TOPIC_FINI).unwrap();
    let fini = FiniEvent::decode(&fini.data, 200).unwrap();
    assert_eq!((fini.seq, fini.status, fini.root), (1, TransactionStatus::Yes, root(2)));
    world.next();
    // The sender's deposit returns after fetch_blocks, the record goes after retention_blocks.
    let before = world.of("alice");
    world.advance(6);
    assert_eq!(world.of("alice"), before + 90);
    assert!(world.chain.stored(&keys::wraps(&world.id, 1)).is_none());
    assert!(world.final_batch(0).is_some());
    world.advance(60);
    assert!(world.chain.stored(&keys::transaction(&world.id, 1)).is_none());
    assert!(world.final_batch(0).is_none(), "another root is the last");
    assert!(world.final_batch(1).is_some(), "the last root stays");
}

#[test]
fn a_batch_nobody_votes_on_expires_by_its_timer() {
    let mut world = World::new();
    world.submit("alice", 50).unwrap();
    world.next();
    let deadline = world.open().deadline;
    world.chain.advance_to(deadline);
    assert_eq!(world.tx(1).status, TransactionStatus::Pending, "votes of that round count");
    world.next();
    assert_eq!(world.tx(1).status, TransactionStatus::Expired);
    assert_eq!(world.contract().last_root, root(1));
    world.advance(10);
    assert_eq!(world.of("alice"), RICH - FEE, "payment and deposit are back");
}

#[test]
fn a_vote_in_the_round_of_the_deadline_counts() {
    let mut world = World::new();
    world.submit("alice", 0).unwrap();
    world.next();
    let deadline = world.open().deadline;
    world.chain.advance_to(deadline);
    world.yes(2);
    world.next();
    assert_eq!(world.tx(1).status, TransactionStatus::Yes);
}

#[test]
fn members_who_disagree_end_a_batch_with_no_at_once() {
    let mut world =
        World::with(definition(&["m0", "m1", "m2"], "3 of (m0, m1, m2)"), &["m0", "m1", "m2"]);
    world.submit("alice", 50).unwrap();
    world.next();
    let one = world.verdict(root(2), Class::Executed, &no_actions());
    let other = world.verdict(root(3), Class::Executed, &no_actions());
    world.vote(&[0], &one).unwrap();
    assert_eq!(world.tx(1).status, TransactionStatus::Pending);
    world.vote(&[1], &other).unwrap();
    assert_eq!(world.tx(1).status, TransactionStatus::No);
    assert_eq!(world.contract().last_root, root(1));
    // The next transaction succeeds, on the old root.
    world.next();
    world.submit("bob", 0).unwrap();
    world.next();
    assert_eq!(world.open().batch.old_root, root(1));
    let verdict = world.verdict(root(4), Class::Executed, &no_actions());
    world.vote(&[0, 1, 2], &verdict).unwrap();
    assert_eq!(world.tx(2).status, TransactionStatus::Yes);
}

#[test]
fn the_dissenter_is_named() {
    let mut world = World::new();
    world.submit("alice", 0).unwrap();
    world.next();
    let wrong = world.verdict(root(9), Class::Executed, &no_actions());
    world.vote(&[2], &wrong).unwrap();
    world.yes(2);
    let events = world.chain.events();
    let ended = events.iter().find(|event| event.topic == TOPIC_ENDED).unwrap();
    assert_eq!(BatchEvent::decode(&ended.data, 200).unwrap().dissenters, [0b100]);
}

#[test]
fn a_failed_batch_is_retried_one_at_a_time() {
    let mut world = World::new();
    for who in ["alice", "bob", "alice"] {
        world.submit(who, 5).unwrap();
    }
    world.fund("bob", 30).unwrap();
    world.next();
    assert_eq!(world.open().batch.len(), 3);
    let deadline = world.open().deadline;
    world.chain.advance_to(deadline);
    world.next();
    for seq in 1..=3 {
        assert_eq!(world.tx(seq).status, TransactionStatus::Pending);
        let batch = world.open().batch;
        assert_eq!((batch.first_seq, batch.last_seq), (seq, seq));
        // The deposit stayed for the next batch, and is taken once.
        assert_eq!(batch.first_deposit, u64::from(seq == 1));
        world.yes(seq as u8 + 1);
        world.next();
    }
    assert_eq!(world.contract().balance, Amount(45));
    // After the last one of them, batches are large again.
    for _ in 0..3 {
        world.submit("alice", 0).unwrap();
    }
    world.next();
    assert_eq!(world.open().batch.len(), 3);
    assert_eq!(world.open().batch.number, 5, "numbers are never used again");
}

#[test]
fn classes_say_what_becomes_of_transactions_and_payments() {
    let mut world = World::new();
    for _ in 0..4 {
        world.submit("alice", 10).unwrap();
    }
    world.next();
    use paralith_private_contract_core::Classes;
    let all = [Class::Malformed, Class::Missing, Class::Failed, Class::Executed];
    let mut verdict = world.verdict(root(2), Class::Executed, &no_actions());
    verdict.classes = Classes(all.to_vec()).to_bytes();
    world.vote(&[0, 1], &verdict).unwrap();
    let statuses: Vec<TransactionStatus> = (1..=4).map(|seq| world.tx(seq).status).collect();
    use TransactionStatus::{Expired, Failed, Malformed, Yes};
    assert_eq!(statuses, [Malformed, Expired, Failed, Yes]);
    assert_eq!(world.contract().balance, Amount(20), "a call that failed has paid");
    world.advance(10);
    assert_eq!(world.of("alice"), RICH - 4 * FEE - 20);
}

#[test]
fn a_begin_block_that_fails_gives_everything_back() {
    let mut world = World::new();
    world.submit("alice", 10).unwrap();
    world.fund("bob", 30).unwrap();
    world.next();
    let mut verdict = world.verdict(root(1), Class::Failed, &no_actions());
    verdict.taken = false;
    for (class, new_root) in [(Class::Executed, root(1)), (Class::Failed, root(2))] {
        let mut lie = world.verdict(new_root, class, &no_actions());
        lie.taken = false;
        assert_eq!(code(world.vote(&[0, 1], &lie)), 18);
    }
    world.vote(&[0, 1], &verdict).unwrap();
    assert_eq!(world.tx(1).status, TransactionStatus::Failed);
    assert_eq!(world.contract().balance, Amount::ZERO);
    world.advance(10);
    assert_eq!(world.of("alice"), RICH - FEE);
    assert_eq!(world.of("bob"), RICH - FEE);
}

#[test]
fn payments_out_happen_in_the_step_of_fini_and_never_exceed_the_balance() {
    let mut world = World::new();
    world.fund("bob", 100).unwrap();
    world.submit("alice", 20).unwrap();
    world.next();
    let actions = |amount: u128| Actions {
        actions: vec![
            pay("bob", amount),
            Action::Emit(Emit { topic: TOPIC_FINI.into(), data: vec![1] }),
        ],
    };
    let verdict = world.verdict(root(2), Class::Executed, &actions(121));
    assert_eq!(code(world.vote_with(&[0, 1], &verdict, &actions(121))), 18);
    // A payment of a transaction that did not run covers nothing.
    let verdict = world.verdict(root(2), Class::Missing, &actions(101));
    assert_eq!(code(world.vote_with(&[0, 1], &verdict, &actions(101))), 18);
    let before = world.of("bob");
    let verdict = world.verdict(root(2), Class::Executed, &actions(120));
    assert_eq!(code(world.vote_with(&[0, 1], &verdict, &actions(119))), 19);
    world.vote_with(&[0, 1], &verdict, &actions(120)).unwrap();
    assert_eq!(world.of("bob"), before + 120);
    assert_eq!(world.contract().balance, Amount::ZERO);
    // The contract's event cannot be taken for the mediator's.
    let events = world.chain.events();
    let own = format!("contract/{}/{TOPIC_FINI}", world.id.to_hex());
    assert!(events.iter().any(|event| event.topic == own && event.data == [1]));
    assert_eq!(events.iter().filter(|event| event.topic == TOPIC_FINI).count(), 1);
    world.holds();
}

#[test]
fn what_is_paid_to_the_custody_itself_is_not_lost_in_it() {
    use paralith_private_contract_core::messages::Pay;
    let mut world = World::new();
    world.submit("alice", 20).unwrap();
    world.next();
    let to = mediator::custody();
    let actions = Actions { actions: vec![Action::Pay(Pay { to, amount: Amount(20) })] };
    let verdict = world.verdict(root(2), Class::Executed, &actions);
    world.vote_with(&[0, 1], &verdict, &actions).unwrap();
    assert_eq!(world.contract().balance, Amount::ZERO);
    world.next();
}

#[test]
fn a_probe_is_an_empty_batch_that_takes_deposits() {
    let mut world = World::new();
    world.fund("bob", 30).unwrap();
    world.of_contract("alice", "probe").unwrap();
    world.next();
    assert_eq!((world.open().batch.kind, world.open().batch.len()), (BatchKind::Probe, 0));
    world.yes(2);
    assert_eq!(world.contract().balance, Amount(30));
    assert_eq!(world.contract().last_root, root(2));
    world.next();
    assert_eq!(world.contract().open_batch, 0);
}

#[test]
fn a_dormant_contract_is_closed_by_anybody_and_everything_goes_back() {
    let mut world = World::new();
    world.fund("bob", 30).unwrap();
    world.of_contract("alice", "probe").unwrap();
    world.next();
    world.yes(2);
    world.next();
    // The quorum dies. Transactions still end, one deadline after the other.
    assert_eq!(code(world.call("bob", "close", &close(&world))), 33);
    world.submit("alice", 40).unwrap();
    world.fund("bob", 7).unwrap();
    world.next();
    let deadline = world.open().deadline;
    world.chain.advance_to(deadline);
    world.next();
    assert_eq!(world.tx(1).status, TransactionStatus::Expired);
    assert_eq!(code(world.call("bob", "close", &close(&world))), 33);
    world.advance(98);
    world.submit("alice", 40).unwrap();
    world.next();
    let residual = world.of("residual");
    world.call("bob", "close", &close(&world)).unwrap();
    assert_eq!(world.of("residual"), residual + 30);
    assert_eq!(world.contract().status, ContractStatus::Closed);
    assert_eq!(code(world.submit("alice", 0)), 2);
    assert_eq!(code(world.of_contract("alice", "probe")), 2);
    world.advance(60);
    assert_eq!(world.balance(&mediator::custody()), 0, "nothing stays");
    for name in ["m0", "m1", "m2"] {
        assert!(world.bond(name, 1).is_none());
    }
    assert_eq!(world.of("m2"), RICH - 2 * FEE);
}

#[test]
fn a_probe_that_a_living_quorum_answers_makes_the_contract_not_dormant() {
    let mut world = World::new();
    world.submit("alice", 0).unwrap();
    world.next();
    let deadline = world.open().deadline;
    world.chain.advance_to(deadline);
    world.next();
    world.of_contract("bob", "probe").unwrap();
    world.next();
    world.yes(2);
    world.advance(200);
    assert_eq!(code(world.call("bob", "close", &close(&world))), 33);
}

#[test]
fn members_close_a_contract_with_an_empty_queue() {
    use crate::fixture::{bitmap, bls, place};
    use paralith_private_contract_core::ids::close_hash;
    use paralith_private_contract_core::messages::VoteSignature;
    let mut world = World::new();
    let signed = |world: &World, members: &[u32]| {
        let contract = world.contract();
        let hash = close_hash(&place(world.id), contract.version, contract.next_batch);
        let signatures: Vec<[u8; 48]> =
            members.iter().map(|i| bls(world.members[*i as usize]).sign(&hash.0)).collect();
        let signature = VoteSignature(paralith_bls::aggregate(&signatures).unwrap());
        Close { contract_id: world.id, signers: bitmap(members), signature: Some(signature) }
    };
    let early = signed(&world, &[0, 1]);
    world.submit("alice", 0).unwrap();
    assert_eq!(code(world.call("m0", "close", &early)), 33, "the queue is not empty");
    world.next();
    world.yes(2);
    assert_eq!(code(world.call("m0", "close", &early)), 21, "signed for an earlier state");
    let one = signed(&world, &[0]);
    assert_eq!(code(world.call("m0", "close", &one)), 26);
    let both = signed(&world, &[0, 2]);
    world.call("m0", "close", &both).unwrap();
    world.advance(60);
    assert_eq!(world.balance(&mediator::custody()), 0);
}

#[test]
fn a_contract_that_never_starts_gives_bonds_back() {
    let members = ["m0", "m1", "m2"];
    let mut world = World::proposed(definition(&members, "2 of (m0, m1, m2)"), &members);
    world.join("m0").unwrap();
    world.join("m1").unwrap();
    assert_eq!(code(world.of_contract("m0", "cancel")), 20);
    // One leaves again, and joins again.
    world.of_contract("m1", "leave").unwrap();
    assert_eq!(code(world.of_contract("m1", "leave")), 20);
    assert_eq!(world.of("m1"), RICH - 4 * FEE);
    world.join("m1").unwrap();
    world.of_contract("owner", "cancel").unwrap();
    assert_eq!(world.contract().status, ContractStatus::Cancelled);
    assert_eq!(code(world.join("m2")), 2);
    for name in ["m0", "m1"] {
        world.of_contract(name, "leave").unwrap();
    }
    assert_eq!(world.balance(&mediator::custody()), 0);
    assert_eq!(code(world.of_contract("owner", "cancel")), 2);
}

#[test]
fn who_leaves_gets_the_bond_back_later_and_has_no_vote_in_the_next_batch() {
    let mut world = World::new();
    world.submit("alice", 0).unwrap();
    world.next();
    world.of_contract("m2", "leave").unwrap();
    assert_eq!(code(world.of_contract("m2", "leave")), 20);
    let bond = world.bond("m2", 1).unwrap();
    assert_eq!((bond.amount, bond.returns), (Amount(1000), world.chain.height() + 40));
    // In the open batch it still votes.
    let verdict = world.verdict(root(2), Class::Executed, &no_actions());
    world.vote(&[2], &verdict).unwrap();
    world.vote(&[0], &verdict).unwrap();
    world.next();
    let set = world.key_set();
    assert_eq!((set.gone, world.contract().keys_version), (vec![0b100], 2));
    world.submit("alice", 0).unwrap();
    world.next();
    let verdict = world.verdict(root(3), Class::Executed, &no_actions());
    assert_eq!(code(world.vote(&[2], &verdict)), 20);
    world.vote(&[0, 1], &verdict).unwrap();
    world.advance(60);
    assert!(world.bond("m2", 1).is_none());
    assert_eq!(world.of("m2"), RICH - 6 * FEE);
}

#[test]
fn money_comes_by_messages_and_goes_by_transfers() {
    let mut world = World::new();
    let withdraw = |amount| Withdraw { to: address("bob"), amount: Amount(amount) };
    assert_eq!(code(world.call("bob", "withdraw", &withdraw(2 * RICH))), 15);
    world.call("bob", "withdraw", &withdraw(1000)).unwrap();
    world.chain.fail_message(0);
    world.next();
    let before = world.of("bob");
    assert_eq!(before, RICH - 2 * FEE, "a failed transfer comes back");
    world.call("bob", "withdraw", &withdraw(1000)).unwrap();
    world.chain.next_round();
    assert_eq!(world.of("bob"), before - FEE - 1000);
    world.holds();
}

#[test]
fn a_trap_in_end_block_or_a_failed_round_loses_no_timer() {
    let mut world = World::new();
    world.submit("alice", 50).unwrap();
    world.next();
    let deadline = world.open().deadline;
    world.chain.advance_to(deadline);
    world.chain.fail_end_block();
    world.chain.next_round();
    assert_eq!(world.tx(1).status, TransactionStatus::Pending);
    world.chain.fail_round();
    world.advance(5);
    assert_eq!(world.tx(1).status, TransactionStatus::Expired);
}
