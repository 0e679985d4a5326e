//! Evidence: each kind counts once, and nothing an honest node signs is any.

use paralith_consensus_api::roothash::{
    EquivocatedProposals, EquivocatedVotes, Evidence, EvidenceKind, Failure, ProposalHeader, Vote,
};
use paralith_consensus_api::tx::Body;
use paralith_types::{Amount, Round, RuntimeId, Signature};

use super::fixture::{CHAIN, Net, RUNTIME, USER, ids, node_key, vote_for};

fn proposals(net: &Net, a: &ProposalHeader, b: &ProposalHeader) -> Body {
    let kind = EvidenceKind::Proposals(EquivocatedProposals { a: net.signed(a), b: net.signed(b) });
    Evidence { runtime_id: RUNTIME, kind }.into()
}

fn votes(net: &Net, of_a: (&ProposalHeader, Vote), of_b: (&ProposalHeader, Vote)) -> Body {
    let kind = EvidenceKind::Votes(EquivocatedVotes {
        proposal_a: net.signed(of_a.0),
        vote_a: of_a.1,
        proposal_b: net.signed(of_b.0),
        vote_b: of_b.1,
    });
    Evidence { runtime_id: RUNTIME, kind }.into()
}

fn user(body: Body) -> Vec<(paralith_crypto::ed25519::SigningKey, Body)> {
    vec![(node_key(USER), body)]
}

#[test]
fn two_proposals_are_punished_once_and_their_scheduler_is_skipped_from_the_next_round_on() {
    let mut net = Net::new();
    let (a, b) = (net.header(0, 1), net.header(0, 2));
    let cheat = net.scheduler(0);
    let block = net.block(&user(proposals(&net, &a, &b)));
    assert_eq!(block.code(0), 0);
    assert_eq!((net.gain(cheat), net.runtime_balance()), (-61, 30));
    assert_eq!((net.state().slashed, net.state().skipped.len()), (ids(&[cheat]), 0));

    let again = [proposals(&net, &b, &a), proposals(&net, &a, &net.header(0, 3))];
    for body in again {
        assert_eq!(net.block(&user(body)).code(0), 9);
    }
    // The votes of the same round show what is punished already: it costs nothing again.
    let two = vec![net.vote(3, &a, 1), net.vote(4, &b, 1)];
    let body = net.body(&[a, b], two, vec![]);
    assert_eq!(net.block(&user(body)).code(0), 0);
    assert_eq!(net.gain(cheat), -61);

    let header = net.header(1, 1);
    let all = [0, 1, 2].map(|node| net.vote(node, &header, 1)).to_vec();
    net.commit(&header, all);
    assert_eq!(net.state().skipped, ids(&[cheat]));
}

#[test]
fn contradicting_votes_are_punished_but_two_reasons_of_a_failure_are_none() {
    let other_reason = |net: &Net, header: &ProposalHeader| {
        let mut vote = net.vote(1, header, 0);
        vote.failure = Some(Failure::Unknown);
        vote.signed(&node_key(1), &CHAIN)
    };
    let net = Net::new();
    let (one, two) = (net.header(0, 1), net.header(0, 2));
    let (x, y, fail) = (net.vote(1, &one, 1), net.vote(1, &one, 2), net.vote(1, &one, 0));
    let cases = [
        (0, votes(&net, (&one, x.clone()), (&one, y))),
        (0, votes(&net, (&one, x.clone()), (&one, fail.clone()))),
        (0, votes(&net, (&one, x.clone()), (&two, net.vote(1, &two, 1)))),
        (10, votes(&net, (&one, x.clone()), (&one, x.clone()))),
        (10, votes(&net, (&one, fail), (&one, other_reason(&net, &one)))),
        (10, votes(&net, (&one, x.clone()), (&one, net.vote(2, &one, 2)))),
        (10, votes(&net, (&one, x), (&two, net.vote(1, &one, 2)))),
    ];
    for (index, (code, body)) in cases.into_iter().enumerate() {
        let mut net = Net::new();
        assert_eq!(net.block(&user(body)).code(0), code, "case {index}");
        assert_eq!(net.gain(1), if code == 0 { -61 } else { 0 }, "case {index}");
    }
}

#[test]
fn what_proves_nothing_is_refused() {
    let net = Net::new();
    let one = net.header(0, 1);
    let change = |change: fn(&mut ProposalHeader)| {
        let mut header = net.header(0, 2);
        change(&mut header);
        header
    };
    let mut forged = net.signed(&change(|_| {}));
    forged.signature = Signature([1; 64]);
    let forged = EvidenceKind::Proposals(EquivocatedProposals { a: net.signed(&one), b: forged });
    let by = |node: u8, header: &ProposalHeader| header.sign(&node_key(node), &CHAIN);
    let stranger = EvidenceKind::Proposals(EquivocatedProposals {
        a: by(80, &one),
        b: by(80, &change(|_| {})),
    });
    let two_nodes =
        EvidenceKind::Proposals(EquivocatedProposals { a: by(0, &one), b: by(1, &change(|_| {})) });
    let of = |kind| Body::from(Evidence { runtime_id: RUNTIME, kind });
    let key = net.scheduler(0);
    let ahead = [1, 2].map(|batch| {
        let mut header = net.header(0, batch);
        header.round = Round(3);
        by(key, &header)
    });
    let [a, b] = ahead;
    let cases = [
        (10, proposals(&net, &one, &one)),
        (10, proposals(&net, &one, &change(|header| header.rank = 1))),
        (
            10,
            of(EvidenceKind::Proposals(EquivocatedProposals {
                a: by(key, &one),
                b: by(key, &change(|header| header.rank = 1)),
            })),
        ),
        (
            10,
            of(EvidenceKind::Proposals(EquivocatedProposals {
                a: by(key, &one),
                b: by(key, &change(|header| header.round = Round(1))),
            })),
        ),
        (
            10,
            of(EvidenceKind::Proposals(EquivocatedProposals {
                a: by(key, &one),
                b: by(key, &change(|header| header.runtime_id = RuntimeId([2; 32]))),
            })),
        ),
        (10, of(EvidenceKind::Proposals(EquivocatedProposals { a, b }))),
        (10, of(forged)),
        (10, of(two_nodes)),
        (6, of(stranger)),
    ];
    let mut net = Net::new();
    for (index, (code, body)) in cases.into_iter().enumerate() {
        let block = net.block(&user(body));
        assert_eq!(block.code(0), code, "case {index}: {:?}", block.results);
    }
    for node in 0..6 {
        assert_eq!(net.gain(node), 0);
    }
}

#[test]
fn old_evidence_is_taken_for_as_many_rounds_as_the_parameters_say() {
    let mut net = Net::new();
    let pairs: Vec<_> = (0..2)
        .map(|_| {
            let pair = [net.header(0, 1), net.header(0, 2)];
            let pair = pair.map(|header| net.signed(&header));
            net.unanimous_round();
            pair
        })
        .collect();
    net.unanimous_round();
    net.unanimous_round();
    net.unanimous_round();
    // Rounds 2 and 3; the last is 6, and evidence is taken for three rounds.
    let codes: Vec<u32> = pairs
        .into_iter()
        .map(|[a, b]| {
            let kind = EvidenceKind::Proposals(EquivocatedProposals { a, b });
            net.block(&user(Evidence { runtime_id: RUNTIME, kind }.into())).code(0)
        })
        .collect();
    assert_eq!(codes, [10, 0]);
    // Round 3 was of this epoch, so that its cheat is skipped from the next round on.
    assert_eq!(net.state().slashed.len(), 1);
}

#[test]
fn evidence_of_an_earlier_epoch_costs_stake_and_does_not_skip() {
    let mut net = Net::new();
    let (a, b) = (net.header(0, 1), net.header(0, 2));
    let (cheat, body) = (net.scheduler(0), proposals(&net, &a, &b));
    net.begin_epoch(2, true);
    assert_eq!(net.block(&user(body.clone())).code(0), 0);
    assert_eq!(net.gain(cheat), -61);
    assert!(net.state().slashed.is_empty());
    // The note of the punishment lives as long as evidence is taken.
    net.begin_epoch(3, true);
    assert_eq!(net.block(&user(body.clone())).code(0), 9);
    for epoch in 4..8 {
        net.begin_epoch(epoch, true);
    }
    assert_eq!(net.block(&user(body)).code(0), 10);
    let notes = paralith_consensus_api::roothash::keys::evidence_of(&RUNTIME);
    let (notes, _) = net.run(|ctx| ctx.scan(&notes).unwrap());
    assert!(notes.is_empty());
}

#[test]
fn evidence_of_a_finished_round_skips_only_in_its_own_epoch() {
    for epoch_ends in [false, true] {
        let mut net = Net::new();
        let body = proposals(&net, &net.header(0, 1), &net.header(0, 2));
        let cheat = net.scheduler(0);
        net.unanimous_round();
        if epoch_ends {
            net.begin_epoch(2, true);
        }
        assert_eq!(net.block(&user(body)).code(0), 0);
        assert_eq!(net.gain(cheat), -61);
        let expected = if epoch_ends { vec![] } else { ids(&[cheat]) };
        assert_eq!(net.state().slashed, expected);
    }
}

#[test]
fn a_runtime_that_does_not_slash_takes_no_evidence() {
    let mut net = Net::with(|runtime| runtime.staking.slash_equivocation = Amount(0));
    let body = proposals(&net, &net.header(0, 1), &net.header(0, 2));
    assert_eq!(net.block(&user(body)).code(0), 8);
    // The rank is void all the same when votes show it.
    let (one, two) = (net.header(0, 1), net.header(0, 2));
    let cheat = net.scheduler(0);
    let both = vec![net.vote(3, &one, 1), vote_for(4, &two, None)];
    let body = net.body(&[one, two], both, vec![]);
    assert_eq!(net.block(&user(body)).code(0), 0);
    assert_eq!((net.gain(cheat), net.state().slashed), (0, ids(&[cheat])));
}
