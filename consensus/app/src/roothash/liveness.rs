//! Who takes part in rounds, and what it costs not to.
//!
//! A round's outcome says who gave the right result, who failed although others could execute, who
//! was silent although the round waited, and whose proposal was final or missed. The running epoch's
//! counts are in the runtime's state. When the epoch ends, each member that did less than the
//! runtime's [`Liveness`] asks for has failed it:
//!
//! * It is suspended for 2, 4, 8, ... epochs: elected only if there are too few others. A suspension
//!   must never leave a runtime without a committee, or a few idle nodes could stop it.
//! * With `max_liveness_failures` it is frozen (not elected at all) and its entity loses
//!   `slash_liveness`. Both are parameters of consensus: a runtime's owner cannot take stake by them.
//! * An epoch in which it did enough takes one failure away.
//!
//! Within the epoch, a scheduler with `max_failed_rounds` missed proposals loses its turn.

use discrepancy::{Outcome, Signer};
use paralith_consensus_api::registry::{Executor, Liveness};
use paralith_consensus_api::roothash::{
    FailedRounds, LivenessFailed, MemberRecord, Params, RuntimeState, Standing,
};
use paralith_consensus_api::{Error, address};
use paralith_types::{Amount, Epoch, PublicKey, RuntimeId};

use super::{round, state};
use crate::{Context, registry, staking};

/// Counts what the members did in a round that ended.
pub(super) fn record(chain: &mut RuntimeState, outcome: &Outcome) {
    type Count = fn(&mut MemberRecord) -> &mut u32;
    let counts: [(&[Signer], Count); 5] = [
        (&outcome.good, |record| &mut record.live),
        (&outcome.failed, |record| &mut record.failed),
        (&outcome.silent, |record| &mut record.silent),
        (&outcome.finalised, |record| &mut record.finalised),
        (&outcome.missed, |record| &mut record.missed),
    ];
    for (signers, count) in counts {
        for signer in signers {
            if let Some(record) = record_of(chain, round::key(*signer)) {
                let counter = count(record);
                *counter = counter.saturating_add(1);
            }
        }
    }
    for scheduler in &outcome.missed {
        count_missed(chain, round::key(*scheduler));
    }
}

fn record_of(chain: &mut RuntimeState, node: PublicKey) -> Option<&mut MemberRecord> {
    let place = match chain.records.binary_search_by_key(&node, |record| record.node) {
        Ok(place) => place,
        Err(place) => {
            let fresh =
                MemberRecord { node, live: 0, failed: 0, silent: 0, finalised: 0, missed: 0 };
            chain.records.insert(place, fresh);
            place
        }
    };
    chain.records.get_mut(place)
}

fn count_missed(chain: &mut RuntimeState, node: PublicKey) {
    match chain.failed.binary_search_by_key(&node, |failed| failed.node) {
        Ok(place) => {
            if let Some(failed) = chain.failed.get_mut(place) {
                failed.count = failed.count.saturating_add(1);
            }
        }
        Err(place) => chain.failed.insert(place, FailedRounds { node, count: 1 }),
    }
}

/// Judges the epoch that ended, before the next committees are elected. Called in the first block of
/// an epoch, whose number is the context's.
pub(crate) fn judge_epoch(ctx: &mut Context<'_>) -> Result<(), Error> {
    let params = state::params(ctx)?;
    for runtime in registry::runtimes(ctx)? {
        let Some(chain) = state::runtime_state(ctx, &runtime.id)? else { continue };
        for record in &chain.records {
            match verdict(record, &runtime.executor) {
                Some(true) => forgive(ctx, &runtime.id, &record.node)?,
                Some(false) => punish(ctx, &params, &runtime.id, &record.node)?,
                None => {}
            }
        }
    }
    Ok(())
}

/// Whether a member did enough; none if it was asked too little to say.
fn verdict(record: &MemberRecord, executor: &Executor) -> Option<bool> {
    let Liveness { min_rounds, min_live_percent, max_missed_percent } = executor.liveness;
    let asked = u64::from(record.live)
        .saturating_add(u64::from(record.failed))
        .saturating_add(u64::from(record.silent));
    let of = |part: u32| u64::from(part).saturating_mul(100);
    // RH-18: absent by its votes, or stalled by its proposals.
    let judged = asked > 0 && asked >= u64::from(min_rounds);
    let absent = judged && of(record.live) < asked.saturating_mul(u64::from(min_live_percent));
    // One missed proposal of one turn says little; a scheduler that lost its turn for it says more.
    let turns = u64::from(record.missed).saturating_add(u64::from(record.finalised));
    let stalled = max_missed_percent > 0
        && record.missed >= executor.max_failed_rounds.max(1)
        && of(record.missed) > turns.saturating_mul(u64::from(max_missed_percent));
    if absent || stalled { Some(false) } else { judged.then_some(true) }
}

fn forgive(ctx: &mut Context<'_>, id: &RuntimeId, node: &PublicKey) -> Result<(), Error> {
    let mut standing = state::standing(ctx, id, node)?;
    if standing == Standing::default() {
        return Ok(());
    }
    // RH-21: one failure is forgiven, not all: good epochs must outweigh bad ones.
    standing.failures = standing.failures.saturating_sub(1);
    if standing.failures == 0 {
        standing = Standing::default();
    }
    state::set_standing(ctx, id, node, &standing);
    Ok(())
}

fn punish(
    ctx: &mut Context<'_>,
    params: &Params,
    id: &RuntimeId,
    node: &PublicKey,
) -> Result<(), Error> {
    let epoch = ctx.epoch()?;
    let mut standing = state::standing(ctx, id, node)?;
    standing.failures = standing.failures.saturating_add(1);
    let doublings = standing.failures.min(MAX_DOUBLINGS);
    // RH-19: 2, 4, 8, ... epochs.
    standing.suspended_until = epoch.plus(1_u64.checked_shl(doublings).unwrap_or(1));
    let mut slashed = Amount::ZERO;
    // RH-20: by parameters of consensus, not of the runtime's owner.
    if params.max_liveness_failures > 0 && standing.failures >= params.max_liveness_failures {
        standing.failures = 0;
        standing.frozen_until = epoch.plus(params.liveness_freeze_epochs);
        if let Some(node) = registry::node(ctx, node)? {
            let entity = address::of_key(&node.entity_id);
            slashed = staking::slash(ctx, &entity, params.slash_liveness)?.taken;
        }
    }
    state::set_standing(ctx, id, node, &standing);
    ctx.emit(LivenessFailed { runtime_id: *id, node: *node, slashed, standing });
    Ok(())
}

/// How an election treats a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Electable {
    /// Like any other.
    Fully,
    /// If there are too few others.
    LastResort,
    /// Not at all.
    Never,
}

/// How the election of this epoch's committee treats a node.
pub(crate) fn electable(
    ctx: &Context<'_>,
    id: &RuntimeId,
    node: &PublicKey,
) -> Result<Electable, Error> {
    let epoch: Epoch = ctx.epoch()?;
    let standing = state::standing(ctx, id, node)?;
    Ok(if epoch < standing.frozen_until {
        Electable::Never
    } else if epoch < standing.suspended_until {
        Electable::LastResort
    } else {
        Electable::Fully
    })
}

/// The longest suspension is 2^6 epochs.
const MAX_DOUBLINGS: u32 = 6;
