//! Members that send more than is of use.

use paralith_consensus_api::roothash::{ProposalHeader, SignedProposal, batch_hash};
use paralith_proto::Wire as _;
use paralith_proto::pb::worker::v1::{Proposal, VoteMessage};
use paralith_runtime_worker::WorkerError;
use paralith_storage::Column;
use paralith_types::{Hash, Height};

use crate::net::{Cluster, RUNTIME, Setup, hash_of, id, key};

/// A proposal of a node for the round that runs.
fn proposal(cluster: &Cluster, node: usize, rank: u64, raws: Vec<Vec<u8>>) -> Proposal {
    let last = cluster.chain.header(cluster.chain.last_round()).unwrap();
    let hashes: Vec<Hash> = raws.iter().map(|raw| hash_of(raw)).collect();
    let header = ProposalHeader {
        runtime_id: RUNTIME,
        round: last.round.next(),
        previous_hash: last.hash(),
        rank,
        consensus_height: Height(last.consensus_height.0),
        batch_hash: batch_hash(&hashes),
    };
    let signed: SignedProposal = header.sign(&key(node), &cluster.chain.context());
    Proposal { proposal: Some(signed.to_pb()), transactions: raws }
}

/// Proposals on a node's disk.
fn batches(cluster: &Cluster, node: usize) -> usize {
    let prefix = [b"worker/".as_slice(), RUNTIME.as_bytes(), b"/b"].concat();
    let after = [b"worker/".as_slice(), RUNTIME.as_bytes(), b"/c"].concat();
    cluster.nodes[&node].kv.range(Column::Blocks, &prefix, Some(&after), 10_000).unwrap().len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_proposals_of_a_member_put_two_batches_on_the_others_disks() {
    let mut cluster = Cluster::start(&Setup::three());
    cluster.rounds_until(0, |chain| !chain.ended().is_empty()).await;
    cluster.pause();
    let liar = (0..3).find(|node| cluster.chain.scheduler(1) == id(*node)).unwrap();
    let victim = (0..3).find(|node| cluster.chain.scheduler(0) == id(*node)).unwrap();
    let before = batches(&cluster, victim);
    let mut taken = 0;
    for number in 0..500_u64 {
        let raws = vec![cluster.transfer(3, number)];
        let sent = proposal(&cluster, liar, number % 4, raws);
        match cluster.handle(victim).on_proposal(sent).await {
            Ok(()) => taken += 1,
            Err(error) => assert!(matches!(error, WorkerError::Invalid { .. }), "{error}"),
        }
    }
    // Those of its own rank count as headers: they convict it.
    assert_eq!(taken, 125);
    assert_eq!(batches(&cluster, victim) - before, 2);
    cluster.run();
    let raw = cluster.transfer(1, 0);
    cluster.submit(victim, &raw).await;
    cluster.receipt(victim, &raw).await;
    let chain = cluster.chain.clone();
    crate::net::until(|| chain.describe(), || chain.evidence_against(&id(liar)).then_some(()))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_messages_are_refused_before_anything_is_kept() {
    let cluster = Cluster::start(&Setup::three());
    cluster.rounds_until(0, |chain| !chain.ended().is_empty()).await;
    let before = batches(&cluster, 0);
    for stranger in 20..60 {
        for ahead in 0..3 {
            let mut sent = proposal(&cluster, stranger, 0, vec![cluster.transfer(3, 0)]);
            let signed: SignedProposal =
                paralith_proto::required(sent.proposal.clone(), "proposal").unwrap();
            let mut header = signed.open(&cluster.chain.context()).unwrap();
            header.round.0 += ahead;
            sent.proposal = Some(header.sign(&key(stranger), &cluster.chain.context()).to_pb());
            let error = cluster.handle(0).on_proposal(sent.clone()).await.unwrap_err();
            // One for a later round may be of a committee that this node does not know yet.
            assert!(ahead > 0 || !error.retry().is_retryable(), "{error}");
            let vote = VoteMessage { proposal: sent.proposal, ..VoteMessage::default() };
            assert!(cluster.handle(0).on_vote(vote).await.is_err());
        }
    }
    assert_eq!(batches(&cluster, 0), before);
}
