//! Evidence: two signed objects of one node that an honest node never signs both.
//!
//! It counts only against a member of the committee that the round had, and costs the penalty that the
//! member accepted. Otherwise the owner of a runtime could take stake of everybody who delegated to
//! one of its nodes.
//!
//! An honest node syncs a proposal or vote to disk before it leaves and sends the same bytes after
//! a crash, so that neither a restart nor a slow network makes it sign two.

use paralith_consensus_api::roothash::{
    EquivocatedProposals, EquivocatedVotes, Error as RoothashError, Evidence, EvidenceKind,
    HeaderType, ProposalHeader, RuntimeState, SignedProposal, Vote,
};
use paralith_consensus_api::{Error, beacon};
use paralith_types::{Amount, ChainContext, PublicKey, Round, RuntimeId};

use super::{runtime_and_chain, slash, state};
use crate::{Context, scheduler};

pub(super) fn accept(ctx: &mut Context<'_>, body: &Evidence) -> Result<(), Error> {
    let (runtime, mut chain) = runtime_and_chain(ctx, &body.runtime_id)?;
    let (node, round, as_worker) = match &body.kind {
        EvidenceKind::Proposals(two) => {
            let (node, round) = proposals(ctx.chain_context(), &runtime.id, two)?;
            (node, round, true)
        }
        EvidenceKind::Votes(two) => {
            let (node, round) = votes(ctx.chain_context(), &runtime.id, two)?;
            (node, round, false)
        }
    };
    let last = chain.last_block.round;
    // SK-25: terms of older rounds are gone.
    if round.plus(state::params(ctx)?.max_evidence_age_rounds) < last {
        return invalid("it is too old");
    }
    // A node could sign for every round to come, and be slashed for all of them at once.
    if round > last.next() {
        return invalid("the round has not begun");
    }
    let term = scheduler::term_of(ctx, &runtime.id, round)?;
    let member = term.as_ref().and_then(|term| Some((term, term.member(&node)?)));
    // An honest node signs proposals as a worker only; backups vote.
    // SK-26: a signature for a round in which the node had no part harms nobody.
    let Some((term, member)) = member.filter(|(_, member)| member.worker || !as_worker) else {
        let (signer, runtime) = (node.to_string(), runtime.id.to_string());
        return Err(RoothashError::NotInCommittee { signer, runtime }.into());
    };
    // SK-27: the term's penalty, not today's: it is the one that the member accepted.
    if term.slash_equivocation == Amount::ZERO {
        return Err(RoothashError::RuntimeDoesNotSlash { runtime: runtime.id.to_string() }.into());
    }
    // SK-28: nobody is paid for its own offence.
    if slash::is_reporter_of(ctx, &member.entity_id)? {
        return invalid("the reporter belongs to the offender's entity");
    }
    let skip = in_this_epoch(ctx, &chain, round)?;
    if !slash::equivocation(ctx, &runtime, &mut chain, &node, round, skip)? {
        return Err(RoothashError::DuplicateEvidence { node: node.to_string() }.into());
    }
    state::set_runtime_state(ctx, &chain);
    Ok(())
}

/// Two proposals of one scheduler for one round and rank.
fn proposals(
    chain: &ChainContext,
    runtime: &RuntimeId,
    two: &EquivocatedProposals,
) -> Result<(PublicKey, Round), Error> {
    if two.a.scheduler != two.b.scheduler {
        return invalid("the proposals are of two nodes");
    }
    let (a, b) = (open(chain, runtime, &two.a)?, open(chain, runtime, &two.b)?);
    same_place(&a, &b)?;
    if a == b {
        return invalid("the proposals are the same");
    }
    Ok((two.a.scheduler, a.round))
}

/// Two votes of one node for one round and rank.
fn votes(
    chain: &ChainContext,
    runtime: &RuntimeId,
    two: &EquivocatedVotes,
) -> Result<(PublicKey, Round), Error> {
    let (a, b) = (&two.vote_a, &two.vote_b);
    if a.node != b.node {
        return invalid("the votes are of two nodes");
    }
    let of_a = voted_for(chain, runtime, &two.proposal_a, a)?;
    let of_b = voted_for(chain, runtime, &two.proposal_b, b)?;
    same_place(&of_a, &of_b)?;
    // Two reasons for one failure are no contradiction: they are none of results.
    if a.proposal_id == b.proposal_id && a.results == b.results {
        return invalid("the votes are the same");
    }
    Ok((a.node, of_a.round))
}

fn voted_for(
    chain: &ChainContext,
    runtime: &RuntimeId,
    proposal: &SignedProposal,
    vote: &Vote,
) -> Result<ProposalHeader, Error> {
    let header = open(chain, runtime, proposal)?;
    if header.id() != vote.proposal_id {
        return invalid("a vote names another proposal");
    }
    match vote.verify(chain) {
        Ok(()) => Ok(header),
        Err(_) => invalid("a vote's signature does not fit"),
    }
}

fn open(
    chain: &ChainContext,
    runtime: &RuntimeId,
    proposal: &SignedProposal,
) -> Result<ProposalHeader, Error> {
    match proposal.open(chain) {
        Ok(header) if header.runtime_id == *runtime => Ok(header),
        Ok(_) => invalid("a proposal is for another runtime"),
        Err(_) => invalid("a proposal cannot be read or its signature does not fit"),
    }
}

fn same_place(a: &ProposalHeader, b: &ProposalHeader) -> Result<(), Error> {
    if (a.round, a.rank) != (b.round, b.rank) {
        return invalid("the rounds or ranks differ");
    }
    Ok(())
}

/// Whether a round's votes were of the epoch that runs. The block that begins an epoch takes the
/// number of the round that it discards.
fn in_this_epoch(ctx: &Context<'_>, chain: &RuntimeState, round: Round) -> Result<bool, Error> {
    if round > chain.last_block.round {
        return Ok(!chain.suspended);
    }
    let epoch = ctx.require::<beacon::EpochState>(&beacon::keys::epoch())?;
    let header = state::header(ctx, &chain.runtime_id, round)?;
    Ok(header.is_some_and(|header| match header.header_type {
        HeaderType::Normal | HeaderType::RoundFailed => header.consensus_height >= epoch.height,
        HeaderType::EpochTransition | HeaderType::Suspended => false,
    }))
}

fn invalid<T>(reason: &'static str) -> Result<T, Error> {
    Err(RoothashError::InvalidEvidence { reason }.into())
}
