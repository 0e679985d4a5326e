//! Taking votes to the chain, confirming to users, accusing.

use super::*;

#[test]
fn the_scheduler_commits_with_all_votes_at_a_difference_or_after_the_collect_timeout() {
    let proposal = proposal(0);
    for (desc, votes, at, expected) in [
        ("one is missing", vec![(1, 7)], 1, None),
        ("all are there", vec![(1, 7), (2, 7)], 1, Some(vec![0, 1, 2])),
        ("two differ", vec![(1, 8)], 1, Some(vec![0, 1])),
        ("a failure too many", vec![(1, 0)], 1, Some(vec![0, 1])),
        ("nearly the collect timeout", vec![(1, 7)], COLLECT - 1, None),
        ("the collect timeout", vec![(1, 7)], COLLECT, Some(vec![0, 1])),
    ] {
        let mut machine = having_voted(0, &proposal, 7);
        let mut outputs = Vec::new();
        for (node, value) in votes {
            outputs.extend(machine.step(1, voted(node, &proposal, value)));
        }
        outputs.extend(machine.step(at, Input::Tick));
        let commit = commit_of(&outputs);
        assert_eq!(commit.map(signers), expected.map(|nodes| sorted(&nodes)), "{desc}");
        if let Some(commit) = commit {
            assert_eq!(commit.proposals, std::slice::from_ref(&proposal.signed), "{desc}");
        }
        assert_eq!(commit_of(&machine.step(at, Input::Tick)), None, "{desc}: once");
    }
}

#[test]
fn a_scheduler_that_needed_long_gives_the_others_as_long_again() {
    let proposal = proposal(0);
    let mut machine = machine(0);
    let executing = [machine.step(0, proposed(&proposal)), machine.step(0, Input::Tick)].concat();
    assert!(matches!(executing[..], [Output::Execute(_)]), "{executing:?}");
    let (id, results, needed) = (proposal.id(), Box::new(execution(7)), 3 * COLLECT);
    machine.step(needed, Input::Executed { id, results });
    machine.step(needed, voted(0, &proposal, 7));
    machine.step(needed, voted(1, &proposal, 7));
    assert_eq!(commit_of(&machine.step(2 * needed - 1, Input::Tick)), None);
    let outputs = machine.step(2 * needed, Input::Tick);
    assert_eq!(commit_of(&outputs).map(signers), Some(sorted(&[0, 1])));
}

#[test]
fn a_worker_whose_vote_was_left_out_commits_it_at_once() {
    let proposal = proposal(0);
    let mut machine = having_voted(2, &proposal, 7);
    assert_eq!(machine.step(1, Input::Tick), []);
    let outputs = machine.step(
        2,
        with_pool(101, |pool| {
            pool.lead = Some(0);
            pool.ranks = vec![rank_pool(&proposal, 101, &[(0, 7), (1, 7)])];
        }),
    );
    assert_eq!(commit_of(&outputs).map(signers), Some(vec![id(2)]));
}

#[test]
fn any_worker_commits_in_its_turn_if_nothing_reaches_the_chain() {
    let proposal = proposal(0);
    for (node, turn) in [(1, 3 * COLLECT), (2, 4 * COLLECT)] {
        let voted_for = || {
            let mut machine = having_voted(node, &proposal, 7);
            machine.step(0, voted(0, &proposal, 7));
            machine
        };
        let mut machine = voted_for();
        machine.step(1, with_pool(103, |_| {}));
        assert_eq!(commit_of(&machine.step(turn - 1, Input::Tick)), None, "{node}");
        let outputs = machine.step(turn, Input::Tick);
        assert_eq!(commit_of(&outputs).map(signers), Some(sorted(&[0, node])), "{node}");

        // What the scheduler submitted needs blocks, not time, to show.
        let mut machine = voted_for();
        machine.step(1, with_pool(102, |_| {}));
        assert_eq!(commit_of(&machine.step(10 * turn, Input::Tick)), None, "{node}");
        let outputs = machine.step(10 * turn, with_pool(103, |_| {}));
        assert_eq!(commit_of(&outputs).map(signers), Some(sorted(&[0, node])), "{node}");
    }
}

#[test]
fn votes_that_a_voided_rank_took_with_it_are_sent_again() {
    let second = proposal(1);
    let mut machine = having_voted(1, &second, 7);
    let at = PROPOSE + 1;
    for node in [0, 2] {
        machine.step(at, voted(node, &second, 7));
    }
    // Rank 0 takes the lead: the chain drops the votes of rank 1, and could use none.
    let first = proposal_of(3, 0, 9);
    let led = machine.step(
        at + 1,
        with_pool(101, |pool| {
            pool.lead = Some(0);
            pool.ranks = vec![rank_pool(&first, 101, &[(0, 7)])];
        }),
    );
    assert_eq!(commit_of(&led), None);
    let voided = machine.step(at + 2, with_pool(104, |pool| pool.void_ranks = vec![0]));
    assert_eq!(commit_of(&voided).map(signers), Some(sorted(&[0, 1, 2])));
    // And again, should they not arrive.
    assert_eq!(commit_of(&machine.step(at + 3, with_pool(106, |p| p.void_ranks = vec![0]))), None);
    let again = machine.step(at + 4, with_pool(107, |pool| pool.void_ranks = vec![0]));
    assert_eq!(commit_of(&again).map(signers), Some(sorted(&[0, 1, 2])));
}

#[test]
fn backups_work_when_the_chain_says_so_and_the_first_commits_for_all() {
    let proposal = proposal(0);
    let disputed = |height, votes: &[(usize, u8)]| {
        let rank = rank_pool(&proposal, 101, votes);
        with_pool(height, |pool| {
            pool.lead = Some(0);
            pool.disputed = true;
            pool.ranks = vec![rank];
        })
    };
    let mut machine = machine(3);
    machine.step(0, proposed(&proposal));
    assert_eq!(machine.step(9, Input::Tick), []);
    let outputs = machine.step(10, disputed(102, &[(0, 7), (1, 8)]));
    assert_eq!(outputs, [Output::Execute(Box::new(proposal.clone()))]);
    let results = Box::new(execution(7));
    let outputs = machine.step(11, Input::Executed { id: proposal.id(), results });
    assert!(matches!(outputs[..], [Output::Vote { .. }]));
    assert_eq!(machine.step(12, voted(3, &proposal, 7)), []);
    // A worker's vote is not heard any more.
    assert_eq!(commit_of(&machine.step(13, voted(2, &proposal, 7))), None);
    let outputs = machine.step(14, voted(4, &proposal, 7));
    assert_eq!(commit_of(&outputs).map(signers), Some(sorted(&[3, 4])));
}

#[test]
fn a_backup_without_the_disputed_batch_asks_for_it() {
    let proposal = proposal(0);
    let mut machine = machine(4);
    let outputs = machine.step(
        1,
        with_pool(102, |pool| {
            pool.lead = Some(0);
            pool.disputed = true;
            pool.ranks = vec![rank_pool(&proposal, 101, &[(0, 7), (1, 8)])];
        }),
    );
    assert_eq!(outputs, [Output::FetchBatch { id: proposal.id(), scheduler: None }]);
    let outputs = machine.step(2, proposed(&proposal));
    assert_eq!(outputs, [Output::Execute(Box::new(proposal))]);
}

#[test]
fn two_votes_of_one_node_are_evidence_once() {
    let proposal = proposal(0);
    let mut machine = having_voted(1, &proposal, 7);
    machine.step(1, voted(2, &proposal, 7));
    let outputs = machine.step(2, voted(2, &proposal, 0));
    let accused = |output: &Output| match output {
        Output::Accuse(evidence) => matches!(evidence.kind, EvidenceKind::Votes(_)),
        _ => false,
    };
    assert_eq!(outputs.iter().filter(|output| accused(output)).count(), 1, "{outputs:?}");
    assert!(!machine.step(3, voted(2, &proposal, 8)).iter().any(accused));
}

#[test]
fn users_are_told_once_when_all_workers_agree_and_only_then() {
    let proposal = proposal(0);
    let soft = |outputs: &[Output]| {
        outputs.iter().filter(|o| matches!(o, Output::SoftConfirmed { .. })).count()
    };
    for (desc, values, expected) in
        [("all agree", [7, 7], 1), ("one differs", [7, 8], 0), ("one failed", [7, 0], 0)]
    {
        let mut machine = having_voted(1, &proposal, 7);
        let mut outputs = machine.step(1, voted(0, &proposal, values[0]));
        outputs.extend(machine.step(1, voted(2, &proposal, values[1])));
        outputs.extend(machine.step(2, voted(2, &proposal, values[1])));
        assert_eq!(soft(&outputs), expected, "{desc}");
    }
}

#[test]
fn a_restarted_node_does_not_sign_in_place_of_what_it_signed() {
    let proposal = proposal(0);
    let mut scheduler = machine(0);
    scheduler.step(0, Input::Proposal { proposal: Box::new(proposal.clone()), batch: true });
    assert!(
        !scheduler.step(9_999, Input::Pool(FULL)).iter().any(|o| matches!(o, Output::Propose(_)))
    );

    let mut worker = machine(1);
    worker.step(0, voted(1, &proposal, 7));
    assert_eq!(worker.step(1, proposed(&proposal)), []);
}
