//! What holds whatever dishonest nodes do: drawn at random, shrunk when it does not.

use paralith_consensus_api::roothash::{
    EquivocatedVotes, Evidence, EvidenceKind, ProposalHeader, Vote,
};
use proptest::prelude::*;

use super::fixture::{BACKUPS, CHAIN, Net, RUNTIME, USER, WORKERS, node_key};

/// What a dishonest node does in a block: what it votes for, of which proposal, at which rank.
type Deed = (u8, u64, u8, u8);

fn deeds() -> impl Strategy<Value = Vec<Vec<Deed>>> {
    let liar = prop_oneof![Just(2u8), Just(5u8)];
    let deed = (liar, 0u64..3, 1u8..3, 0u8..4);
    prop::collection::vec(prop::collection::vec(deed, 0..5), 1..6)
}

/// A proposal whose scheduler makes it only once, whenever in the round it is asked.
fn proposal(net: &Net, rank: u64, batch: u8) -> ProposalHeader {
    let consensus_height = net.state().last_block_height;
    ProposalHeader { consensus_height, ..net.header(rank, batch) }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Worker 2 and backup 5 lie, equivocate and stay silent as they please. The honest ones vote
    /// for the truth, once each, on the first proposal of rank 0 that its scheduler made.
    #[test]
    fn honest_nodes_lose_nothing(blocks in deeds(), late in 0usize..4) {
        let mut net = Net::new();
        let mut honest_voted = false;
        for (index, block) in blocks.iter().enumerate() {
            let round = net.state().last_block.round;
            let mut headers = Vec::new();
            let mut votes: Vec<Vote> = Vec::new();
            for (node, rank, batch, what) in block {
                // Only the liar signs proposals at will: others' ranks have one proposal.
                let batch = if net.scheduler(*rank) == 2 { *batch } else { 1 };
                let header = proposal(&net, *rank, batch);
                votes.push(net.vote(*node, &header, *what));
                headers.push(header);
            }
            if index >= late && !honest_voted {
                honest_voted = true;
                let rank = (0..3).find(|rank| net.scheduler(*rank) != 2).unwrap();
                let header = proposal(&net, rank, 1);
                let honest = WORKERS.into_iter().chain(BACKUPS).filter(|n| ![2, 5].contains(n));
                votes.extend(honest.map(|node| net.vote(node, &header, 1)));
                headers.push(header);
            }
            if votes.is_empty() {
                net.block(&[]);
            } else {
                headers.truncate(votes.len());
                let body = net.body(&headers, votes, vec![]);
                net.block(&[(node_key(USER), body)]);
            }
            if net.state().last_block.round != round {
                honest_voted = false;
            }
        }
        for _ in 0..14 {
            net.block(&[]);
        }
        for node in [0, 1, 3, 4] {
            prop_assert!(net.gain(node) >= 0, "node {} lost {}", node, -net.gain(node));
        }
    }

    /// No two votes that differ in what the host adds, and no vote of another node, are evidence.
    #[test]
    fn one_vote_is_never_evidence(node in 0u8..6, what in 0u8..4, other in 0u8..6) {
        let mut net = Net::new();
        let header = net.header(0, 1);
        let proposal = net.signed(&header);
        let vote = net.vote(node, &header, what);
        let mut replayed = vote.clone();
        replayed.node = node_key(other).public();
        for vote_b in [vote.clone(), replayed, vote.clone().signed(&node_key(other), &CHAIN)] {
            let kind = EvidenceKind::Votes(EquivocatedVotes {
                proposal_a: proposal.clone(),
                vote_a: vote.clone(),
                proposal_b: proposal.clone(),
                vote_b,
            });
            let body = Evidence { runtime_id: RUNTIME, kind };
            prop_assert_eq!(net.block(&[(node_key(USER), body.into())]).code(0), 10);
        }
    }
}
