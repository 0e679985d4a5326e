//! Votes: what each must satisfy before the pool gets it.
//!
//! An invalid vote is skipped with a `VoteIgnored` event. The transaction fails only if no vote counts
//! and no equivocator was found.

use std::collections::{BTreeMap, BTreeSet};

use discrepancy::{Ignored, ProposalId, ResultHash};
use paralith_consensus_api::registry::Runtime;
use paralith_consensus_api::roothash::{
    Error as RoothashError, ExecutorCommit, PendingResult, ProposalHeader, ResultsHeader,
    SignedProposal, Vote, VoteError, VoteIgnored, Voted, empty_hash, messages_hash,
};
use paralith_consensus_api::{Error, beacon};
use paralith_proto::Canonical;
use paralith_types::{ChainContext, Hash, Height, PublicKey};

use super::round::{Running, signer};
use super::slash;
use crate::{Context, registry};

pub(super) fn commit(ctx: &mut Context<'_>, body: &ExecutorCommit) -> Result<(), Error> {
    // Each named proposal costs one verification, each vote one or two: the gas of votes covers
    // both only if there are no more proposals than votes.
    if body.votes.is_empty() || body.proposals.len() > body.votes.len() {
        let reason = "a commit needs votes, and no more proposals than votes".to_string();
        return Err(RoothashError::InvalidArgument { reason }.into());
    }
    let mut running = Running::load(ctx, &body.runtime_id, false)?;
    let proposals = Proposals::open(ctx, &running, body)?;
    let mut first_ignored = None;
    let mut counted = false;
    for vote in &body.votes {
        match cast(ctx, &mut running, &proposals, body, vote)? {
            Ok(()) => counted = true,
            Err(error) => {
                // RH-9: a bad vote among good ones must not undo them, or one member could stop a
                // commit.
                if error != VoteError::Ignored(Ignored::Duplicate) {
                    let (runtime_id, node, code) = (body.runtime_id, vote.node, error.code());
                    ctx.emit(VoteIgnored { runtime_id, node, code });
                }
                first_ignored.get_or_insert(error);
            }
        }
    }
    let found = punish_equivocators(ctx, &mut running)?;
    if let (false, false, Some(first)) = (counted, found, first_ignored) {
        return Err(RoothashError::NothingCounted { first }.into());
    }
    ctx.mark_due(body.runtime_id);
    running.save(ctx)
}

/// Gives the pool a vote that is sound, and keeps what it refers to.
fn cast(
    ctx: &mut Context<'_>,
    running: &mut Running,
    proposals: &Proposals,
    body: &ExecutorCommit,
    vote: &Vote,
) -> Result<Result<(), VoteError>, Error> {
    let proposal = match proposals.named_by(vote) {
        Ok(proposal) => proposal,
        Err(error) => return Ok(Err(error)),
    };
    let is_scheduler = running.scheduler(proposal.rank) == Some(vote.node);
    let rak = rak(ctx, &running.runtime, vote)?;
    let sound = check(running, proposal, body, vote)
        // RH-5: the node's signature; for results of enclaves the registered RAK's, too.
        .and_then(|()| vote.verify(ctx.chain_context()))
        .and_then(|()| match rak? {
            Some(rak) => vote.verify_rak(&rak, ctx.chain_context()),
            None => Ok(()),
        });
    if let Err(error) = sound {
        return Ok(Err(error));
    }
    // RH-8: the pool has the last word.
    let kept = running.pool.vote(ctx.height().0, as_pool_vote(vote, proposal));
    if let Err(ignored) = kept {
        return Ok(Err(VoteError::Ignored(ignored)));
    }
    if let Some(results) = &vote.results {
        keep_results(running, proposal, results, is_scheduler.then_some(body));
    }
    ctx.emit(Voted {
        runtime_id: body.runtime_id,
        round: proposal.round,
        rank: proposal.rank,
        node: vote.node,
        result: vote.results.as_ref().map(|r| r.hash().0.to_vec()).unwrap_or_default(),
    });
    Ok(Ok(()))
}

/// Everything about a vote but its signatures.
fn check(
    running: &Running,
    proposal: &ProposalHeader,
    body: &ExecutorCommit,
    vote: &Vote,
) -> Result<(), VoteError> {
    let config = running.pool.config();
    let member = signer(&vote.node);
    if !config.workers.contains(&member) && !config.backups.contains(&member) {
        return Err(VoteError::Ignored(Ignored::NotInCommittee));
    }
    // What is known already needs no signature checked again: it changes nothing.
    let pool_vote = as_pool_vote(vote, proposal);
    let known = running.pool.pools().get(&proposal.rank).is_some_and(|pool| {
        pool.proposal == pool_vote.proposal && pool.votes.get(&member) == Some(&pool_vote.result)
    });
    if known {
        return Err(VoteError::Ignored(Ignored::Duplicate));
    }
    let Some(results) = &vote.results else { return Ok(()) };
    // RH-6: the RAK signs these fields, so they may not be taken from the proposal.
    if results.round != running.number() {
        return Err(VoteError::WrongRound);
    }
    if results.previous_hash != running.previous_hash {
        return Err(VoteError::WrongPreviousHash);
    }
    let schedules = running.scheduler(proposal.rank) == Some(vote.node);
    // RH-7: a final result whose messages nobody has could not be executed.
    if schedules && !brings_messages(&running.runtime, results, body) {
        return Err(VoteError::BadMessages);
    }
    Ok(())
}

/// Whether the transaction has the messages of its scheduler's results.
fn brings_messages(runtime: &Runtime, results: &ResultsHeader, body: &ExecutorCommit) -> bool {
    if results.messages_hash == empty_hash() {
        return true;
    }
    let count = u32::try_from(body.messages.len()).unwrap_or(u32::MAX);
    count <= runtime.executor.max_messages && messages_hash(&body.messages) == results.messages_hash
}

/// The key that an enclave's results must be signed with; none if the runtime has no enclaves.
fn rak(
    ctx: &Context<'_>,
    runtime: &Runtime,
    vote: &Vote,
) -> Result<Result<Option<PublicKey>, VoteError>, Error> {
    if runtime.tee.is_none() || vote.results.is_none() {
        return Ok(Ok(None));
    }
    let node = registry::node(ctx, &vote.node)?;
    let tee = node.as_ref().and_then(|node| node.runtime(&runtime.id)?.tee.as_ref());
    match tee {
        None => Ok(Err(VoteError::BadRakSignature)),
        Some(tee) if registry::is_revoked(ctx, &runtime.id, &tee.rak)? => {
            Ok(Err(VoteError::EnclaveRevoked))
        }
        Some(tee) => Ok(Ok(Some(tee.rak))),
    }
}

/// Keeps a result that was voted for. Two ranks may lead to the same result of different proposals;
/// the newest scheduler's vote is the lead's, so what it brings replaces what others brought.
fn keep_results(
    running: &mut Running,
    proposal: &ProposalHeader,
    results: &ResultsHeader,
    schedulers: Option<&ExecutorCommit>,
) {
    let (results, proposal) = (results.clone(), proposal.clone());
    let messages = match schedulers {
        Some(body) if results.messages_hash != empty_hash() => body.messages.clone(),
        Some(_) => Vec::new(),
        None if running.pending.get(&results.hash()).is_some() => return,
        None => Vec::new(),
    };
    running.pending.insert(PendingResult { messages, results, proposal });
    running.pending_changed = true;
}

/// Slashes the equivocators that were not slashed for this round yet. Whether there was one.
fn punish_equivocators(ctx: &mut Context<'_>, running: &mut Running) -> Result<bool, Error> {
    let round = running.number();
    let Running { runtime, chain, pool, .. } = running;
    let mut found = false;
    for equivocator in pool.equivocators() {
        let node = PublicKey(equivocator.0);
        found |= slash::equivocation(ctx, runtime, chain, &node, round, true)?;
    }
    Ok(found)
}

fn as_pool_vote(vote: &Vote, proposal: &ProposalHeader) -> discrepancy::Vote {
    discrepancy::Vote {
        signer: signer(&vote.node),
        rank: proposal.rank,
        proposal: ProposalId(vote.proposal_id.0),
        result: vote.results.as_ref().map(|results| ResultHash(results.hash().0)),
    }
}

/// The proposals of a transaction that its votes name, each verified once.
struct Proposals {
    by_id: BTreeMap<Hash, Result<ProposalHeader, VoteError>>,
    /// What to say of a vote whose proposal is not among them.
    missing: VoteError,
}

impl Proposals {
    fn open(ctx: &Context<'_>, running: &Running, body: &ExecutorCommit) -> Result<Self, Error> {
        let epoch_start = ctx.require::<beacon::EpochState>(&beacon::keys::epoch())?.height;
        // A proposal below the last block's height would read older inputs than its predecessor.
        let earliest = epoch_start.max(running.chain.last_block.consensus_height);
        // The block's own state is proven only by the next header.
        let heights = earliest..ctx.height();
        let named: BTreeSet<Hash> = body.votes.iter().map(|vote| vote.proposal_id).collect();
        let mut by_id = BTreeMap::new();
        let mut missing = VoteError::UnknownProposal;
        for proposal in &body.proposals {
            let limit = proposal.header.len();
            let Ok(header) = ProposalHeader::decode(&proposal.header, limit) else {
                missing = VoteError::MalformedProposal;
                continue;
            };
            let id = header.id();
            if !named.contains(&id) || matches!(by_id.get(&id), Some(Ok(_))) {
                continue;
            }
            by_id.insert(id, admit(ctx.chain_context(), running, &heights, proposal, header));
        }
        Ok(Self { by_id, missing })
    }

    fn named_by(&self, vote: &Vote) -> Result<&ProposalHeader, VoteError> {
        let opened = self.by_id.get(&vote.proposal_id).ok_or_else(|| self.missing.clone())?;
        opened.as_ref().map_err(Clone::clone)
    }
}

/// Whether a proposal is one of the running round, by its rank's scheduler.
fn admit(
    chain: &ChainContext,
    running: &Running,
    heights: &std::ops::Range<Height>,
    proposal: &SignedProposal,
    header: ProposalHeader,
) -> Result<ProposalHeader, VoteError> {
    // RH-4: this runtime, this round, this previous hash, a height of this epoch, its rank's
    // scheduler.
    if header.runtime_id != running.runtime.id {
        return Err(VoteError::WrongRuntime);
    }
    if header.round != running.number() {
        return Err(VoteError::WrongRound);
    }
    if header.previous_hash != running.previous_hash {
        return Err(VoteError::WrongPreviousHash);
    }
    if !heights.contains(&header.consensus_height) {
        return Err(VoteError::WrongHeight);
    }
    match running.scheduler(header.rank) {
        None => return Err(VoteError::Ignored(Ignored::RankUnknown)),
        Some(scheduler) if scheduler != proposal.scheduler => {
            return Err(VoteError::NotTheScheduler);
        }
        Some(_) => {}
    }
    proposal.open(chain)?;
    Ok(header)
}
