//! Rounds as members give them.

use paralith_consensus_api::roothash::HeaderType;
use paralith_runtime_gateway::GatewayError;
use paralith_types::{Hash, Round};

use crate::fakes::{RUNTIME, World, header, id, transaction};

#[tokio::test(start_paused = true)]
async fn data_that_is_not_the_final_headers_is_not_believed() {
    let world = World::new();
    let (mine, other) = (transaction(0).1, transaction(1).1);
    world.finalise(11, &[mine], &[], true);
    // Other leaves, and a right leaf with another's output.
    world.give(11, &[other], &[3], true);
    world.give(11, &[mine], &[1], true);
    world.script(|script| {
        let data = script.rounds.get_mut(&(id(1), 11)).unwrap();
        data.outputs[0].output = b"forged".to_vec();
    });
    assert_eq!(world.gateway.round(&RUNTIME, Round(11)).await.unwrap_err(), GatewayError::NotOpen);
    world.give(11, &[mine], &[2], true);
    let round = world.gateway.round(&RUNTIME, Round(11)).await.unwrap();
    assert!(round.receipt(&mine).is_some() && round.receipt(&other).is_none());
}

#[tokio::test(start_paused = true)]
async fn the_blocks_own_leaf_is_part_of_a_round_and_of_no_transaction() {
    let world = World::new();
    let mine = transaction(0).1;
    world.finalise(11, &[mine, Hash::ZERO], &[1], true);
    let round = world.gateway.round(&RUNTIME, Round(11)).await.unwrap();
    assert_eq!(round.public().outputs.len(), 2);
    assert!(round.receipt(&mine).is_some() && round.receipt(&Hash::ZERO).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_watcher_gets_every_round_also_one_that_nobody_opens() {
    let world = World::new();
    let watch = |after: u64| {
        let gateway = world.gateway.clone();
        paralith_rt::spawn(async move { gateway.next_watched(&RUNTIME, Round(after)).await })
    };
    world.last_round(header(11, HeaderType::RoundFailed, &[]));
    assert_eq!(watch(10).await.unwrap().unwrap().public().header.unwrap().round, 11);
    let closed = transaction(0).1;
    let waiting = watch(11);
    world.finalise(12, &[closed], &[1], false);
    world.chain.blocks(10).await;
    assert!(!waiting.is_finished(), "it may still be opened");
    world.chain.blocks(40).await;
    let round = waiting.await.unwrap().unwrap().public();
    assert_eq!((round.leaves.len(), round.outputs.len()), (1, 0));
}
