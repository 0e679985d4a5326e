//! ParaTime blocks: votes in, verdicts and their costs out. Specification: docs/protocol/roothash.md.
//!
//! * Each compute runtime has one chain of headers and, while it has a committee, one running round:
//!   the one after its last block. A runtime without a committee is suspended.
//! * `execute::executor_commit` brings votes to the round's [`discrepancy::Pool`]. One vote that
//!   does not count never spoils the others.
//! * The end of a block evaluates the rounds that kept a vote or found an equivocator in it, in the
//!   order of runtime ids, then those whose timer fires. Nothing else makes a round move.
//! * FINALISE makes a Normal block: messages from consensus leave the queue, messages to consensus
//!   run as the runtime's account. FAIL makes a RoundFailed block with the same state root.
//! * An equivocator loses stake once a round, as soon as it is found, whatever becomes of the round.
//! * `liveness` counts who takes part, and suspends who does too little in an epoch.
//! * A new epoch discards the running round: its results may name the old committee's inputs.
//!
//! The rules of the pool are those of the crate `discrepancy`; what they cost and pay is here.

mod blocks;
mod commit;
mod end;
mod evidence;
pub mod execute;
pub(crate) mod liveness;
mod messages;
pub mod query;
mod round;
mod slash;
mod state;
#[cfg(test)]
mod tests;

use paralith_consensus_api::Error;
use paralith_consensus_api::genesis::Genesis;
use paralith_consensus_api::registry::{Runtime, RuntimeKind};
use paralith_consensus_api::roothash::{Header, HeaderType, RuntimeState, empty_hash};
use paralith_storage::EMPTY_ROOT;
use paralith_types::{Hash, Round, RuntimeId};

use crate::{Context, registry, scheduler};

pub(crate) use end::end_block;

/// Parameters, and the chains of the runtimes that genesis registers.
pub(crate) fn init_genesis(ctx: &mut Context<'_>, genesis: &Genesis) -> Result<(), Error> {
    state::set_params(ctx, &genesis.params.roothash);
    for runtime in registry::runtimes(ctx)? {
        on_runtime_registered(ctx, &runtime)?;
    }
    Ok(())
}

/// Begins the chain of a compute runtime, suspended until it has a committee. One that has a chain
/// keeps it.
pub(crate) fn on_runtime_registered(ctx: &mut Context<'_>, runtime: &Runtime) -> Result<(), Error> {
    if runtime.kind != RuntimeKind::Compute || state::runtime_state(ctx, &runtime.id)?.is_some() {
        return Ok(());
    }
    let last_block = Header {
        version: HEADER_VERSION,
        runtime_id: runtime.id,
        round: Round(0),
        timestamp: ctx.time_seconds(),
        header_type: HeaderType::Normal,
        previous_hash: Hash::ZERO,
        io_root: empty_hash(),
        state_root: EMPTY_ROOT,
        messages_hash: empty_hash(),
        in_messages_hash: empty_hash(),
        consensus_height: ctx.height(),
        batch_hash: Hash::ZERO,
        proposal_id: Hash::ZERO,
    };
    state::set_header(ctx, &last_block);
    state::set_runtime_state(
        ctx,
        &RuntimeState {
            runtime_id: runtime.id,
            suspended: true,
            last_block_height: ctx.height(),
            last_normal_round: Round(0),
            last_normal_height: ctx.height(),
            pool: None,
            skipped: Vec::new(),
            failed: Vec::new(),
            io_root: empty_hash(),
            wakeup: None,
            slashed: Vec::new(),
            records: Vec::new(),
            last_block,
        },
    );
    Ok(())
}

/// A new epoch: each compute runtime begins a round with its new committee, or is suspended.
pub(crate) fn on_committees_changed(ctx: &mut Context<'_>) -> Result<(), Error> {
    let max_age = state::params(ctx)?.max_evidence_age_rounds;
    for runtime in registry::runtimes(ctx)? {
        if let Some(chain) = state::runtime_state(ctx, &runtime.id)? {
            state::forget_evidence(ctx, &runtime.id, chain.last_block.round, max_age)?;
            scheduler::forget_terms(ctx, &runtime.id, chain.last_block.round.minus(max_age))?;
            begin_epoch(ctx, &runtime, chain)?;
        }
    }
    Ok(())
}

fn begin_epoch(
    ctx: &mut Context<'_>,
    runtime: &Runtime,
    mut chain: RuntimeState,
) -> Result<(), Error> {
    state::disarm(ctx, &mut chain);
    ctx.clear_due(&runtime.id);
    state::clear_pending(ctx, &runtime.id)?;
    // RH-3: results of the old committee may name inputs that it alone could read.
    chain.pool = None;
    chain.skipped.clear();
    chain.failed.clear();
    chain.slashed.clear();
    chain.records.clear();
    match scheduler::committee(ctx, &runtime.id)? {
        Some(committee) => {
            let header = blocks::empty(ctx, &chain, HeaderType::EpochTransition);
            blocks::append(ctx, &mut chain, header, blocks::Judged::default())?;
            chain.suspended = false;
            scheduler::begin_term(ctx, runtime, chain.last_block.round.next(), Some(&committee))?;
            round::begin(&mut chain, runtime, &committee)?;
        }
        None if !chain.suspended => {
            let header = blocks::empty(ctx, &chain, HeaderType::Suspended);
            blocks::append(ctx, &mut chain, header, blocks::Judged::default())?;
            chain.suspended = true;
            scheduler::begin_term(ctx, runtime, chain.last_block.round.next(), None)?;
        }
        None => {}
    }
    state::set_runtime_state(ctx, &chain);
    Ok(())
}

/// A compute runtime with its chain.
fn runtime_and_chain(ctx: &Context<'_>, id: &RuntimeId) -> Result<(Runtime, RuntimeState), Error> {
    let missing =
        || paralith_consensus_api::roothash::Error::NoSuchRuntime { runtime: id.to_string() };
    let runtime = registry::runtime(ctx, id)?.ok_or_else(missing)?;
    let chain = state::runtime_state(ctx, id)?.ok_or_else(missing)?;
    Ok((runtime, chain))
}

const HEADER_VERSION: u32 = 1;
