//! Validators by stake: the rule is [`elect_validators`].
//!
//! The set is never empty, and no outage of registrations hands it over:
//!
//! * With fewer than `min_validators` to elect, the set stays as it was.
//! * If validators with more than a third of the set's power have let their registration expire, they
//!   stay candidates as long as their stake covers their claims. Were they gone, the chain could not
//!   have made this block: they run, and only failed to renew. Without this rule a stranger that
//!   registers would become the only validator.
//!
//! Either case raises an alarm. A validator that equivocated leaves at once, unless it is the last.

use std::collections::BTreeMap;

use paralith_consensus_api::Error;
use paralith_consensus_api::registry::ROLE_VALIDATOR;
use paralith_consensus_api::scheduler::{
    ValidatorAlarm, ValidatorCandidate, Validators, ValidatorsElected, elect_validators,
};
use paralith_types::PublicKey;

use super::{Candidate, state};
use crate::block::ValidatorUpdate;
use crate::context::Context;
use crate::{beacon, registry};

/// Elects the validators of the epoch that begins. `expired`: nodes that would be candidates if their
/// registration had not expired.
pub(super) fn elect(
    ctx: &mut Context<'_>,
    candidates: &[Candidate],
    expired: &[Candidate],
) -> Result<(), Error> {
    let (params, entropy) = (state::params(ctx)?, beacon::entropy(ctx)?);
    let before = state::validators(ctx)?;
    let mut all: Vec<ValidatorCandidate> = candidates.iter().filter_map(as_validator).collect();
    let electable = count(&elect_validators(&params, &entropy, &all));
    let lapsed = lapsed(&before, expired);
    all.extend(lapsed.iter().cloned());

    let minimum = params.min_validators.max(1);
    let mut validators = elect_validators(&params, &entropy, &all);
    // SK-22: too small a set would hand the chain to those who are left.
    if count(&validators) < minimum {
        validators = before;
    } else {
        state::set_validators(ctx, &validators);
        ctx.emit(ValidatorsElected { validators: validators.clone() });
    }
    let mut lapsed: Vec<PublicKey> = lapsed
        .into_iter()
        .map(|candidate| candidate.node_id)
        .filter(|id| validators.validators.iter().any(|validator| validator.node_id == *id))
        .collect();
    lapsed.sort();
    raise_alarm(ctx, electable, minimum, lapsed)
}

/// The expired nodes that validate and stay candidates: all or none.
fn lapsed(set: &Validators, expired: &[Candidate]) -> Vec<ValidatorCandidate> {
    let mut lapsed = Vec::new();
    let mut power = 0_u128;
    for candidate in expired.iter().filter_map(as_validator) {
        let mut members = set.validators.iter();
        if let Some(member) = members.find(|v| v.consensus_key == candidate.consensus_key) {
            power = power.saturating_add(u128::from(member.power));
            lapsed.push(candidate);
        }
    }
    let total = set.validators.iter().fold(0_u128, |sum, v| sum.saturating_add(v.power.into()));
    // SK-21: without more than a third of the power the chain could not have come here.
    if power.saturating_mul(3) > total { lapsed } else { Vec::new() }
}

fn as_validator(candidate: &Candidate) -> Option<ValidatorCandidate> {
    let Candidate { node, stake } = candidate;
    node.has_role(ROLE_VALIDATOR).then_some(ValidatorCandidate {
        consensus_key: node.consensus_key,
        node_id: node.id,
        entity_id: node.entity_id,
        stake: *stake,
    })
}

fn count(set: &Validators) -> u32 {
    u32::try_from(set.validators.len()).unwrap_or(u32::MAX)
}

/// Raises the alarm, keeps it up, or ends it.
fn raise_alarm(
    ctx: &mut Context<'_>,
    electable: u32,
    minimum: u32,
    lapsed: Vec<PublicKey>,
) -> Result<(), Error> {
    let known = state::validator_alarm(ctx)?;
    if electable >= minimum && lapsed.is_empty() {
        if known.is_some() {
            state::remove_validator_alarm(ctx);
        }
        return Ok(());
    }
    let epoch = match known {
        Some(known) => known.epoch,
        None => ctx.epoch()?,
    };
    // SK-23: in state and as an event: operators watch one or the other.
    let alarm = ValidatorAlarm { epoch, electable, minimum, lapsed };
    state::set_validator_alarm(ctx, &alarm);
    ctx.emit(alarm);
    Ok(())
}

/// Takes a validator out of the set in the middle of an epoch. The last one stays: a chain without
/// validators cannot elect any.
pub(crate) fn remove_validator(
    ctx: &mut Context<'_>,
    comet_address: &[u8; 20],
) -> Result<(), Error> {
    let mut set = state::validators(ctx)?;
    let before = count(&set);
    set.validators.retain(|v| registry::comet_address(&v.consensus_key) != *comet_address);
    let (after, minimum) = (count(&set), state::params(ctx)?.min_validators.max(1));
    if after == before {
        return Ok(());
    }
    if after > 0 {
        state::set_validators(ctx, &set);
    }
    if after < minimum {
        let lapsed = state::validator_alarm(ctx)?.map(|alarm| alarm.lapsed).unwrap_or_default();
        raise_alarm(ctx, after, minimum, lapsed)?;
    }
    Ok(())
}

/// The changes that lead CometBFT from one set to another, sorted by key.
pub(crate) fn updates(before: &Validators, after: &Validators) -> Vec<ValidatorUpdate> {
    let powers = |set: &Validators| -> BTreeMap<PublicKey, u64> {
        set.validators.iter().map(|v| (v.consensus_key, v.power)).collect()
    };
    let (before, after) = (powers(before), powers(after));
    let gone = before.keys().filter(|key| !after.contains_key(*key)).map(|key| (*key, 0));
    let changed = after.iter().filter(|(key, power)| before.get(*key) != Some(*power));
    let mut updates: BTreeMap<PublicKey, u64> = gone.collect();
    updates.extend(changed.map(|(key, power)| (*key, *power)));
    updates
        .into_iter()
        .map(|(consensus_key, power)| ValidatorUpdate { consensus_key, power })
        .collect()
}
