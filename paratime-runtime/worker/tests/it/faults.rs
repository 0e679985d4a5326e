//! Rounds with one member that misbehaves, each in its own way.

use discrepancy::FailReason;
use paralith_adversary::Misbehaviour;
use paralith_harness::rounds::Ended;

use crate::net::{Cluster, Setup, TestChain, id};

/// Nobody but this node ever lost stake.
fn only_culprit(chain: &TestChain, culprit: usize) {
    for ended in chain.ended() {
        let slashed = ended.said.bad.iter().chain(&ended.said.equivocators);
        for node in slashed {
            assert_eq!(*node, id(culprit), "{ended:?}");
        }
    }
    for node in (0..6).filter(|node| *node != culprit) {
        assert!(!chain.evidence_against(&id(node)), "evidence against {node}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_liar_is_outvoted_by_the_backups_and_pays_as_worker_and_as_scheduler() {
    let cluster = Cluster::start(&Setup::three().with(1, Misbehaviour::WrongRoot));
    cluster
        .rounds_until(0, |chain| {
            let ended = chain.ended();
            let lied = |e: &Ended| e.said.bad == [id(1)];
            ended.iter().any(|e| e.is_final() && lied(e))
                && ended.iter().any(|e| e.failed_for(FailReason::LyingScheduler) && lied(e))
        })
        .await;
    only_culprit(&cluster.chain, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_straggler_delays_rounds_but_stops_none() {
    let setup = Setup::three().stragglers(1).with(2, Misbehaviour::Silent);
    let cluster = Cluster::start(&setup);
    cluster.rounds_until(0, |chain| chain.ended().len() >= 4).await;
    let ended = cluster.chain.ended();
    assert!(ended.iter().all(|e| e.is_final() && !e.disputed));
    // Where the silent node is primary, the next in rank takes its turn.
    assert!(ended.iter().any(|e| e.rank >= Some(1)));
    only_culprit(&cluster.chain, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_that_is_not_allowed_is_resolved_by_the_backups() {
    let cluster = Cluster::start(&Setup::three().with(2, Misbehaviour::Silent));
    cluster.rounds_until(0, |chain| chain.ended().len() >= 2).await;
    let ended = cluster.chain.ended();
    assert!(ended.iter().any(|e| e.disputed && e.is_final()));
    only_culprit(&cluster.chain, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_vote_finds_the_round_in_dispute_and_harms_nobody() {
    let cluster = Cluster::start(&Setup::three().with(1, Misbehaviour::Late));
    cluster.rounds_until(0, |chain| chain.ended().len() >= 2).await;
    assert!(cluster.chain.ended().iter().any(|ended| ended.disputed));
    assert!(!cluster.chain.anybody_bad());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_always_fails_is_resolved_by_the_backups() {
    let cluster = Cluster::start(&Setup::three().with(0, Misbehaviour::Failure));
    cluster.rounds_until(1, |chain| chain.ended().len() >= 3).await;
    let ended = cluster.chain.ended();
    assert!(ended.iter().any(|e| e.disputed && e.is_final()));
    assert!(!cluster.chain.anybody_bad());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scheduler_that_withholds_its_batch_loses_the_round_and_nobody_stake() {
    let cluster = Cluster::start(&Setup::three().with(1, Misbehaviour::WithholdBatch));
    cluster
        .rounds_until(0, |chain| {
            let ended = chain.ended();
            ended.iter().any(|e| e.failed_for(FailReason::NoMajority) && e.missed == [id(1)])
        })
        .await;
    assert!(!cluster.chain.anybody_bad());
    let raw = cluster.transfer(1, 0);
    cluster.submit(0, &raw).await;
    cluster.receipt(0, &raw).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scheduler_with_two_batches_is_convicted_and_the_round_goes_on() {
    let cluster = Cluster::start(&Setup::three().with(1, Misbehaviour::TwoBatches));
    cluster.rounds_until(0, |chain| chain.evidence_against(&id(1))).await;
    let raw = cluster.transfer(1, 0);
    cluster.submit(0, &raw).await;
    cluster.receipt(0, &raw).await;
    only_culprit(&cluster.chain, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_sends_each_peer_another_vote_is_convicted() {
    let cluster = Cluster::start(&Setup::three().with(2, Misbehaviour::Equivocate));
    cluster.rounds_until(0, |chain| chain.evidence_against(&id(2))).await;
    let raw = cluster.transfer(1, 0);
    cluster.submit(0, &raw).await;
    cluster.receipt(0, &raw).await;
    only_culprit(&cluster.chain, 2);
}
