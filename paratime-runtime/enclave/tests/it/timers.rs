//! A runtime is woken at the height that it asked for: never earlier, and no trap loses the wish.

use paralith_proto::Wire;
use paralith_runtime_api::output::IoLeaf;
use paralith_runtime_api::tx::Body;
use paralith_runtime_enclave::BLOCK_ERROR;
use paralith_runtime_vm::code_id;
use paralith_storage::Changes;
use paralith_tee_channel::pb;

use crate::world::{EPOCH, Enclave, World};
use crate::{call, guest, secret, transaction};

/// The height that `init` of these guests asks for.
const WISH: u64 = 30;
const INIT: (&str, &str) = ("init", "(call $wake_at (i64.const 30)) (i64.const 2)");
const TRAP: &str = "unreachable";

fn code(entries: &[(&str, &str)]) -> Vec<u8> {
    wat::parse_str(guest::v2_text(entries, "")).unwrap()
}

/// Lets the chain go on to a height.
fn advance(world: &World, height: u64) {
    while world.chain.height() < height {
        world.chain.commit(&Changes::new());
    }
}

/// What the enclave reports of the newest final root.
fn wake(world: &World, enclave: &Enclave) -> Option<u64> {
    enclave.sync(world.chain.height()).wake_height
}

fn has_block_error(executed: &pb::Executed) -> bool {
    let leaves: Vec<IoLeaf> = Wire::from_pb(executed.leaves.clone()).unwrap();
    leaves.iter().any(|leaf| leaf.events.iter().any(|event| event.topic == BLOCK_ERROR))
}

#[test]
fn a_wish_stands_until_a_round_pins_its_height() {
    let mut world = World::new(code(&[INIT]), false);
    let enclave = world.enclave_with(1, |_| {});
    assert_eq!(wake(&world, &enclave), None, "before the first round");
    world.round(&enclave, &[]);
    assert_eq!(wake(&world, &enclave), Some(WISH));
    advance(&world, WISH - 1);
    world.round(&enclave, &[]);
    assert_eq!(wake(&world, &enclave), Some(WISH), "a round before the height is none of it");
    advance(&world, WISH);
    world.round(&enclave, &[]);
    assert_eq!(wake(&world, &enclave), None);
}

#[test]
fn a_confidential_runtime_reports_its_wish_too() {
    let mut world = World::new(code(&[INIT]), true);
    let enclave = world.enclave(1, &[EPOCH]);
    let executed = world.round(&enclave, &[]);
    assert_eq!(wake(&world, &enclave), Some(WISH));
    let shown = |change: &pb::Change| {
        change
            .value
            .as_ref()
            .is_some_and(|value| value.windows(8).any(|w| w == 30_u64.to_be_bytes()))
    };
    assert!(!executed.changes.iter().any(shown), "hosts do not read it in the state");
    let without = world.enclave_with(2, |_| {});
    assert_eq!(wake(&world, &without), None, "without keys nothing is known");
}

#[test]
fn a_due_round_whose_block_calls_trap_is_due_again_after_ever_longer_pauses() {
    for failing in ["begin_block", "end_block"] {
        let mut world = World::new(code(&[INIT, (failing, TRAP)]), false);
        let enclave = world.enclave_with(1, |_| {});
        world.round(&enclave, &[]);
        assert_eq!(wake(&world, &enclave), Some(WISH), "not due yet: a failure changes nothing");
        advance(&world, WISH);
        for pause in [1, 2, 4, 8, 16] {
            let pinned = world.chain.height();
            let executed = world.round(&enclave, &[]);
            assert!(has_block_error(&executed), "{failing}: everybody sees the failure");
            let due = pinned + pause;
            assert_eq!(wake(&world, &enclave), Some(due), "{failing}");
            advance(&world, due);
        }
    }
}

#[test]
fn a_round_that_fails_still_executes_its_transactions() {
    let execute = (
        "execute",
        "(call $state_set (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 8)) (i64.const 2)",
    );
    let mut world = World::new(code(&[INIT, ("begin_block", TRAP), execute]), false);
    world.runtime.allow_plain_calls = true;
    world.register();
    let enclave = world.enclave_with(1, |_| {});
    advance(&world, WISH);
    world.round(&enclave, &[]);
    let sent = transaction(&world, 3, 0, Body::Call(call("")));
    world.round(&enclave, &[sent]);
    assert_ne!(world.stored(b"\x0a"), 0);
}

#[test]
fn a_migration_that_traps_loses_no_wish() {
    let mut world = World::new(code(&[INIT]), false);
    let enclave = world.enclave_with(1, |_| {});
    world.round(&enclave, &[]);
    world.code = code(&[INIT, ("migrate", TRAP)]);
    let bytes = world.code.len() as u32;
    let named = world.runtime.code.as_mut().unwrap();
    (named.id, named.size_bytes) = (code_id(&world.code), bytes);
    world.register();
    let enclave = world.enclave_with(1, |_| {});
    assert_eq!(wake(&world, &enclave), Some(WISH));
    advance(&world, WISH);
    let pinned = world.chain.height();
    world.round(&enclave, &[]);
    assert_eq!(wake(&world, &enclave), Some(pinned + 1));
}

#[test]
fn a_wish_of_a_call_that_is_undone_does_not_count() {
    let body = "(call $wake_at (i64.const 60)) unreachable";
    let mut world = World::new(code(&[("execute", body)]), false);
    world.runtime.allow_plain_calls = true;
    world.register();
    let enclave = world.enclave_with(1, |_| {});
    let sent = transaction(&world, 3, 0, Body::Call(call("")));
    world.round(&enclave, &[sent]);
    assert_eq!(wake(&world, &enclave), None);
}

#[test]
fn all_replicas_agree_on_the_wish() {
    let execute = ("execute", "(call $wake_at (i64.const 25)) (i64.const 2)");
    let mut world = World::new(code(&[INIT, execute]), true);
    let (one, two) = (world.enclave(1, &[EPOCH]), world.enclave(2, &[EPOCH]));
    let sent = [secret(&world, 3, 0, "")];
    let proposal = world.proposal(&sent);
    let executed =
        |enclave: &Enclave| match enclave.call(world.execute_call(&proposal, &sent)).unwrap() {
            pb::runtime_reply::Kind::Executed(executed) => executed,
            other => panic!("{other:?}"),
        };
    let (first, second) = (executed(&one), executed(&two));
    assert_eq!(first.results, second.results);
    world.finalise_as(&first, &proposal);
    assert_eq!(wake(&world, &one), Some(25));
    assert_eq!(wake(&world, &two), Some(25));
}
