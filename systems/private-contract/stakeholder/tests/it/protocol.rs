//! Batches from the mediator's round to the final root, with members that differ, fail and lie.

use paralith_private_contract_core::member::Stage;
use paralith_private_contract_core::messages::{Canonical, Complain, TransactionStatus};
use paralith_private_contract_core::vote::Results;
use paralith_private_contract_stakeholder::{ContractStore, ServiceError};
use paralith_types::{Amount, PublicKey};

use crate::guests::{adder, guest, recorded};
use crate::model::{PLACE, address};
use crate::world::{World, call, package};

const YES: Option<TransactionStatus> = Some(TransactionStatus::Yes);

fn status(world: &World, seq: u64) -> Option<TransactionStatus> {
    world.with(|model| model.statuses.get(&seq).copied())
}

#[tokio::test]
async fn counter_runs_two_of_three_and_a_member_that_is_away_does_not_matter() {
    let mut world = World::new(package(recorded("counter"), b""), "2 of (a, b, c)").await;
    world.stop(2);
    for _ in 0..3 {
        let seq = world.submit(40, &call("add", r#"{"amount":2}"#), 0);
        world.rounds(3).await;
        assert_eq!(status(&world, seq), YES);
    }
    let refused = world.submit(40, &call("add", r#"{"amount":-1}"#), 0);
    world.rounds(3).await;
    assert_eq!(status(&world, refused), Some(TransactionStatus::Failed));
    world.start(2);
    world.rounds(2).await;
    world.assert_all_at_last_root();
    world.assert_one_vote_a_batch();
    // The output and its path to the final results.
    let store = ContractStore::new(world.nodes[2].disk.kv(), &PLACE.contract_id);
    let log = store.log(3).unwrap().unwrap();
    assert_eq!(log.calls.len(), 1, "the healed member has the calls too");
    assert!(log.calls[0].output.ends_with(b"6"));
}

#[tokio::test]
async fn tokens_take_payments_and_deposits_and_pay_each_withdrawal_once() {
    let init = format!(r#"{{"balances":[{{"address":"{}","amount":"50"}}]}}"#, address(41));
    let mut world =
        World::new(package(recorded("tokens"), init.as_bytes()), "2 of (a, b, c)").await;
    world.with(|model| model.fund(address(41), 1, 100));
    let first = world.submit(41, &call("withdraw", r#"{"amount":"120"}"#), 30);
    world.rounds(3).await;
    assert_eq!(status(&world, first), YES);
    assert_eq!(world.with(|model| model.paid.clone()), [(address(41), Amount(120))]);
    assert_eq!(world.with(|model| model.record.balance), Amount(10));
    // 60 are left to the account, of which 10 are backed: the contract learns it inside the call.
    let beyond = world.submit(41, &call("withdraw", r#"{"amount":"20"}"#), 0);
    let within = world.submit(41, &call("withdraw", r#"{"amount":"10"}"#), 0);
    world.rounds(3).await;
    assert_eq!(status(&world, beyond), Some(TransactionStatus::Failed));
    assert_eq!(status(&world, within), YES);
    assert_eq!(world.with(|model| model.record.balance), Amount(0));
    // A payment of a call that fails is in the account all the same.
    let failed = world.submit(42, &call("nonsense", "{}"), 7);
    world.rounds(3).await;
    assert_eq!(status(&world, failed), Some(TransactionStatus::Failed));
    let back = world.submit(42, &call("withdraw", r#"{"amount":"7"}"#), 0);
    world.rounds(3).await;
    assert_eq!(status(&world, back), YES);
    assert_eq!(world.with(|model| model.paid.len()), 3);
    world.assert_all_at_last_root();
}

#[tokio::test]
async fn a_wrong_root_is_outvoted_and_healed_by_a_log() {
    let mut world = World::new(package(adder(), b""), "2 of (a, b, c)").await;
    world.submit(40, &call("", ""), 0);
    world.rounds(3).await;
    world.assert_all_at_last_root();
    // The second member reads another value than it wrote.
    world.nodes[1].disk.tamper(b"n");
    let seq = world.submit(40, &call("", ""), 0);
    world.rounds(1).await;
    assert_eq!(status(&world, seq), YES, "the others are enough");
    world.rounds(2).await;
    world.assert_all_at_last_root();
    assert_eq!(world.outer.lock().unwrap().pages, 0);
    // It votes with the others again.
    world.stop(2);
    let seq = world.submit(40, &call("", ""), 0);
    world.rounds(4).await;
    assert_eq!(status(&world, seq), YES);
    world.start(2);
    world.rounds(2).await;
    world.assert_all_at_last_root();
    world.assert_one_vote_a_batch();
}

#[tokio::test]
async fn false_logs_are_refused_and_the_tree_is_fetched_by_pages_that_are_checked() {
    let mut world = World::new(package(adder(), b""), "2 of (a, b, c)").await;
    world.stop(2);
    for _ in 0..2 {
        world.submit(40, &call("", ""), 0);
        world.rounds(3).await;
    }
    let liar = world.nodes[0].keys.account();
    {
        let mut outer = world.outer.lock().unwrap();
        outer.false_logs = true;
        outer.false_pages.insert(liar);
    }
    world.start(2);
    world.rounds(1).await;
    world.assert_all_at_last_root();
    assert!(world.outer.lock().unwrap().pages >= 2, "the liar's page, then the other member's");
    // If both lie it waits, and tells no wrong root.
    world.stop(2);
    world.submit(40, &call("", ""), 0);
    world.rounds(3).await;
    let other = world.nodes[1].keys.account();
    world.outer.lock().unwrap().false_pages.insert(other);
    world.start(2);
    world.rounds(2).await;
    assert_eq!(world.nodes[2].running.as_ref().unwrap().stage(), Stage::Healing);
    world.outer.lock().unwrap().false_pages.clear();
    world.rounds(1).await;
    world.assert_all_at_last_root();
}

#[tokio::test]
async fn a_dissenter_of_three_of_three_makes_a_no_that_leaves_every_tree_as_it_was() {
    let mut world = World::new(package(adder(), b""), "all(a, b, c)").await;
    world.submit(40, &call("", ""), 0);
    world.rounds(3).await;
    world.assert_all_at_last_root();
    world.nodes[1].disk.tamper(b"n");
    let before: Vec<_> = world.nodes.iter().map(|node| node.disk.trees()).collect();
    let seq = world.submit(40, &call("", ""), 0);
    world.rounds(12).await;
    assert_eq!(status(&world, seq), Some(TransactionStatus::No));
    let after: Vec<_> = world.nodes.iter().map(|node| node.disk.trees()).collect();
    assert!(before == after, "the trees are the same, byte by byte");
    // A fixed number of operations, whatever was written.
    for node in &world.nodes {
        assert_eq!(node.disk.writes().last(), Some(&2));
        // The changes are gone, the vote is not: a view that shows the batch as open again asks for no other.
        let disk = ContractStore::new(node.disk.kv(), &PLACE.contract_id).on_disk();
        let disk = disk.unwrap().unwrap();
        assert_eq!((disk.prepared, disk.vote.map(|vote| vote.batch)), (None, Some(2)));
    }
    world.nodes[1].disk.tamper(b"n");
    let seq = world.submit(40, &call("", ""), 0);
    world.rounds(3).await;
    assert_eq!(status(&world, seq), YES);
    world.assert_all_at_last_root();
    world.assert_one_vote_a_batch();
}

#[tokio::test]
async fn members_that_come_back_probe_before_their_contract_is_dormant() {
    let mut world = World::new(package(adder(), b""), "2 of (a, b, c)").await;
    world.with(|model| model.set_dormant_blocks(40));
    world.stop(1);
    world.stop(2);
    let seq = world.submit(40, &call("", ""), 0);
    world.rounds(12).await;
    assert_eq!(status(&world, seq), Some(TransactionStatus::Expired));
    let failed = world.with(|model| model.record.failed_height);
    assert!(failed != 0);
    // The one that is left probes and changes nothing by itself.
    world.rounds(28).await;
    assert_eq!(world.outer.lock().unwrap().probes, 1);
    assert_eq!(world.with(|model| model.record.failed_height), failed);
    world.start(1);
    world.start(2);
    world.rounds(9).await;
    let record = world.with(|model| model.record.clone());
    assert_eq!((record.failed_height, record.head), (0, 2), "a quorum lives");
    assert!(world.with(|model| model.height) < failed + 40, "in time");
    world.assert_all_at_last_root();
    world.assert_one_vote_a_batch();
    // Nothing is left to show.
    let probes = world.outer.lock().unwrap().probes;
    world.rounds(60).await;
    assert_eq!(world.outer.lock().unwrap().probes, probes);
}

#[tokio::test]
async fn content_withheld_from_all_is_missing_on_time_and_its_payment_returns() {
    let mut world = World::new(package(adder(), b""), "2 of (a, b, c)").await;
    let (withheld, ..) = world.with(|model| model.submit(40, &call("", ""), 9, true, |_| ()));
    let other = world.submit(41, &call("", ""), 0);
    world.rounds(3).await;
    assert_eq!(status(&world, other), None, "the time to fetch is not over");
    world.rounds(2).await;
    assert_eq!(status(&world, withheld), Some(TransactionStatus::Expired));
    assert_eq!(status(&world, other), YES);
    assert_eq!(world.with(|model| (model.returned, model.record.balance)), (Amount(9), Amount(0)));
    world.assert_all_at_last_root();
}

#[tokio::test]
async fn content_at_one_member_is_content_for_all_and_no_foreign_uri_is_asked() {
    let mut world = World::new(package(adder(), b""), "all(a, b, c)").await;
    let (seq, hash, content) =
        world.with(|model| model.submit(40, &call("", ""), 0, false, |_| ()));
    let store = ContractStore::new(world.nodes[1].disk.kv(), &PLACE.contract_id);
    assert!(store.keep_content(&hash, 1, 1000, b"other bytes").is_err());
    assert!(store.keep_content(&hash, 1, 1000, &content).unwrap());
    world.rounds(2).await;
    assert_eq!(status(&world, seq), YES);
    assert!(world.outer.lock().unwrap().asked_uris.is_empty());
    world.assert_all_at_last_root();
}

#[tokio::test]
async fn false_wraps_are_malformed_at_all_members_and_complained_of_with_the_proof() {
    let mut world = World::new(package(adder(), b""), "all(a, b, c)").await;
    // The wrap of one member is false: the others can show it, that member cannot open it.
    let (seq, ..) = world.with(|model| {
        model.submit(40, &call("", ""), 5, true, |wraps| *wraps[1].last_mut().unwrap() ^= 1)
    });
    world.rounds(2).await;
    assert_eq!(status(&world, seq), Some(TransactionStatus::Malformed));
    assert_eq!(world.with(|model| model.returned), Amount(5));
    let complaints = world.with(|model| model.complaints.clone());
    assert_eq!(complaints.len(), 2);
    let complaint = Complain::decode(&complaints[0], 4096).unwrap();
    assert_eq!((complaint.seq, complaint.index, complaint.sk.0), (seq, 1, [1; 32]));
    // A content that is no call.
    let bad = world.submit(40, b"\xff\xff", 0);
    world.rounds(2).await;
    assert_eq!(status(&world, bad), Some(TransactionStatus::Malformed));
    world.assert_all_at_last_root();
}

#[tokio::test]
async fn a_backup_restored_while_a_batch_is_open_gives_one_vote() {
    for (restored, others_know) in [(false, true), (true, true), (true, false)] {
        let mut world = World::new(package(adder(), b""), "all(a, b, c)").await;
        let seq = world.submit(40, &call("", ""), 0);
        let backup = world.nodes[0].disk.copy();
        world.stop(2);
        world.round().await;
        let before = world.outer.lock().unwrap().left.clone();
        assert!(before.contains_key(&(1, 0)), "the first member's vote has left");
        if !others_know {
            world.stop(1);
            world.start(1);
        }
        // The store from before the vote.
        world.stop(0);
        let store = ContractStore::new(backup.kv(), &PLACE.contract_id);
        if restored {
            store.mark_restored().unwrap();
        }
        world.nodes[0].disk = backup;
        world.start(0);
        world.show().await;
        world.start(2);
        world.rounds(13).await;
        world.assert_one_vote_a_batch();
        world.assert_all_at_last_root();
        let ended = status(&world, seq);
        let expected =
            if others_know { TransactionStatus::Yes } else { TransactionStatus::Expired };
        assert_eq!(ended, Some(expected), "{restored} {others_know}");
        // In the next batch it votes.
        let next = world.submit(40, &call("", ""), 0);
        world.rounds(3).await;
        assert_eq!(status(&world, next), YES);
    }
}

#[tokio::test]
async fn strangers_get_nothing_and_members_no_more_than_is_theirs() {
    let mut world = World::new(package(adder(), b""), "2 of (a, b, c)").await;
    world.submit(40, &call("", ""), 0);
    world.rounds(3).await;
    let server = world.server(0);
    let (stranger, member) = (PublicKey([77; 32]), world.nodes[1].keys.account());
    let hash = world.with(|model| model.transaction(1)).content_hash;
    let is_refused = |error: ServiceError| {
        matches!(
            error,
            ServiceError::Refused(paralith_private_contract_core::StakeholderError::NotAMember)
        )
    };
    assert!(is_refused(server.fetch_batch(&stranger, 1).unwrap_err()));
    assert!(is_refused(server.fetch_page(&stranger, 1, None).unwrap_err()));
    assert!(server.fetch_content(&member, &hash).unwrap().is_none(), "its transaction is final");
    assert!(server.fetch_batch(&member, 2).is_err());
    let log = server.fetch_batch(&member, 1).unwrap();
    let calls = &log.calls;
    assert_eq!((log.batch, calls.len(), log.lines.len()), (1, 1, 0));
    let results_root = world.contract().final_batch(1).unwrap().unwrap().results_root;
    assert_ne!(results_root, Results::new(&[]).root());
    // A vote in another's name, and one with a false signature.
    let mut world = World::new(package(adder(), b""), "all(a, b, c)").await;
    world.submit(40, &call("", ""), 0);
    world.stop(2);
    world.round().await;
    let server = world.server(0);
    let hash = world.with(|model| model.transaction(1)).content_hash;
    assert!(is_refused(server.fetch_content(&stranger, &hash).unwrap_err()));
    assert!(server.fetch_content(&member, &hash).unwrap().is_some());
    let votes = world.outer.lock().unwrap().left.clone();
    let bytes = votes[&(1, 1)].first().unwrap();
    let vote =
        paralith_private_contract_core::messages::ContractVote::decode(bytes, 1 << 16).unwrap();
    let (first, third) = (world.nodes[0].keys.account(), world.nodes[2].keys.account());
    assert!(is_refused(server.send_vote(&first, vote.clone()).unwrap_err()));
    let mut forged = vote;
    forged.index = 2;
    server.send_vote(&third, forged).unwrap();
    assert_eq!(server.fetch_vote(&first, 1, 2).unwrap(), None);
}

#[tokio::test]
async fn after_a_dropped_change_members_still_heal_by_logs_and_by_pages() {
    for false_logs in [false, true] {
        let mut world = World::new(package(adder(), b""), "2 of (a, b, c)").await;
        world.stop(2);
        world.submit(40, &call("", ""), 0);
        world.rounds(3).await;
        world.with(crate::model::Model::drop_change);
        world.outer.lock().unwrap().false_logs = false_logs;
        world.start(2);
        world.rounds(2).await;
        world.assert_all_at_last_root();
        assert_eq!(world.outer.lock().unwrap().pages > 0, false_logs);
    }
}

#[tokio::test]
async fn a_new_member_gets_the_tree_from_members_that_have_installed_the_next_package() {
    let mut world = World::new(package(adder(), b""), "2 of (a, b, c)").await;
    world.submit(40, &call("", ""), 0);
    world.rounds(3).await;
    let newcomer = PublicKey([77; 32]);
    let mut next = world.with(|model| model.definition.definition.clone());
    next.members.push(newcomer);
    let store = ContractStore::new(world.nodes[0].disk.kv(), &PLACE.contract_id);
    for (version, serves) in [(1, false), (3, false), (2, true)] {
        next.version = version;
        store.put_expected(&next).unwrap();
        let page = world.server(0).fetch_page(&newcomer, 1, None);
        assert_eq!(page.is_ok(), serves, "version {version}");
    }
    // It gets the tree and nothing else, and of no other member.
    assert!(world.server(0).fetch_batch(&newcomer, 1).is_err());
    assert!(world.server(1).fetch_page(&newcomer, 1, None).is_err());
    assert!(world.server(0).fetch_page(&PublicKey([78; 32]), 1, None).is_err());
    // Another change took that version, and was dropped.
    world.with(crate::model::Model::drop_change);
    world.rounds(1).await;
    assert!(world.server(0).fetch_page(&newcomer, 1, None).is_err());
}

#[tokio::test]
async fn no_begin_block_no_batch_and_everything_returns() {
    // `begin_block` refuses if it gets a payment: its request is longer than the context alone.
    let module = guest(
        &[
            (
                "begin_block",
                "(if (i32.gt_u (local.get $len) (i32.const 150)) (then (return (call $fail)))) (call $ok)",
            ),
            (
                "execute",
                "(call $write (i64.add (call $read) (i64.const 1))) (call $answer (call $read))",
            ),
        ],
        "",
    );
    let mut world = World::new(package(module, b""), "2 of (a, b, c)").await;
    let seq = world.submit(40, &call("", ""), 5);
    world.rounds(3).await;
    assert_eq!(status(&world, seq), Some(TransactionStatus::Failed));
    assert_eq!(world.with(|model| (model.returned, model.record.balance)), (Amount(5), Amount(0)));
    let seq = world.submit(40, &call("", ""), 0);
    world.rounds(3).await;
    assert_eq!(status(&world, seq), YES);
    world.assert_all_at_last_root();
}

#[tokio::test]
async fn content_that_one_member_cannot_get_makes_it_differ_and_heal() {
    let mut world = World::new(package(adder(), b""), "2 of (a, b, c)").await;
    let third = world.nodes[2].keys.account();
    world.outer.lock().unwrap().no_content.insert(third);
    let seq = world.submit(40, &call("", ""), 0);
    world.rounds(7).await;
    assert_eq!(status(&world, seq), YES);
    world.assert_all_at_last_root();
    world.assert_one_vote_a_batch();
}

#[tokio::test]
async fn the_loop_follows_the_mediator_until_its_source_is_gone() {
    let mut world = World::new(package(adder(), b""), "all(a, b, c)").await;
    let (snapshots, receiver) = tokio::sync::watch::channel(None);
    let run = |node: &mut crate::world::Node| {
        paralith_rt::spawn(node.running.take().unwrap().run(receiver.clone()))
    };
    let tasks: Vec<_> = world.nodes.iter_mut().map(run).collect();
    let seq = world.submit(40, &call("", ""), 0);
    world.with(crate::model::Model::round);
    // The state of one height again and again: what changes in it are the votes.
    let done = async {
        while status(&world, seq).is_none()
            || world.roots() != vec![world.with(|model| model.record.last_root); 3]
        {
            snapshots.send_replace(Some(world.snapshot()));
            paralith_rt::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    paralith_rt::timeout(std::time::Duration::from_secs(120), done).await.unwrap();
    assert_eq!(status(&world, seq), YES);
    drop((snapshots, receiver));
    for task in tasks {
        task.await.unwrap().unwrap();
    }
}

/// Writes 600 keys with each transaction.
fn writer() -> Vec<u8> {
    let body = "(local $i i32)
        (i32.store8 (i32.const 599) (i32.const 107))
        (loop $next
          (i32.store (i32.const 600) (local.get $i))
          (i64.store (i32.const 72) (i64.add (call $read) (i64.extend_i32_u (local.get $i))))
          (call $set (i32.const 599) (i32.const 5) (i32.const 72) (i32.const 8))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $next (i32.lt_u (local.get $i) (i32.const 600))))
        (call $write (i64.add (call $read) (i64.const 1)))
        (call $ok)";
    guest(&[("execute", body)], "")
}

#[tokio::test]
async fn a_tree_of_many_pages_is_fetched_whole_and_what_a_member_leaves_out_is_found() {
    let mut world = World::new(package(writer(), b""), "2 of (a, b, c)").await;
    world.stop(2);
    for _ in 0..2 {
        world.submit(40, &call("", ""), 0);
        world.rounds(3).await;
    }
    let omits = world.nodes[0].keys.account();
    {
        let mut outer = world.outer.lock().unwrap();
        outer.false_logs = true;
        outer.omits.insert(omits);
    }
    world.start(2);
    world.rounds(1).await;
    world.assert_all_at_last_root();
    assert_eq!(world.outer.lock().unwrap().pages, 6, "three pages of each");
    // It goes on with them.
    world.stop(1);
    let seq = world.submit(40, &call("", ""), 0);
    world.rounds(4).await;
    assert_eq!(status(&world, seq), YES);
}

#[tokio::test]
async fn a_no_costs_two_operations_and_a_yes_what_it_writes() {
    let mut world = World::new(package(writer(), b""), "all(a, b, c)").await;
    world.submit(40, &call("", ""), 0);
    world.rounds(3).await;
    assert!(world.nodes[0].disk.writes().iter().max().unwrap() > &600);
    world.stop(2);
    world.submit(40, &call("", ""), 0);
    world.rounds(13).await;
    assert_eq!(status(&world, 2), Some(TransactionStatus::Expired));
    assert_eq!(world.nodes[0].disk.writes().last(), Some(&2));
}
