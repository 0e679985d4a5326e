//! The end of a block: verdicts, and what follows from them.

use discrepancy::{Outcome, ResultHash, Signer, Verdict};
use paralith_consensus_api::Error;
use paralith_consensus_api::roothash::{DiscrepancyDetected, HeaderType};
use paralith_types::{Hash, RuntimeId};

use super::blocks::{self, Judged};
use super::round::{self, Running, damaged, keys};
use super::{liveness, messages, slash, state};
use crate::{Context, scheduler};

/// Evaluates the rounds that the block touched, in the order of runtime ids, then those whose timer
/// fires.
pub(crate) fn end_block(ctx: &mut Context<'_>) -> Result<(), Error> {
    for id in ctx.take_due() {
        evaluate(ctx, &id, true)?;
    }
    // A touched round has set its timer anew, so none comes twice.
    for id in state::timers_at(ctx, ctx.height().0)? {
        evaluate(ctx, &id, false)?;
    }
    Ok(())
}

fn evaluate(ctx: &mut Context<'_>, id: &RuntimeId, touched: bool) -> Result<(), Error> {
    let mut running = Running::load(ctx, id, touched)?;
    let round = running.number();
    for verdict in running.pool.end_block(ctx.height().0) {
        match verdict {
            Verdict::Wait => {}
            Verdict::Discrepancy { rank, late } => {
                ctx.emit(DiscrepancyDetected { runtime_id: *id, round, rank, late });
            }
            Verdict::Finalise { result, .. } => return finalise(ctx, running, result),
            Verdict::Fail(reason) => {
                let outcome = outcome(&running)?;
                return fail(ctx, running, reason.code(), outcome);
            }
        }
    }
    let wakeup = running.pool.next_wakeup();
    state::arm(ctx, &mut running.chain, wakeup);
    running.save(ctx)
}

fn finalise(ctx: &mut Context<'_>, mut running: Running, result: ResultHash) -> Result<(), Error> {
    let id = running.runtime.id;
    let outcome = outcome(&running)?;
    let pending = running
        .pending
        .get(&Hash(result.0))
        .cloned()
        .ok_or_else(|| damaged(&id, "the final result is missing".to_string()))?;
    let named = messages::named_by(ctx, &running, &pending.results, &pending.messages)?;
    let taken = match named {
        Ok(taken) => taken,
        Err(reason) => {
            // RH-16: everybody agreed on it, and consensus knows that it is wrong: the chain can name
            // nobody but the scheduler, whose proposal it was.
            let pool = &running.pool;
            let scheduler = pool.lead().and_then(|lead| pool.config().scheduler(lead));
            let missed = scheduler.into_iter().collect();
            let equivocators = outcome.equivocators;
            let outcome = Outcome { missed, equivocators, ..Outcome::default() };
            return fail(ctx, running, reason, outcome);
        }
    };
    let round = running.number();
    messages::settle(ctx, &id, round, taken, &pending.messages)?;
    let judged = judge(ctx, &running, &outcome, 0)?;
    liveness::record(&mut running.chain, &outcome);
    let header = blocks::normal(ctx, &running.chain, &pending);
    blocks::append(ctx, &mut running.chain, header, judged)?;
    next_round(ctx, running)
}

fn fail(
    ctx: &mut Context<'_>,
    mut running: Running,
    reason: u32,
    outcome: Outcome,
) -> Result<(), Error> {
    liveness::record(&mut running.chain, &outcome);
    let judged = judge(ctx, &running, &outcome, reason)?;
    let header = blocks::empty(ctx, &running.chain, HeaderType::RoundFailed);
    blocks::append(ctx, &mut running.chain, header, judged)?;
    next_round(ctx, running)
}

/// Slashes and rewards for results. Equivocators were slashed when they were found.
fn judge(
    ctx: &mut Context<'_>,
    running: &Running,
    outcome: &Outcome,
    fail_reason: u32,
) -> Result<Judged, Error> {
    let lists: [&[Signer]; 3] = [&outcome.good, &outcome.bad, &outcome.equivocators];
    let [good, bad, equivocators] = lists.map(keys);
    slash::wrong_results(ctx, &running.runtime, &good, &bad)?;
    Ok(Judged { fail_reason, good, bad, equivocators })
}

fn next_round(ctx: &mut Context<'_>, running: Running) -> Result<(), Error> {
    let Running { runtime, mut chain, .. } = running;
    state::disarm(ctx, &mut chain);
    state::clear_pending(ctx, &runtime.id)?;
    let committee = scheduler::committee(ctx, &runtime.id)?
        .ok_or_else(|| damaged(&runtime.id, "its committee is gone".to_string()))?;
    round::begin(&mut chain, &runtime, &committee)?;
    state::set_runtime_state(ctx, &chain);
    Ok(())
}

fn outcome(running: &Running) -> Result<Outcome, Error> {
    let missing = || damaged(&running.runtime.id, "a verdict without outcome".to_string());
    running.pool.outcome().ok_or_else(missing)
}
