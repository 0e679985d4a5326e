//! What the machine's outputs lead to: signatures, writes, messages, transactions.
//!
//! What this node signs is synced before it leaves, and a signature that an earlier start left
//! behind leaves in its place.

use std::sync::Arc;
use std::time::Duration;

use paralith_consensus_api::roothash::{Failure, ProposalHeader, ResultsHeader, Vote, batch_hash};
use paralith_consensus_api::tx::Body;
use paralith_proto::pb::host::v1::Executed;
use paralith_proto::pb::worker::v1::{Proposal, RoundData, VoteMessage};
use paralith_proto::{Wire, required};
use paralith_types::{Hash, PublicKey, Signature};
use tokio::sync::mpsc;

use crate::chain::Chain;
use crate::enclave::{self, EnclaveCalls};
use crate::error::WorkerError;
use crate::follower::{changes_of, leaves_of};
use crate::ledger::Ledger;
use crate::links::{LinkError, Links};
use crate::member::Member;
use crate::mempool::Mempool;
use crate::round::{Ballot, CheckedProposal, Execution, Input};
use crate::wire::{hashes, invalid, open_proposal, open_vote, size_of};

/// Sends and calls under way. Their owner is the worker's loop.
pub(crate) type Tasks = paralith_rt::TaskSet;

/// What the effects of the machine's outputs need.
pub(crate) struct Effects {
    pub(crate) member: Arc<Member>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) mempool: Arc<Mempool>,
    pub(crate) chain: Arc<dyn Chain>,
    pub(crate) links: Arc<dyn Links>,
    pub(crate) enclave: EnclaveCalls,
    /// Back to the machine.
    pub(crate) inputs: mpsc::Sender<Input>,
}

/// Closes a batch and proposes it. Gives the input that the machine gets back.
pub(crate) fn propose(
    effects: &Effects,
    tasks: &mut Tasks,
    mut header: ProposalHeader,
) -> Result<Option<Input>, WorkerError> {
    let (round, rank) = (header.round.0, header.rank);
    if let Some(kept) = effects.ledger.store.own_proposal(round, rank)? {
        return send_proposal(effects, tasks, &kept).map(Some);
    }
    let Some(snapshot) = effects.member.current() else { return Ok(None) };
    let batch = effects.mempool.lock().batch(&snapshot.batching);
    let transactions: Vec<Vec<u8>> = batch.into_iter().map(|tx| tx.raw).collect();
    header.batch_hash = batch_hash(&hashes(&transactions));
    tracing::debug!(round, rank, transactions = transactions.len(), "proposes");
    let proposal = signed(&effects.member, &header, transactions);
    effects.ledger.store.keep_own_proposal(round, rank, &proposal)?;
    send_proposal(effects, tasks, &proposal).map(Some)
}

fn signed(member: &Member, header: &ProposalHeader, transactions: Vec<Vec<u8>>) -> Proposal {
    let signed = header.sign(&member.key, &member.chain_context);
    Proposal { proposal: Some(signed.to_pb()), transactions }
}

/// Sends a proposal that is synced to all members.
pub(crate) fn send_proposal(
    effects: &Effects,
    tasks: &mut Tasks,
    proposal: &Proposal,
) -> Result<Input, WorkerError> {
    let (checked, _) = open_proposal(proposal, &effects.member.chain_context)?;
    effects.ledger.store.keep_batch(checked.header.round.0, &checked.id(), proposal)?;
    for peer in effects.member.members() {
        send(&effects.links, tasks, peer, Message::Proposal(proposal.clone()));
    }
    Ok(Input::Proposal { proposal: Box::new(checked), batch: true })
}

/// Signs a vote, syncs it and sends it. Gives the input that the machine gets back.
pub(crate) fn vote(
    effects: &Effects,
    tasks: &mut Tasks,
    proposal: &CheckedProposal,
    ballot: Ballot,
) -> Result<Input, WorkerError> {
    let (round, rank) = (proposal.header.round.0, proposal.header.rank);
    // RD-7: what was signed before is sent again, nothing else is signed.
    let message = match effects.ledger.store.own_vote(round, rank)? {
        Some(kept) => kept,
        None => {
            let message = sign_vote(&effects.member, proposal, ballot);
            effects.ledger.store.keep_own_vote(round, rank, &message)?;
            tracing::debug!(round, rank, "votes");
            message
        }
    };
    send_vote(effects, tasks, &message);
    let checked = open_vote(&message, &effects.member.chain_context)?;
    Ok(Input::Vote(Box::new(checked)))
}

fn sign_vote(member: &Member, proposal: &CheckedProposal, ballot: Ballot) -> VoteMessage {
    let (results, failure, rak_signature, messages) = match ballot {
        Ballot::Results(execution) => {
            let Execution { results, rak_signature, messages } = *execution;
            (Some(results), None, rak_signature, messages)
        }
        Ballot::Failure(failure) => (None, Some(failure), None, Vec::new()),
    };
    let (node, proposal_id, signature) = (member.me, proposal.id(), Signature([0; 64]));
    let vote = Vote { node, proposal_id, results, failure, rak_signature, signature }
        .signed(&member.key, &member.chain_context);
    let (proposal, vote) = (Some(proposal.signed.to_pb()), Some(vote.to_pb()));
    VoteMessage { proposal, vote, messages: messages.to_pb() }
}

/// Sends a vote that is synced to all members.
pub(crate) fn send_vote(effects: &Effects, tasks: &mut Tasks, message: &VoteMessage) {
    for peer in effects.member.members() {
        send(&effects.links, tasks, peer, Message::Vote(Box::new(message.clone())));
    }
}

/// Has the enclave execute a proposal, keeps the outcome, and reports it to the machine.
pub(crate) fn execute(effects: &Arc<Effects>, tasks: &mut Tasks, proposal: &CheckedProposal) {
    let (effects, proposal) = (Arc::clone(effects), proposal.clone());
    tasks.spawn(async move {
        let id = proposal.id();
        let limit = execution_limit(&effects.member);
        let input = match paralith_rt::timeout(limit, executed(&effects, &proposal)).await {
            Ok(Ok(execution)) => Input::Executed { id, results: Box::new(execution) },
            Ok(Err(error)) => {
                tracing::warn!(%error, round = proposal.header.round.0, "cannot execute");
                Input::ExecutionFailed { id, failure: failure_of(&error) }
            }
            Err(_) => Input::ExecutionFailed { id, failure: Failure::Unavailable },
        };
        // Closed: the worker stops.
        let _ = effects.inputs.send(input).await;
    });
}

fn failure_of(error: &WorkerError) -> Failure {
    match error {
        WorkerError::Enclave(_) | WorkerError::NotFound => Failure::Unavailable,
        _ => Failure::Unknown,
    }
}

fn execution_limit(member: &Member) -> Duration {
    let timeout_ms = member.current().map_or(0, |s| u64::from(s.batching.propose_timeout_ms));
    Duration::from_millis(timeout_ms.saturating_mul(3).max(EXECUTION_MIN_MS))
}

async fn executed(
    effects: &Arc<Effects>,
    proposal: &CheckedProposal,
) -> Result<Execution, WorkerError> {
    let batch = effects.ledger.store.batch(&proposal.id())?.ok_or(WorkerError::NotFound)?;
    let snapshot = effects.member.current().ok_or(WorkerError::NotReady)?;
    if !size_of(&batch.transactions).fits(&snapshot.batching) {
        return Err(invalid("the batch is larger than the runtime allows"));
    }
    let round = proposal.header.round.0;
    tracing::debug!(round, transactions = batch.transactions.len(), "executes");
    let executed = effects.enclave.call(move |enclave| enclave::execute(enclave, batch)).await?;
    tracing::debug!(round, "has executed");
    keep(effects, proposal, executed)
}

/// Checks what the enclave gave, and syncs it before anything of it leaves.
fn keep(
    effects: &Effects,
    proposal: &CheckedProposal,
    executed: Executed,
) -> Result<Execution, WorkerError> {
    let malformed = |e: paralith_proto::DecodeError| invalid(&e.to_string());
    let results: ResultsHeader = required(executed.results, "results").map_err(malformed)?;
    let header = &proposal.header;
    if results.round != header.round || results.previous_hash != header.previous_hash {
        return Err(invalid("the enclave executed another round"));
    }
    let round = header.round.0;
    let base = effects.ledger.latest_version()?;
    let prepared = effects.ledger.tree.prepare(base, round, &changes_of(&executed.changes))?;
    if prepared.root() != results.state_root {
        return Err(invalid("the write log does not lead to the signed state root"));
    }
    effects.ledger.keep_prepared(prepared);
    let outcome = RoundData {
        header: None,
        changes: executed.changes,
        leaves: executed.leaves,
        outputs: Vec::new(),
        sealed: executed.outputs,
    };
    leaves_of(&outcome)?;
    for line in &executed.logs {
        tracing::info!(runtime = %effects.member.runtime_id, round, "the runtime says: {line}");
    }
    effects.ledger.store.keep_outcome(round, (&results.state_root, &results.io_root), &outcome)?;
    let rak_signature = match executed.rak_signature.as_slice() {
        [] => None,
        bytes => Some(Signature::try_from(bytes).map_err(|e| invalid(&e.to_string()))?),
    };
    let messages = Wire::from_pb(executed.messages).map_err(malformed)?;
    Ok(Execution { results, rak_signature, messages })
}

/// Asks members for a batch, its scheduler first, and reports to the machine.
pub(crate) fn fetch(
    effects: &Arc<Effects>,
    tasks: &mut Tasks,
    id: Hash,
    scheduler: Option<PublicKey>,
) {
    let effects = Arc::clone(effects);
    tasks.spawn(async move {
        let mut peers = effects.member.members();
        // RD-14: its scheduler first.
        peers.sort_by_key(|peer| Some(*peer) != scheduler);
        let mut input = Input::BatchMissing { id };
        for peer in peers {
            let ask = effects.links.fetch_proposal(peer, effects.member.runtime_id, id);
            let answer = paralith_rt::timeout(LINK_TIMEOUT, ask).await;
            if let Ok(Ok(proposal)) = answer
                && let Some(found) = accept_batch(&effects, &id, &proposal)
            {
                input = found;
                break;
            }
        }
        let _ = effects.inputs.send(input).await;
    });
}

fn accept_batch(effects: &Effects, id: &Hash, proposal: &Proposal) -> Option<Input> {
    let (checked, fits) = open_proposal(proposal, &effects.member.chain_context).ok()?;
    let snapshot = effects.member.current()?;
    if checked.id() != *id || !fits || !size_of(&proposal.transactions).fits(&snapshot.batching) {
        return None;
    }
    effects.ledger.store.keep_batch(checked.header.round.0, id, proposal).ok()?;
    Some(Input::Proposal { proposal: Box::new(checked), batch: true })
}

/// Submits a transaction to the chain. One that it does not take is sent again when the machine sees
/// that state lacks it.
pub(crate) fn submit(effects: &Effects, tasks: &mut Tasks, body: Body) {
    let chain = Arc::clone(&effects.chain);
    tasks.spawn(async move {
        let method = body.method();
        if let Err(error) = chain.submit(body).await {
            tracing::debug!(%error, method, "the chain does not take a transaction");
        }
    });
}

/// Gives the machine what an earlier start signed for this round, and sends it again.
pub(crate) fn resume(effects: &Effects, tasks: &mut Tasks) -> Result<Vec<Input>, WorkerError> {
    let Some(snapshot) = effects.member.current() else { return Ok(Vec::new()) };
    let round = snapshot.state.last_block.round.next().0;
    let ranks = snapshot.committee.as_ref().map_or(0, |committee| committee.workers.len() as u64);
    let mut inputs = Vec::new();
    for rank in 0..ranks {
        if let Some(proposal) = effects.ledger.store.own_proposal(round, rank)? {
            inputs.push(send_proposal(effects, tasks, &proposal)?);
        }
        if let Some(message) = effects.ledger.store.own_vote(round, rank)? {
            send_vote(effects, tasks, &message);
            let checked = open_vote(&message, &effects.member.chain_context)?;
            inputs.push(Input::Vote(Box::new(checked)));
        }
    }
    Ok(inputs)
}

enum Message {
    Proposal(Proposal),
    Vote(Box<VoteMessage>),
}

/// Sends, and tries again while the peer says that it may take the message later, or says nothing: it
/// may be just starting, or not have seen the block that ends the last round.
fn send(links: &Arc<dyn Links>, tasks: &mut Tasks, peer: PublicKey, message: Message) {
    // Peers that answer nobody must not fill the memory; what is lost is fetched or committed by
    // others.
    if tasks.len() >= TASKS_MAX {
        return;
    }
    let links = Arc::clone(links);
    tasks.spawn(async move {
        for attempt in 1..=SEND_ATTEMPTS {
            let sending = match &message {
                Message::Proposal(proposal) => links.propose(peer, proposal.clone()),
                Message::Vote(vote) => links.send_vote(peer, vote.as_ref().clone()),
            };
            match paralith_rt::timeout(LINK_TIMEOUT, sending).await {
                Ok(Ok(())) => return,
                Ok(Err(LinkError::Refused(error))) if !error.retry.is_retryable() => return,
                Ok(Err(_)) | Err(_) => {}
            }
            paralith_rt::sleep(SEND_PAUSE.saturating_mul(attempt)).await;
        }
    });
}

/// How long a peer may take to answer.
pub(crate) const LINK_TIMEOUT: Duration = Duration::from_secs(5);
/// Two seconds in all: some consensus blocks.
const SEND_ATTEMPTS: u32 = 8;
const SEND_PAUSE: Duration = Duration::from_millis(60);
/// A committee of a hundred, and a few rounds of messages to each.
pub(crate) const TASKS_MAX: usize = 2048;
/// An execution is given at least this long, whatever the runtime's timeouts are.
const EXECUTION_MIN_MS: u64 = 5_000;
