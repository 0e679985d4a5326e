//! Evidence: each kind counts once, and nothing an honest node signs is any.

use paralith_consensus_api::address;
use paralith_consensus_api::roothash::{
    EquivocatedProposals, EquivocatedVotes, Evidence, EvidenceKind, Failure, ProposalHeader, Vote,
};
use paralith_consensus_api::staking::Delegation;
use paralith_consensus_api::tx::Body;
use paralith_crypto::SigningKey;
use paralith_types::{Amount, Round, RuntimeId, Signature};

use super::fixture::{CHAIN, Net, RUNTIME, STAKE, USER, entity, ids, net_user, node_key, vote_for};

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

/// Node 6 is registered for the runtime, and never was in its committee: it signs what it likes.
#[test]
fn a_node_that_was_not_in_the_committee_loses_nothing() {
    let mut net = Net::new();
    let (one, two) = (net.header(0, 1), net.header(0, 2));
    let [a, b] = [&one, &two].map(|header| header.sign(&node_key(6), &CHAIN));
    let kind = EvidenceKind::Proposals(EquivocatedProposals { a, b });
    let block = net.block(&user(Evidence { runtime_id: RUNTIME, kind }.into()));
    assert_eq!(block.code(0), 6);
    let two_votes = votes(&net, (&one, net.vote(6, &one, 1)), (&one, net.vote(6, &one, 2)));
    assert_eq!(net.block(&user(two_votes)).code(0), 6);
    // A backup that is no worker has no rank to propose at.
    let [a, b] = [&one, &two].map(|header| header.sign(&node_key(3), &CHAIN));
    let kind = EvidenceKind::Proposals(EquivocatedProposals { a, b });
    assert_eq!(net.block(&user(Evidence { runtime_id: RUNTIME, kind }.into())).code(0), 6);
    assert_eq!((net.gain(6), net.gain(3), net.runtime_balance()), (0, 0, 0));
}

#[test]
fn a_round_without_a_committee_has_no_offenders_and_a_later_committee_does_not_answer_for_it() {
    let mut net = Net::new();
    net.begin_epoch(2, false);
    let mut ahead = [net.header(0, 1), net.header(0, 2)];
    ahead.iter_mut().for_each(|header| header.round = net.state().last_block.round.next());
    let pair = ahead.map(|header| header.sign(&node_key(0), &CHAIN));
    net.begin_epoch(3, true);
    let [a, b] = pair;
    let kind = EvidenceKind::Proposals(EquivocatedProposals { a, b });
    assert_eq!(net.block(&user(Evidence { runtime_id: RUNTIME, kind }.into())).code(0), 6);
}

#[test]
fn a_member_answers_with_the_entity_and_the_penalty_of_its_term() {
    let mut net = Net::new();
    let body = proposals(&net, &net.header(0, 1), &net.header(0, 2));
    let cheat = net.scheduler(0);
    // The node goes over to another entity, and the penalty rises: neither changes what is past.
    net.run(|ctx| {
        let key = paralith_consensus_api::registry::keys::node(&node_key(cheat).public());
        let mut node: paralith_consensus_api::registry::Node = ctx.require(&key).unwrap();
        node.entity_id = paralith_crypto::SigningKey::from_seed([6 + 101; 32]).public();
        ctx.set(key, &node);
        let key = paralith_consensus_api::registry::keys::runtime(&RUNTIME);
        let mut runtime: paralith_consensus_api::registry::Runtime = ctx.require(&key).unwrap();
        runtime.staking.slash_equivocation = Amount(u128::MAX);
        ctx.set(key, &runtime);
    });
    assert_eq!(net.block(&user(body)).code(0), 0);
    assert_eq!((net.gain(cheat), net.gain(6)), (-61, 0));
}

#[test]
fn the_reporter_gets_its_percent_and_the_rest_stays_in_the_common_pool() {
    let mut net = Net::rewarding(10, |_| {});
    let body = proposals(&net, &net.header(0, 1), &net.header(0, 2));
    let cheat = net.scheduler(0);
    assert_eq!(net.block(&user(body)).code(0), 0);
    // 61: a tenth is 6, of which the runtime gets half.
    assert_eq!((net.gain(cheat), net.runtime_balance()), (-61, 3));
    assert_eq!(net.account(&net_user()).active.balance.0, 3);
    assert_eq!(net.account(&address::common_pool()).balance.0, 55);
}

#[test]
fn no_reward_exceeds_what_the_offender_lost_itself() {
    let mut net = Net::new();
    let body = proposals(&net, &net.header(0, 1), &net.header(0, 2));
    let cheat = net.scheduler(0);
    // All but a hundredth of the stake is of others.
    net.run(|ctx| {
        let (own, other) = (entity(cheat), net_user());
        for (delegator, shares) in [(own, STAKE / 100), (other, STAKE - STAKE / 100)] {
            let shares = Delegation { shares: Amount(shares) };
            ctx.set(paralith_consensus_api::staking::keys::delegation(&own, &delegator), &shares);
        }
    });
    assert_eq!(net.block(&user(body)).code(0), 0);
    // 61 are taken, less than 1 of them from the entity's own.
    assert_eq!((net.gain(cheat), net.runtime_balance()), (-61, 0));
    assert_eq!(net.account(&net_user()).active.balance.0, 0);
    assert_eq!(net.account(&address::common_pool()).balance.0, 61);
}

#[test]
fn of_a_wrong_result_its_percent_is_paid_and_nothing_to_the_offenders_entity() {
    let mut net = Net::rewarding(10, |_| {});
    let header = net.header(0, 1);
    let scheduler = net.scheduler(0);
    let [right, liar] = net.others(0);
    // One entity is behind the right and the wrong result.
    net.run(|ctx| {
        let key = paralith_consensus_api::registry::keys::node(&node_key(right).public());
        let mut node: paralith_consensus_api::registry::Node = ctx.require(&key).unwrap();
        node.entity_id = SigningKey::from_seed([liar + 101; 32]).public();
        ctx.set(key, &node);
    });
    let mut votes: Vec<_> = [scheduler, right, 3, 4].map(|n| net.vote(n, &header, 1)).to_vec();
    votes.push(net.vote(liar, &header, 2));
    let block = net.commit(&header, votes);
    assert_eq!(block.finalised().unwrap().bad, ids(&[liar]));
    // 101: a tenth is 10, a quarter of it is the runtime's, 8 / 3 are 2 for each right entity.
    assert_eq!((net.gain(liar), net.gain(right), net.runtime_balance()), (-101, 0, 2));
    assert_eq!([scheduler, 3, 4].map(|node| net.gain(node)), [2; 3]);
    assert_eq!(net.account(&address::common_pool()).balance.0, 101 - 2 - 3 * 2);
}

#[test]
fn an_entity_is_not_paid_for_reporting_itself() {
    let mut net = Net::new();
    let (one, two) = (net.header(0, 1), net.header(0, 2));
    let cheat = net.scheduler(0);
    let body = proposals(&net, &one, &two);
    let itself = SigningKey::from_seed([cheat + 101; 32]);
    for key in [itself.clone(), node_key(cheat)] {
        assert_eq!(net.block(&[(key, body.clone())]).code(0), 10);
    }
    assert_eq!(net.gain(cheat), 0, "it is for others to report");
    // Votes show the equivocation, and whoever sends them is not to be refused.
    let two_votes = vec![net.vote(3, &one, 1), net.vote(4, &two, 1)];
    let body = net.body(&[one, two], two_votes, vec![]);
    assert_eq!(net.block(&[(itself, body)]).code(0), 0);
    assert_eq!((net.gain(cheat), net.runtime_balance()), (-61, 0));
    assert_eq!(net.account(&address::common_pool()).balance.0, 61);
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
