//! Rounds with one member that misbehaves, each in its own way.

use discrepancy::{FailReason, Signer, Verdict};
use paralith_adversary::Misbehaviour;

use crate::net::{Cluster, FakeChain, Setup, id, transfer};

fn signer(node: usize) -> Signer {
    Signer(id(node).0)
}

/// Nobody but this node ever lost stake.
fn only_culprit(chain: &FakeChain, culprit: usize) {
    for ended in chain.ended() {
        let slashed = ended.outcome.bad.iter().chain(&ended.outcome.equivocators);
        for node in slashed {
            assert_eq!(*node, signer(culprit), "{ended:?}");
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
            let worker = ended.iter().any(|e| {
                matches!(e.verdict, Verdict::Finalise { .. }) && e.outcome.bad == [signer(1)]
            });
            let scheduler = ended.iter().any(|e| {
                e.verdict == Verdict::Fail(FailReason::LyingScheduler)
                    && e.outcome.bad == [signer(1)]
            });
            worker && scheduler
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
    assert!(ended.iter().all(|e| matches!(e.verdict, Verdict::Finalise { .. }) && !e.disputed));
    // Where the silent node is primary, the next in rank takes its turn.
    assert!(ended.iter().any(|e| matches!(e.verdict, Verdict::Finalise { rank: 1.., .. })));
    only_culprit(&cluster.chain, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_that_is_not_allowed_is_resolved_by_the_backups() {
    let cluster = Cluster::start(&Setup::three().with(2, Misbehaviour::Silent));
    cluster.rounds_until(0, |chain| chain.ended().len() >= 2).await;
    let ended = cluster.chain.ended();
    assert!(ended.iter().any(|e| e.disputed && matches!(e.verdict, Verdict::Finalise { .. })));
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
    assert!(ended.iter().any(|e| e.disputed && matches!(e.verdict, Verdict::Finalise { .. })));
    assert!(!cluster.chain.anybody_bad());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scheduler_that_withholds_its_batch_loses_the_round_and_nobody_stake() {
    let cluster = Cluster::start(&Setup::three().with(1, Misbehaviour::WithholdBatch));
    cluster
        .rounds_until(0, |chain| {
            let ended = chain.ended();
            ended.iter().any(|e| {
                e.verdict == Verdict::Fail(FailReason::NoMajority)
                    && e.outcome.missed == [signer(1)]
            })
        })
        .await;
    assert!(!cluster.chain.anybody_bad());
    let raw = transfer(1, 0);
    cluster.submit(0, &raw).await;
    cluster.receipt(0, &raw).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scheduler_with_two_batches_is_convicted_and_the_round_goes_on() {
    let cluster = Cluster::start(&Setup::three().with(1, Misbehaviour::TwoBatches));
    cluster.rounds_until(0, |chain| chain.evidence_against(&id(1))).await;
    let raw = transfer(1, 0);
    cluster.submit(0, &raw).await;
    cluster.receipt(0, &raw).await;
    only_culprit(&cluster.chain, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_tells_each_peer_another_vote_is_convicted() {
    let cluster = Cluster::start(&Setup::three().with(2, Misbehaviour::Equivocate));
    cluster.rounds_until(0, |chain| chain.evidence_against(&id(2))).await;
    let raw = transfer(1, 0);
    cluster.submit(0, &raw).await;
    cluster.receipt(0, &raw).await;
    only_culprit(&cluster.chain, 2);
}
