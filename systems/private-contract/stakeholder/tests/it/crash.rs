//! A process dies before each of its effects in turn, and starts again from its disk.

use paralith_private_contract_core::messages::TransactionStatus;

use crate::guests::adder;
use crate::world::{World, call, package};

/// Three batches: YES, one with a false value at the first member, and YES. Where the process `number` dies
/// before its effect `at`. Gives how many effects it carried out.
async fn run(number: usize, at: Option<usize>) -> usize {
    let mut world = World::new(package(adder(), b""), "2 of (a, b, c)").await;
    world.nodes[number].dies_before = at;
    for batch in 0..3 {
        if batch == 1 {
            world.nodes[number].disk.tamper(b"n");
        }
        let seq = world.submit(40, &call("", ""), 0);
        world.rounds(4).await;
        let status = world.with(|model| model.statuses.get(&seq).copied());
        assert_eq!(status, Some(TransactionStatus::Yes), "effect {at:?}, batch {batch}");
    }
    world.assert_all_at_last_root();
    world.assert_one_vote_a_batch();
    world.nodes[number].steps
}

#[tokio::test]
async fn a_death_before_any_effect_leaves_one_vote_a_batch_and_the_last_root() {
    let effects = run(0, None).await;
    assert!(effects >= 14, "{effects} effects");
    for at in 0..effects {
        run(0, Some(at)).await;
    }
}

/// 3 of 3: the batch cannot end without the member that dies.
#[tokio::test]
async fn a_death_before_any_effect_ends_no_batch_of_a_contract_that_needs_all() {
    for at in 0..12 {
        let mut world = World::new(package(adder(), b""), "all(a, b, c)").await;
        world.nodes[2].dies_before = Some(at);
        for _ in 0..2 {
            let seq = world.submit(40, &call("", ""), 0);
            world.rounds(5).await;
            let status = world.with(|model| model.statuses.get(&seq).copied());
            assert_eq!(status, Some(TransactionStatus::Yes), "effect {at}");
        }
        world.assert_all_at_last_root();
        world.assert_one_vote_a_batch();
    }
}
