//! What single votes are ignored for, and that none of them spoils the others.

use paralith_consensus_api::roothash::{ProposalHeader, Vote, VoteError};
use paralith_types::{Hash, Height, Round, RuntimeId, Signature};

use super::fixture::{CHAIN, Net, RUNTIME, USER, WORKERS, node_key, vote_for};

type Spoil = fn(&Net, &mut ProposalHeader, &mut u8, &mut Option<Vote>);

#[test]
fn each_bad_vote_is_ignored_with_its_own_code_and_the_rest_counts() {
    let cases: Vec<(u32, Spoil)> = vec![
        (1, |net, _, _, vote| {
            let mut other = net.vote(1, &net.header(0, 1), 1);
            other.proposal_id = Hash([9; 32]);
            *vote = Some(other.signed(&node_key(1), &CHAIN));
        }),
        (3, |_, _, signer, _| *signer = 200),
        (4, |net, header, signer, _| *signer = net.scheduler((header.rank + 1) % 3)),
        (5, |net, header, _, vote| {
            let mut bad = net.vote(1, header, 1);
            bad.signature = Signature([1; 64]);
            *vote = Some(bad);
        }),
        (7, |_, header, _, _| header.runtime_id = RuntimeId([2; 32])),
        (8, |_, header, _, _| header.round = Round(3)),
        (8, |net, header, _, vote| {
            let mut results = net.results(1);
            results.round = Round(9);
            *vote = Some(vote_for(1, header, Some(results)));
        }),
        (9, |_, header, _, _| header.previous_hash = Hash([3; 32])),
        (9, |net, header, _, vote| {
            let mut results = net.results(1);
            results.previous_hash = Hash([9; 32]);
            *vote = Some(vote_for(1, header, Some(results)));
        }),
        (10, |net, header, _, _| header.consensus_height = Height(net.height + 1)),
        (10, |_, header, _, _| header.consensus_height = Height(9)),
        (11, |net, header, _, vote| {
            let mut results = net.results(1);
            results.messages_hash = Hash([5; 32]);
            *vote = Some(vote_for(net.scheduler(0), header, Some(results)));
        }),
        (101, |net, header, _, vote| *vote = Some(net.vote(6, header, 1))),
        (102, |_, header, _, _| header.rank = 3),
        (103, |net, header, _, vote| *vote = Some(net.vote(net.scheduler(0), header, 0))),
    ];
    for (index, (code, spoil)) in cases.into_iter().enumerate() {
        let mut net = Net::new();
        // The good votes are for rank 1, so that a spoiled proposal of rank 0 leaves them alone.
        let good = net.header(1, 7);
        let mut header = net.header(0, 1);
        let (mut signer, mut vote) = (net.scheduler(0), None);
        spoil(&net, &mut header, &mut signer, &mut vote);
        let vote = vote.unwrap_or_else(|| vote_for(1, &header, Some(net.results(1))));
        // A signer beyond the nodes stands for a broken signature of the right scheduler.
        let mut proposal = header.sign(&node_key(signer % 200), &CHAIN);
        if signer == 200 {
            proposal.scheduler = node_key(net.scheduler(0)).public();
            proposal.signature = Signature([1; 64]);
        }
        let alone = paralith_consensus_api::roothash::ExecutorCommit {
            runtime_id: RUNTIME,
            proposals: vec![proposal.clone()],
            votes: vec![vote.clone()],
            messages: Vec::new(),
        };
        let mut together = alone.clone();
        together.proposals.push(net.signed(&good));
        together.votes.extend(WORKERS.map(|node| net.vote(node, &good, 1)));
        let user = node_key(USER);
        let block = net.block(&[(user.clone(), alone.into()), (user, together.into())]);
        assert_eq!((block.code(0), block.code(1)), (14, 0), "case {index}");
        assert_eq!(block.ignored(), [code], "case {index}");
        assert!(block.finalised().is_some(), "case {index}");
    }
}

#[test]
fn a_header_that_cannot_be_read_is_no_proposal() {
    let mut net = Net::new();
    let header = net.header(0, 1);
    let mut proposal = net.signed(&header);
    proposal.header.push(0);
    let votes = vec![net.vote(1, &header, 1)];
    let body = paralith_consensus_api::roothash::ExecutorCommit {
        runtime_id: RUNTIME,
        proposals: vec![proposal],
        votes,
        messages: Vec::new(),
    };
    let block = net.block(&[(node_key(USER), body.into())]);
    let error = block.results[0].as_ref().unwrap_err().to_string();
    assert!(error.contains("cannot be read"), "{error}");
}

#[test]
fn known_votes_are_skipped_in_silence() {
    let mut net = Net::new();
    let header = net.header(0, 1);
    let [b, c] = net.others(0);
    let votes = vec![net.vote(b, &header, 1)];
    net.commit(&header, votes);
    let all: Vec<_> =
        [b, net.scheduler(0), c].iter().map(|node| net.vote(*node, &header, 1)).collect();
    let block = net.commit(&header, all);
    assert_eq!((block.code(0), block.ignored()), (0, vec![]));
    assert!(block.finalised().is_some());

    let header = net.header(0, 1);
    let vote = net.vote(b, &header, 1);
    net.commit(&header, vec![vote.clone()]);
    let before = net.root;
    let block = net.commit(&header, vec![vote]);
    assert_eq!(block.code(0), 14, "nothing but known votes is not worth a transaction");
    assert_eq!(net.root, before);
}

#[test]
fn a_commit_needs_votes_and_no_more_proposals_than_votes() {
    let mut net = Net::new();
    let (one, two) = (net.header(0, 1), net.header(1, 1));
    let none = net.body(std::slice::from_ref(&one), vec![], vec![]);
    let votes = vec![net.vote(1, &one, 1)];
    let many = net.body(&[one, two], votes, vec![]);
    let block = net.block(&[(node_key(USER), none), (node_key(USER), many)]);
    assert_eq!((block.code(0), block.code(1)), (1, 1));
}

#[test]
fn gas_is_charged_for_every_vote() {
    let mut net = Net::new();
    let header = net.header(0, 1);
    let votes: Vec<_> = WORKERS.map(|node| net.vote(node, &header, 1)).to_vec();
    let signed = net.signed(&header);
    let body = paralith_consensus_api::roothash::ExecutorCommit {
        runtime_id: RUNTIME,
        proposals: vec![signed],
        votes,
        messages: Vec::new(),
    };
    let (gas, _) = net.run(|ctx| {
        let key = node_key(USER).public();
        let address = super::fixture::net_user();
        ctx.begin_tx(crate::Signer { key, address, tx_index: 0 }, 1000);
        crate::roothash::execute::executor_commit(ctx, &body).unwrap();
        crate::roothash::end_block(ctx).unwrap();
        ctx.end_tx().0
    });
    assert_eq!(gas, 130);
}

#[test]
fn the_results_of_a_confidential_runtime_bear_the_signature_of_the_registered_enclave() {
    let mut net = Net::with(|runtime| {
        runtime.tee = Some(paralith_consensus_api::registry::TeePolicy {
            measurements: vec![Hash([1; 32])],
            max_age_blocks: 100,
        });
    });
    let rak = |node: u8| node_key(node + 60);
    net.run(|ctx| {
        for node in 0..6 {
            let key = paralith_consensus_api::registry::keys::node(&node_key(node).public());
            let mut registered: paralith_consensus_api::registry::Node = ctx.require(&key).unwrap();
            registered.runtimes[0].tee = Some(paralith_consensus_api::registry::CapabilityTee {
                rak: rak(node).public(),
                rek: paralith_types::X25519PublicKey([node; 32]),
                evidence: vec![1],
            });
            ctx.set(key, &registered);
        }
    });
    let header = net.header(0, 1);
    let with_rak = |node: u8, signer: u8| {
        let mut vote = net.vote(node, &header, 1);
        let results = net.results(1);
        vote.rak_signature = Some(results.sign(&header.id(), &rak(signer), &CHAIN));
        vote.signed(&node_key(node), &CHAIN)
    };
    let [other, _] = net.others(0);
    let late = with_rak(other, other);
    let votes = vec![
        net.vote(0, &header, 1),
        with_rak(1, 2),
        with_rak(net.scheduler(0), net.scheduler(0)),
        net.vote(3, &header, 0),
    ];
    let block = net.commit(&header, votes);
    assert_eq!((block.code(0), block.ignored()), (0, vec![6, 6]));
    let pool = net.state().pool.unwrap();
    assert_eq!(pool.ranks[0].votes.len(), 2, "the scheduler's, and a failure, which needs none");

    // One that is revoked meanwhile signs nothing any more.
    net.run(|ctx| {
        let key = paralith_consensus_api::registry::keys::revoked(&RUNTIME, &rak(other).public());
        let height = ctx.height();
        ctx.set(key, &paralith_consensus_api::registry::Revoked { height });
    });
    let block = net.commit(&header, vec![late]);
    let first = VoteError::EnclaveRevoked;
    let error = paralith_consensus_api::roothash::Error::NothingCounted { first };
    assert_eq!(block.results[0], Err(error.into()));
}

#[test]
fn equal_results_of_two_proposals_make_the_block_of_the_final_one() {
    let mut net = Net::new();
    let (worse, better) = (net.header(1, 8), net.header(0, 9));
    let vote = net.vote(net.scheduler(1), &worse, 1);
    net.commit(&worse, vec![vote]);
    let votes = WORKERS.map(|node| net.vote(node, &better, 1)).to_vec();
    let block = net.commit(&better, votes);
    assert!(block.finalised().is_some());
    let last = net.state().last_block;
    assert_eq!(last.batch_hash, better.batch_hash);
    assert_eq!(last.consensus_height, better.consensus_height);
}
