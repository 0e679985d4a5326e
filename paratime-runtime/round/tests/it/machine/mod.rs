//! The round machine by itself: tables of inputs and what has to come out.

use paralith_consensus_api::beacon::EpochState;
use paralith_consensus_api::registry::{Batching, Executor};
use paralith_consensus_api::roothash::{
    EvidenceKind, ExecutorCommit, Failure, Header, HeaderType, Pool, PoolRank, PoolVote,
    ProposalHeader, ResultsHeader, RuntimeState, Vote, empty_hash,
};
use paralith_consensus_api::scheduler::Committee;
use paralith_runtime_round::{
    Ballot, ChainSnapshot, CheckedProposal, CheckedVote, Execution, Input, Machine, Output,
    PoolView,
};
use paralith_types::{Epoch, Hash, Height, PublicKey, Round, Signature};

use crate::keys::{CHAIN, RUNTIME, id, key};

mod commit;
mod early;
mod intake;
mod propose;

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
        proposal_id: Hash::ZERO,
    }
}

/// Round 3 of workers 0, 1, 2 (in this order of rank) and backups 3, 4, 5, at height 100.
fn snapshot() -> ChainSnapshot {
    let ids = |nodes: [usize; 3]| nodes.map(id).to_vec();
    ChainSnapshot {
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
            records: Vec::new(),
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
            liveness: Default::default(),
        },
        batching: Batching {
            max_batch_size: 5,
            max_batch_bytes: 1000,
            flush_timeout_ms: FLUSH as u32,
            propose_timeout_ms: PROPOSE as u32,
            max_batch_gas: 1000,
            empty_round_blocks: 0,
        },
        max_tx_gas: 1000,
        forced: false,
        ready: true,
    }
}

fn with(change: impl FnOnce(&mut ChainSnapshot)) -> ChainSnapshot {
    let mut snapshot = snapshot();
    change(&mut snapshot);
    snapshot
}

fn with_pool(height: u64, change: impl FnOnce(&mut Pool)) -> Input {
    let mut pool = Pool::default();
    change(&mut pool);
    // A lead has a clock.
    pool.timeout = pool.timeout.or(pool.lead.map(|_| height + 10));
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
        results_taken: 0,
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

/// The machine of a node that has seen the snapshot at time 0.
fn machine(node: usize) -> Machine {
    let mut machine = Machine::new(id(node), RUNTIME);
    machine.step(0, Input::Chain(Box::new(snapshot())));
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
