//! Who pays for a wrong result or a contradiction, and who is paid from it.
//!
//! Slashed stake goes to the common pool first and is given out from there, so that the total supply
//! stays the sum of what there is. Remainders of divisions stay in the common pool.

use std::collections::BTreeSet;

use paralith_consensus_api::registry::Runtime;
use paralith_consensus_api::roothash::{EvidenceAccepted, RuntimeState};
use paralith_consensus_api::{Error, address};
use paralith_types::{Address, Amount, PublicKey, Round};

use super::round::damaged;
use super::state;
use crate::{Context, registry, staking};

/// Slashes each entity behind a wrong result once, and pays the runtime and the right ones.
pub(super) fn wrong_results(
    ctx: &mut Context<'_>,
    runtime: &Runtime,
    good: &[PublicKey],
    bad: &[PublicKey],
) -> Result<(), Error> {
    let terms = &runtime.staking;
    if terms.slash_incorrect_results == Amount::ZERO {
        return Ok(());
    }
    let mut taken = Amount::ZERO;
    for entity in entities(ctx, bad)? {
        let lost = staking::slash(ctx, &entity, terms.slash_incorrect_results)?;
        taken = taken.add(lost).map_err(|e| damaged(&runtime.id, e.to_string()))?;
    }
    let rest = pay_runtime(ctx, runtime, taken, terms.reward_incorrect_results_percent)?;
    let right = entities(ctx, good)?;
    let shares = u128::try_from(right.len()).unwrap_or(u128::MAX);
    let each = rest.0.checked_div(shares).map_or(Amount::ZERO, Amount);
    for entity in right {
        staking::reward_from_common(ctx, &entity, each)?;
    }
    Ok(())
}

/// Punishes a node for contradicting itself in a round, and pays the runtime and whoever told. False
/// if that was done before.
///
/// Whoever told is paid in stake: else a node's owner could take stake of others out at once, by
/// telling on itself. `skip`: the node may not schedule for the rest of the epoch.
pub(super) fn equivocation(
    ctx: &mut Context<'_>,
    runtime: &Runtime,
    chain: &mut RuntimeState,
    node: &PublicKey,
    round: Round,
    skip: bool,
) -> Result<bool, Error> {
    if state::is_punished(ctx, &runtime.id, round, node)? {
        return Ok(false);
    }
    state::set_punished(ctx, &runtime.id, round, node);
    if skip && let Err(place) = chain.slashed.binary_search(node) {
        chain.slashed.insert(place, *node);
    }
    for entity in entities(ctx, &[*node])? {
        let taken = staking::slash(ctx, &entity, runtime.staking.slash_equivocation)?;
        let percent = runtime.staking.reward_equivocation_percent;
        let rest = pay_runtime(ctx, runtime, taken, percent)?;
        let teller = teller(ctx)?;
        staking::reward_from_common(ctx, &teller, rest)?;
    }
    ctx.emit(EvidenceAccepted { runtime_id: runtime.id, node: *node, round });
    Ok(true)
}

/// Pays the runtime its share of what was taken; gives the rest.
fn pay_runtime(
    ctx: &mut Context<'_>,
    runtime: &Runtime,
    taken: Amount,
    percent: u32,
) -> Result<Amount, Error> {
    let broken = |_| damaged(&runtime.id, format!("a share of {percent} percent"));
    let percent = Amount(u128::from(percent.min(100)));
    let share = taken.mul_div(percent, Amount(100)).map_err(broken)?;
    staking::pay_from_common(ctx, &address::of_runtime(&runtime.id), share)?;
    taken.sub(share).map_err(broken)
}

/// The account of the transaction's signer; its entity's if the signer is a node.
fn teller(ctx: &Context<'_>) -> Result<Address, Error> {
    let signer = ctx.signer()?;
    Ok(match registry::node(ctx, &signer.key)? {
        Some(node) => address::of_key(&node.entity_id),
        None => signer.address,
    })
}

/// The entities that answer for nodes, each once.
fn entities(ctx: &Context<'_>, nodes: &[PublicKey]) -> Result<BTreeSet<Address>, Error> {
    let mut entities = BTreeSet::new();
    for node in nodes {
        if let Some(node) = registry::node(ctx, node)? {
            entities.insert(address::of_key(&node.entity_id));
        }
    }
    Ok(entities)
}
