//! Rounds among honest workers.

use paralith_crypto::merkle::MerkleProof;
use paralith_proto::pb::paratime::v1::Confirmation as Level;
use paralith_proto::{Canonical, required};
use paralith_runtime_api::output::{IoLeaf, OpenedOutput};
use paralith_runtime_worker::Confirmation;
use paralith_types::Hash;

use crate::net::{Cluster, Sent, Setup, code_of, hash_of, id, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_is_final_everywhere_with_a_receipt_that_proves_itself() {
    let cluster = Cluster::start(&Setup::three());
    let raw = cluster.transfer(1, 0);
    cluster.submit(0, &raw).await;
    for node in 0..6 {
        let receipt = cluster.receipt(node, &raw).await;
        assert_eq!(receipt.confirmation, i32::from(Level::Final));
        let header = cluster.chain.header(receipt.round).unwrap();
        assert_eq!(required(receipt.header, "header"), Ok(header.clone()));
        let leaf: IoLeaf = required(receipt.leaf, "leaf").unwrap();
        let proof = MerkleProof {
            index: receipt.leaf_index,
            total: receipt.leaf_count,
            path: receipt.leaf_path.iter().map(|h| Hash::try_from(h.as_slice()).unwrap()).collect(),
        };
        assert!(proof.verify(&header.io_root, &leaf.encode()));
        let output: OpenedOutput = required(receipt.output, "output").unwrap();
        assert!(output.matches(&leaf));
    }
    assert!(!cluster.chain.anybody_bad());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_round_costs_the_chain_one_transaction() {
    let cluster = Cluster::start(&Setup::three());
    cluster.rounds_until(1, |chain| chain.ended().len() >= 4).await;
    for ended in cluster.chain.ended() {
        assert_eq!(ended.rank, Some(0), "{ended:?}");
        assert_eq!((ended.commits, ended.disputed), (1, false), "{ended:?}");
        assert_eq!(ended.said.good.len(), 3);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_chain_makes_no_rounds_after_the_first() {
    let mut cluster = Cluster::start(&Setup::three());
    let chain = cluster.chain.clone();
    until(|| chain.describe(), || (chain.ended().len() == 1).then_some(())).await;
    cluster.pause();
    let last = chain.last_round();
    for _ in 0..200 {
        cluster.chain.advance();
        tokio::task::yield_now().await;
    }
    let handle = cluster.handle(0).clone();
    let height = handle.status().height;
    cluster.chain.advance();
    until(|| "the newest block".into(), || (handle.status().height > height).then_some(())).await;
    assert_eq!((cluster.chain.last_round(), cluster.chain.ended().len()), (last, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_runtime_gets_the_round_that_it_asked_for_and_none_earlier() {
    for silent in [false, true] {
        let mut cluster = Cluster::stopped(&Setup::three().stragglers(1));
        let wake = cluster.chain.app.height().0 + 30;
        cluster.chain.wake_at(wake);
        for index in 0..6 {
            cluster.start_node(index, None);
        }
        cluster.run();
        let chain = cluster.chain.clone();
        // The runtime's first round comes at once.
        let first_round = until(
            || chain.describe(),
            || Some(chain.state().last_normal_round.0).filter(|r| *r > 0),
        )
        .await;
        assert!(chain.header(first_round).unwrap().consensus_height.0 < wake);
        if silent {
            // The scheduler of the next round is gone: the next rank proposes in its place.
            let first = chain.scheduler(0);
            let index = (0..6).find(|index| id(*index) == first).unwrap();
            cluster.kill(index).await;
        }
        // Rounds that fail change nothing, and the runtime still wants to be woken.
        let woken = || Some(chain.state().last_normal_round.0).filter(|r| *r > first_round);
        let round = until(|| chain.describe(), woken).await;
        let pinned = chain.header(round).unwrap().consensus_height.0;
        assert!(pinned >= wake, "woken at {pinned}, wanted {wake}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_hear_of_a_round_before_the_chain_does() {
    let mut cluster = Cluster::start(&Setup::three());
    cluster.rounds_until(0, |chain| !chain.ended().is_empty()).await;
    cluster.pause();
    let mut confirmations = cluster.handle(0).subscribe_confirmations();
    let raw = cluster.transfer(1, 0);
    cluster.submit(0, &raw).await;
    let soft = loop {
        if let Confirmation::Soft { votes, tx_hashes, round, .. } =
            confirmations.recv().await.unwrap()
        {
            break (votes.len(), tx_hashes, round);
        }
    };
    assert_eq!(soft, (3, vec![hash_of(&raw)], cluster.chain.last_round() + 1));
    assert_eq!(cluster.handle(0).receipt(&hash_of(&raw)).unwrap(), None);
    cluster.run();
    cluster.receipt(0, &raw).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_has_its_effect_at_most_once() {
    let cluster = Cluster::start(&Setup::three());
    let raw = cluster.transfer(1, 0);
    cluster.submit(0, &raw).await;
    let twice = cluster.handle(0).submit_transactions(None, vec![raw.clone()]).await;
    assert!(matches!(code_of(&twice[0]), Some(2 | 3)), "{twice:?}");
    let receipt = cluster.receipt(0, &raw).await;
    for node in 0..6 {
        cluster.receipt(node, &raw).await;
        let again = cluster.handle(node).submit_transactions(None, vec![raw.clone()]).await;
        assert_eq!(code_of(&again[0]), Some(3));
    }
    cluster.rounds_until(2, |chain| chain.ended().len() >= 5).await;
    assert_eq!(cluster.receipt(0, &raw).await, receipt);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_joiner_catches_up_and_has_every_receipt() {
    let mut cluster = Cluster::start(&Setup::three());
    cluster.kill(5).await;
    let first = cluster.transfer(1, 0);
    cluster.submit(0, &first).await;
    cluster.receipt(0, &first).await;
    cluster.rounds_until(0, |chain| chain.ended().len() >= 5).await;
    cluster.start_node(5, None);
    cluster.receipt(5, &first).await;
    let (handle, chain) = (cluster.handle(5).clone(), cluster.chain.clone());
    until(
        || format!("{:?}", handle.status()),
        || {
            let status = handle.status();
            (status.is_ready && status.released_round == chain.last_round()).then_some(())
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_work_of_a_round_that_an_epoch_cut_off_is_done_in_the_next() {
    // Each epoch elects another committee among the same nodes.
    let cluster = Cluster::start(&Setup { epoch_blocks: 9, ..Setup::three() });
    for nonce in 0..6 {
        let raw = cluster.transfer(1, nonce);
        cluster.submit(nonce as usize % 3, &raw).await;
        cluster.receipt(5, &raw).await;
    }
    assert!(!cluster.chain.anybody_bad());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_node_sends_the_very_bytes_that_it_signed_before() {
    // Long enough that no other rank has its turn meanwhile.
    let mut cluster = Cluster::start(&Setup { propose_timeout_ms: 4_000, ..Setup::three() });
    cluster.rounds_until(0, |chain| !chain.ended().is_empty()).await;
    cluster.pause();
    let raw = cluster.transfer(1, 0);
    cluster.submit(0, &raw).await;
    let (net, round) = (cluster.net.clone(), cluster.chain.last_round() + 1);
    let scheduler = (0..3).find(|node| cluster.chain.scheduler(0) == id(*node)).unwrap();
    for node in [scheduler, (scheduler + 1) % 3] {
        let votes = || net.sent_by(&id(node)).iter().filter(|sent| is_vote_of(sent, round)).count();
        until(|| format!("a vote of {node}"), || (votes() > 0).then_some(())).await;
        let kv = cluster.kill(node).await;
        let (before, count) = (net.sent_by(&id(node)), votes());
        // The new start's enclave would give another result: it must not be asked.
        cluster.start_with(node, None, kv, 1);
        until(|| format!("the vote of {node} again"), || (votes() > count).then_some(())).await;
        for sent in of_round(&net.sent_by(&id(node)), round) {
            assert!(before.contains(&sent), "{node} signed something else: {sent:?}");
        }
    }
    cluster.run();
    cluster.receipt(3, &raw).await;
    assert!(!cluster.chain.anybody_bad());
    assert!((0..6).all(|node| !cluster.chain.evidence_against(&id(node))));
}

fn round_of(sent: &Sent) -> u64 {
    use paralith_consensus_api::roothash::{ProposalHeader, SignedProposal};
    let proposal = match sent {
        Sent::Proposal(proposal) => proposal.proposal.clone(),
        Sent::Vote(vote) => vote.proposal.clone(),
    };
    let signed: SignedProposal = required(proposal, "proposal").unwrap();
    ProposalHeader::decode(&signed.header, signed.header.len()).unwrap().round.0
}

fn is_vote_of(sent: &Sent, round: u64) -> bool {
    matches!(sent, Sent::Vote(_)) && round_of(sent) == round
}

fn of_round(sent: &[Sent], round: u64) -> Vec<Sent> {
    sent.iter().filter(|sent| round_of(sent) == round).cloned().collect()
}
