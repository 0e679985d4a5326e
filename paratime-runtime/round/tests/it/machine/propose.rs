//! Proposing, executing, voting.

use super::*;

#[test]
fn a_scheduler_proposes_when_its_turn_has_come_and_there_is_a_reason() {
    let idle = PoolView::default();
    let late = |height| with(|s| s.epoch.next_height = Height(height));
    for (desc, node, snapshot, pool, at, proposes) in [
        ("nothing to do", 0, snapshot(), idle, 9_999, false),
        ("the first transaction waits for company", 0, snapshot(), WAITING, FLUSH - 1, false),
        ("it has waited", 0, snapshot(), WAITING, FLUSH, true),
        ("a full batch waits for nothing", 0, snapshot(), FULL, 0, true),
        ("messages or a first round", 0, with(|s| s.forced = true), idle, 0, true),
        ("rank 1 is not primary", 1, snapshot(), FULL, PROPOSE - 1, false),
        ("rank 1 steps in", 1, snapshot(), FULL, PROPOSE, true),
        ("rank 2 is not rank 1", 2, snapshot(), FULL, 2 * PROPOSE - 1, false),
        ("rank 2 steps in", 2, snapshot(), FULL, 2 * PROPOSE, true),
        ("a backup never", 3, snapshot(), FULL, 9_999, false),
        ("a stranger never", 9, snapshot(), FULL, 9_999, false),
        ("without state or keys", 0, with(|s| s.ready = false), FULL, 0, false),
        ("the next block ends the epoch", 0, late(101), FULL, 0, false),
        ("one more block is left", 0, late(102), FULL, 0, true),
        (
            "no height of this epoch is proven",
            0,
            with(|s| s.epoch.height = Height(101)),
            FULL,
            0,
            false,
        ),
        ("the primary is barred", 1, with(|s| s.skipped = vec![id(0), id(2)]), FULL, 0, true),
        ("no committee", 0, with(|s| s.committee = None), FULL, 0, false),
    ] {
        let mut machine = Machine::new(id(node), RUNTIME);
        machine.step(0, Input::Pool(pool));
        let first = machine.step(0, Input::Chain(Box::new(snapshot)));
        let then = machine.step(at, Input::Tick);
        let made: Vec<_> = [first, then].concat();
        assert_eq!(matches!(made[..], [Output::Propose(_)]), proposes, "{desc}: {made:?}");
        if proposes {
            assert_eq!(machine.step(at + 1, Input::Tick), [], "{desc}: once");
        }
    }
}

#[test]
fn a_proposal_pins_the_newest_proven_height() {
    let mut machine = machine(0);
    let Some(Output::Propose(header)) = machine.step(FLUSH, Input::Pool(WAITING)).pop() else {
        panic!("no proposal")
    };
    assert_eq!((header.round, header.rank), (Round(3), 0));
    assert_eq!(header.previous_hash, last_block(2).hash());
    assert_eq!(header.consensus_height, Height(100));
}

#[test]
fn a_worse_scheduler_gives_a_better_proposal_time_but_not_for_ever() {
    let mut machine = machine(1);
    machine.step(0, Input::Pool(FULL));
    machine.step(300, proposed(&proposal(0)));
    assert!(!machine.step(PROPOSE, Input::Tick).iter().any(|o| matches!(o, Output::Propose(_))));
    // Its batch keeps this node busy, so others as well: they are given as long again.
    let proposes = |machine: &mut Machine, at| {
        machine.step(at, Input::Tick).iter().any(|output| matches!(output, Output::Propose(_)))
    };
    assert!(!proposes(&mut machine, 300 + 2 * PROPOSE));
    let (seen, executed) = (300, 300 + 3 * PROPOSE);
    let results = Box::new(execution(7));
    machine.step(executed, Input::Executed { id: proposal(0).id(), results });
    machine.step(executed, voted(1, &proposal(0), 7));
    let given_up = executed + (executed - seen) + 2 * PROPOSE;
    assert!(!proposes(&mut machine, given_up - 1));
    assert!(proposes(&mut machine, given_up));
}

#[test]
fn a_worse_proposal_is_not_worked_on_while_a_better_one_may_still_win() {
    for (desc, value, patience) in [("voted for", 7, 2 * PROPOSE), ("a failure", 0, 0)] {
        let mut machine = machine(2);
        let (better, worse) = (proposal(0), proposal(1));
        machine.step(0, proposed(&better));
        machine.step(0, voted(2, &better, value));
        let began = machine.step(PROPOSE, proposed(&worse));
        let executes = |outputs: &[Output]| outputs.iter().any(|o| matches!(o, Output::Execute(_)));
        assert_eq!(executes(&began), patience == 0, "{desc}");
        if patience > 0 {
            assert!(!executes(&machine.step(patience - 1, Input::Tick)), "{desc}");
            assert!(executes(&machine.step(patience, Input::Tick)), "{desc}");
        }
    }
}

#[test]
fn a_worker_executes_and_votes_once_for_a_rank() {
    let (one, two) = (proposal(0), proposal_of(3, 0, 2));
    let mut machine = having_voted(1, &one, 7);
    let outputs = machine.step(1, proposed(&two));
    let [Output::Accuse(evidence)] = &outputs[..] else { panic!("{outputs:?}") };
    assert!(matches!(evidence.kind, EvidenceKind::Proposals(_)));
    // Seen again, or a third one: the scheduler is convicted once.
    assert_eq!(machine.step(2, proposed(&two)), []);
    assert_eq!(machine.step(3, proposed(&proposal_of(3, 0, 3))), []);
}

#[test]
fn proposals_of_other_rounds_ranks_and_signers_change_nothing() {
    let mut forged = proposal(0);
    forged.signed.scheduler = id(1);
    for (desc, proposal) in [
        ("a round that is over", proposal_of(2, 0, 1)),
        ("not the rank's scheduler", forged),
        ("no such rank", proposal_of(3, 3, 1)),
    ] {
        let mut machine = machine(1);
        assert_eq!(machine.step(0, proposed(&proposal)), [], "{desc}");
        assert_eq!(machine.step(9_999, Input::Tick), [], "{desc}");
    }
}

#[test]
fn what_cannot_be_executed_is_a_failure_except_for_its_own_scheduler() {
    for (node, expected) in [(1, 1), (0, 0)] {
        let mut machine = machine(node);
        let proposal = proposal(0);
        machine.step(0, proposed(&proposal));
        let failed = Input::ExecutionFailed { id: proposal.id(), failure: Failure::Unavailable };
        let outputs = machine.step(1, failed);
        assert_eq!(outputs.len(), expected, "{outputs:?}");
        for output in outputs {
            let Output::Vote { ballot, .. } = output else { panic!("{output:?}") };
            assert_eq!(ballot, Ballot::Failure(Failure::Unavailable));
        }
    }
}

#[test]
fn a_batch_that_nobody_has_is_asked_for_again_and_then_a_failure() {
    let mut machine = machine(1);
    let (proposal, mut fetches, mut failed_at) = (proposal(0), 0, None);
    let mut outputs = machine.step(0, voted(0, &proposal, 7));
    for now in 1..=2 * PROPOSE {
        for output in std::mem::take(&mut outputs) {
            match output {
                Output::FetchBatch { id, scheduler } => {
                    assert_eq!((id, scheduler), (proposal.id(), Some(crate::keys::id(0))));
                    fetches += 1;
                    outputs.extend(machine.step(now, Input::BatchMissing { id }));
                }
                Output::Vote { ballot, .. } => {
                    assert_eq!(ballot, Ballot::Failure(Failure::Unavailable));
                    assert!(failed_at.replace(now).is_none());
                }
                Output::Commit(_) => {}
                other => panic!("{other:?}"),
            }
        }
        outputs.extend(machine.step(now, Input::Tick));
    }
    assert!(fetches > 1);
    assert_eq!(failed_at, Some(PROPOSE + 1));
}
