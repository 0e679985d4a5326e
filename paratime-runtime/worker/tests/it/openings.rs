//! Opening outputs: one bad round keeps no later one closed.

use crate::net::{Cluster, Setup, id, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_round_that_nobody_can_open_does_not_keep_later_ones_closed() {
    let cluster = Cluster::start(&Setup::three());
    cluster.rounds_until(0, |chain| !chain.ended().is_empty()).await;
    // Its enclaves give one output too few, as if the block's own leaf had none.
    let bad = cluster.transfer(1, 0);
    cluster.chain.break_openings(true);
    cluster.submit(0, &bad).await;
    let (handle, chain) = (cluster.handle(0).clone(), cluster.chain.clone());
    let hash = crate::net::hash_of(&bad);
    let round = until(|| chain.describe(), || handle.round_of(&hash).unwrap()).await;
    cluster.chain.break_round(round);
    cluster.chain.break_openings(false);
    for nonce in 1..4 {
        let raw = cluster.transfer(1, nonce);
        cluster.submit(0, &raw).await;
        for node in 0..6 {
            cluster.receipt(node, &raw).await;
        }
    }
    assert_eq!(handle.receipt(&hash).unwrap(), None);
    assert_eq!(handle.round(round).unwrap(), None);
    // It is tried again: once it can be opened, there is a receipt.
    cluster.chain.mend_rounds();
    for node in 0..6 {
        cluster.receipt(node, &bad).await;
    }
    assert!((0..6).all(|node| !cluster.chain.evidence_against(&id(node))));
}
