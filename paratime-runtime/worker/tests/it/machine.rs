//! The round machine by itself: tables of inputs and what has to come out.

use consensus_api::beacon::EpochState;
use consensus_api::registry::{Batching, Executor};
use consensus_api::roothash::{
    EvidenceKind, ExecutorCommit, Failure, Header, HeaderType, Pool, PoolRank, PoolVote,
    ProposalHeader, ResultsHeader, RuntimeState, Vote, empty_hash,
};
use consensus_api::scheduler::Committee;
use paralith_types::{Epoch, Hash, Height, PublicKey, Round, Signature};
use paralith_worker::round::{
    Ballot, CheckedProposal, CheckedVote, Execution, Input, Machine, Output, PoolView, Situation,
};

use crate::net::{CHAIN, RUNTIME, id, key};

const FLUSH: u64 = 20;
const PROPOSE: u64 = 400;
const COLLECT: u64 = PROPOSE / 2;
const WAITING: PoolView = PoolView { waiting: 1, full: false, oldest_ms: Some(0) };
const FULL: PoolView = PoolView { waiting: 5, full: true, oldest_ms: Some(0) };

fn last_block(round: u64) -> Header {
    Header {
        version: 1,
        runtime_id: RUNTIME,
        round: Round(round),
        timestamp: 0,
        header_type: HeaderType::Normal,
        previous_hash: Hash::ZERO,
        io_root: empty_hash(),
        state_root: Hash::ZERO,
        messages_hash: empty_hash(),
        in_messages_hash: empty_hash(),
        consensus_height: Height(50),
        batch_hash: Hash::ZERO,
    }
}

/// Round 3 of workers 0, 1, 2 (in this order of rank) and backups 3, 4, 5, at height 100.
fn situation() -> Situation {
    let ids = |nodes: [usize; 3]| nodes.map(id).to_vec();
    Situation {
        height: 100,
        epoch: EpochState {
            epoch: Epoch(1),
            height: Height(10),
            next_height: Height(1_000),
            entropy: Hash::ZERO,
        },
        state: RuntimeState {
            runtime_id: RUNTIME,
            suspended: false,
            last_block_height: Height(99),
            last_normal_round: Round(2),
            last_normal_height: Height(99),
            pool: Some(Pool::default()),
            skipped: Vec::new(),
            failed: Vec::new(),
            io_root: empty_hash(),
            wakeup: None,
            slashed: Vec::new(),
            last_block: last_block(2),
        },
        skipped: Vec::new(),
        committee: Some(Committee {
            runtime_id: RUNTIME,
            epoch: Epoch(1),
            workers: ids([0, 1, 2]),
            backups: ids([3, 4, 5]),
        }),
        executor: Executor {
            workers: 3,
            backups: 3,
            allowed_stragglers: 0,
            round_timeout_blocks: 10,
            max_messages: 0,
            max_in_messages: 0,
            max_failed_rounds: 1,
        },
        batching: Batching {
            max_batch_size: 5,
            max_batch_bytes: 1000,
            flush_timeout_ms: FLUSH as u32,
            propose_timeout_ms: PROPOSE as u32,
            max_batch_gas: 1000,
        },
        forced: false,
        ready: true,
    }
}

fn with(change: impl FnOnce(&mut Situation)) -> Situation {
    let mut situation = situation();
    change(&mut situation);
    situation
}

fn with_pool(height: u64, change: impl FnOnce(&mut Pool)) -> Input {
    let mut pool = Pool::default();
    change(&mut pool);
    Input::Chain(Box::new(with(|s| {
        s.height = height;
        s.state.pool = Some(pool);
    })))
}

fn proposal_of(round: u64, rank: u64, batch: u8) -> CheckedProposal {
    let header = ProposalHeader {
        runtime_id: RUNTIME,
        round: Round(round),
        previous_hash: last_block(round - 1).hash(),
        rank,
        consensus_height: Height(100),
        batch_hash: Hash([batch; 32]),
    };
    let signed = header.sign(&key(rank as usize), &CHAIN);
    CheckedProposal { signed, header }
}

fn proposal(rank: u64) -> CheckedProposal {
    proposal_of(3, rank, 1)
}

fn proposed(proposal: &CheckedProposal) -> Input {
    Input::Proposal { proposal: Box::new(proposal.clone()), batch: true }
}

fn results(value: u8) -> ResultsHeader {
    ResultsHeader {
        round: Round(3),
        previous_hash: last_block(2).hash(),
        io_root: empty_hash(),
        state_root: Hash([value; 32]),
        messages_hash: empty_hash(),
        in_messages_hash: empty_hash(),
        in_messages_count: 0,
    }
}

fn execution(value: u8) -> Execution {
    Execution { results: results(value), rak_signature: None, messages: Vec::new() }
}

/// A vote of a node for a proposal; value 0 is a failure.
fn vote(node: usize, proposal: &CheckedProposal, value: u8) -> CheckedVote {
    let vote = Vote {
        node: id(node),
        proposal_id: proposal.id(),
        results: (value > 0).then(|| results(value)),
        failure: (value == 0).then_some(Failure::Unavailable),
        rak_signature: None,
        signature: Signature([0; 64]),
    };
    CheckedVote { proposal: proposal.clone(), vote, messages: Some(Vec::new()) }
}

fn voted(node: usize, proposal: &CheckedProposal, value: u8) -> Input {
    Input::Vote(Box::new(vote(node, proposal, value)))
}

fn rank_pool(proposal: &CheckedProposal, at: u64, votes: &[(usize, u8)]) -> PoolRank {
    let vote = |(node, value): &(usize, u8)| PoolVote {
        signer: id(*node),
        result: results(*value).hash().as_bytes().to_vec(),
    };
    let scheduler = proposal.header.rank as usize;
    let opened = votes.iter().any(|(node, _)| *node == scheduler);
    PoolRank {
        rank: proposal.header.rank,
        proposal_id: proposal.id(),
        votes: votes.iter().map(vote).collect(),
        scheduler_voted_at: opened.then_some(at),
    }
}

/// The machine of a node that has seen the situation at time 0.
fn machine(node: usize) -> Machine {
    let mut machine = Machine::new(id(node), RUNTIME);
    machine.step(0, Input::Chain(Box::new(situation())));
    machine
}

/// A worker that has executed a proposal and cast its vote.
fn having_voted(node: usize, proposal: &CheckedProposal, value: u8) -> Machine {
    let mut machine = machine(node);
    let at = proposal.header.rank * PROPOSE;
    let outputs = [machine.step(0, proposed(proposal)), machine.step(at, Input::Tick)].concat();
    assert!(matches!(outputs[..], [Output::Execute(_)]), "{outputs:?}");
    let results = Box::new(execution(value));
    let outputs = machine.step(at, Input::Executed { id: proposal.id(), results });
    assert!(matches!(outputs[..], [Output::Vote { .. }]), "{outputs:?}");
    assert_eq!(machine.step(at, voted(node, proposal, value)), []);
    machine
}

fn commit_of(outputs: &[Output]) -> Option<&ExecutorCommit> {
    outputs.iter().find_map(|output| match output {
        Output::Commit(commit) => Some(commit.as_ref()),
        _ => None,
    })
}

fn signers(commit: &ExecutorCommit) -> Vec<PublicKey> {
    commit.votes.iter().map(|vote| vote.node).collect()
}

fn sorted(nodes: &[usize]) -> Vec<PublicKey> {
    let mut ids: Vec<_> = nodes.iter().map(|node| id(*node)).collect();
    ids.sort();
    ids
}

#[test]
fn a_scheduler_proposes_when_its_turn_has_come_and_there_is_a_reason() {
    let idle = PoolView::default();
    let late = |height| with(|s| s.epoch.next_height = Height(height));
    for (desc, node, situation, pool, at, proposes) in [
        ("nothing to do", 0, situation(), idle, 9_999, false),
        ("the first transaction waits for company", 0, situation(), WAITING, FLUSH - 1, false),
        ("it has waited", 0, situation(), WAITING, FLUSH, true),
        ("a full batch waits for nothing", 0, situation(), FULL, 0, true),
        ("messages or a first round", 0, with(|s| s.forced = true), idle, 0, true),
        ("rank 1 is not primary", 1, situation(), FULL, PROPOSE - 1, false),
        ("rank 1 steps in", 1, situation(), FULL, PROPOSE, true),
        ("rank 2 is not rank 1", 2, situation(), FULL, 2 * PROPOSE - 1, false),
        ("rank 2 steps in", 2, situation(), FULL, 2 * PROPOSE, true),
        ("a backup never", 3, situation(), FULL, 9_999, false),
        ("a stranger never", 9, situation(), FULL, 9_999, false),
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
        let first = machine.step(0, Input::Chain(Box::new(situation)));
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
    let late = machine.step(300 + 2 * PROPOSE, Input::Tick);
    assert!(late.iter().any(|output| matches!(output, Output::Propose(_))), "{late:?}");
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
fn what_comes_a_round_early_is_taken_when_its_round_begins() {
    let mut machine = machine(1);
    // Rank 0 of round 4 is worker 2.
    let mut next = proposal_of(4, 0, 1);
    next.header.previous_hash = last_block(3).hash();
    next.signed = next.header.sign(&key(2), &CHAIN);
    assert_eq!(machine.step(0, proposed(&next)), []);
    let begun = with(|s| s.state.last_block = last_block(3));
    let outputs = machine.step(1, Input::Chain(Box::new(begun)));
    assert_eq!(outputs, [Output::Execute(Box::new(next))]);
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
                    assert_eq!((id, scheduler), (proposal.id(), Some(crate::net::id(0))));
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
        let mut machine = having_voted(node, &proposal, 7);
        machine.step(0, voted(0, &proposal, 7));
        assert_eq!(commit_of(&machine.step(turn - 1, Input::Tick)), None, "{node}");
        let outputs = machine.step(turn, Input::Tick);
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
