//! Who pays for a wrong result or an equivocation, and who is paid from it.
//!
//! Slashed stake goes to the common pool first and is paid from there, so that the total supply stays
//! the sum of what there is. At most `slash_reward_percent` of it is paid as rewards, and never more
//! than what the offenders' entities lost of their own stake: otherwise an operator could take its
//! delegators' stake by an offence that it reports under another name. Everything else, remainders of
//! divisions included, stays in the common pool.

use std::collections::BTreeSet;

use paralith_consensus_api::registry::Runtime;
use paralith_consensus_api::roothash::{EvidenceAccepted, RuntimeState};
use paralith_consensus_api::{Error, address};
use paralith_types::{Address, Amount, PublicKey, Round};

use super::round::damaged;
use super::state;
use crate::{Context, registry, scheduler, staking};

/// Slashes each entity behind a wrong result once, and pays the runtime and the entities behind the
/// right one. An entity that is behind both is slashed and not paid.
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
    let wrong = entities(ctx, bad)?;
    let mut reward = Amount::ZERO;
    for entity in &wrong {
        let slashed = staking::slash(ctx, entity, terms.slash_incorrect_results)?;
        let part = staking::reward_of(ctx, &slashed)?;
        reward = reward.add(part).map_err(|e| damaged(&runtime.id, e.to_string()))?;
    }
    // SK-31: the runtime's share first, the rest in equal parts to those behind the right result.
    let rest = pay_runtime(ctx, runtime, reward, terms.reward_incorrect_results_percent)?;
    let right: Vec<Address> = entities(ctx, good)?.difference(&wrong).copied().collect();
    let shares = u128::try_from(right.len()).unwrap_or(u128::MAX);
    let each = rest.0.checked_div(shares).map_or(Amount::ZERO, Amount);
    for entity in right {
        staking::reward_from_common(ctx, &entity, each)?;
    }
    Ok(())
}

/// Punishes a member for an equivocation in a round, and pays the runtime and the reporter. False if
/// that was done before.
///
/// The reporter is paid in stake, which takes the debonding time to become a balance. `skip`: the
/// node may not schedule for the rest of the epoch.
pub(super) fn equivocation(
    ctx: &mut Context<'_>,
    runtime: &Runtime,
    chain: &mut RuntimeState,
    node: &PublicKey,
    round: Round,
    skip: bool,
) -> Result<bool, Error> {
    // SK-29: rounds, not objects, are punished: more evidence of one round changes nothing.
    if state::is_punished(ctx, &runtime.id, round, node)? {
        return Ok(false);
    }
    state::set_punished(ctx, &runtime.id, round, node);
    if skip && let Err(place) = chain.slashed.binary_search(node) {
        chain.slashed.insert(place, *node);
    }
    let term = scheduler::term_of(ctx, &runtime.id, round)?;
    let member = term.as_ref().and_then(|term| Some((term, term.member(node)?)));
    let (term, member) = member
        .ok_or_else(|| damaged(&runtime.id, format!("{node} equivocates and is no member")))?;
    let entity = address::of_key(&member.entity_id);
    let slashed = staking::slash(ctx, &entity, term.slash_equivocation)?;
    // SK-32: the votes of a commit may show an equivocation, and any account may send them: an
    // entity that reports itself is slashed and not paid.
    if !is_reporter_of(ctx, &member.entity_id)? {
        let reward = staking::reward_of(ctx, &slashed)?;
        let percent = runtime.staking.reward_equivocation_percent;
        let rest = pay_runtime(ctx, runtime, reward, percent)?;
        let reporter = reporter(ctx)?;
        staking::reward_from_common(ctx, &reporter, rest)?;
    }
    ctx.emit(EvidenceAccepted { runtime_id: runtime.id, node: *node, round });
    Ok(true)
}

/// Whether the transaction's signer is an entity or one of its nodes.
pub(super) fn is_reporter_of(ctx: &Context<'_>, entity: &PublicKey) -> Result<bool, Error> {
    let signer = ctx.signer()?.key;
    if signer == *entity {
        return Ok(true);
    }
    let listed = registry::entity(ctx, entity)?.is_some_and(|e| e.nodes.contains(&signer));
    let registered = registry::node(ctx, &signer)?.is_some_and(|node| node.entity_id == *entity);
    Ok(listed || registered)
}

/// Pays the runtime its share of a reward; gives the rest.
fn pay_runtime(
    ctx: &mut Context<'_>,
    runtime: &Runtime,
    reward: Amount,
    percent: u32,
) -> Result<Amount, Error> {
    let broken = |_| damaged(&runtime.id, format!("a share of {percent} percent"));
    let percent = Amount(u128::from(percent.min(100)));
    let share = reward.mul_div(percent, Amount(100)).map_err(broken)?;
    staking::pay_from_common(ctx, &address::of_runtime(&runtime.id), share)?;
    reward.sub(share).map_err(broken)
}

/// The account of the transaction's signer; its entity's if the signer is a node.
fn reporter(ctx: &Context<'_>) -> Result<Address, Error> {
    let signer = ctx.signer()?;
    Ok(match registry::node(ctx, &signer.key)? {
        Some(node) => address::of_key(&node.entity_id),
        None => signer.address,
    })
}

/// The entities that answer for members of the running round, each once.
fn entities(ctx: &Context<'_>, nodes: &[PublicKey]) -> Result<BTreeSet<Address>, Error> {
    let mut entities = BTreeSet::new();
    for node in nodes {
        if let Some(node) = registry::node(ctx, node)? {
            entities.insert(address::of_key(&node.entity_id));
        }
    }
    Ok(entities)
}
