//! Validators by stake: the rule is [`elect_validators`]. With fewer than `min_validators` the set
//! stays as it was.

use std::collections::BTreeMap;

use paralith_consensus_api::Error;
use paralith_consensus_api::registry::ROLE_VALIDATOR;
use paralith_consensus_api::scheduler::{
    ValidatorCandidate, Validators, ValidatorsElected, elect_validators,
};
use paralith_types::PublicKey;

use super::{Candidate, state};
use crate::beacon;
use crate::block::ValidatorUpdate;
use crate::context::Context;

/// Elects the validators of the epoch that begins.
pub(super) fn elect(ctx: &mut Context<'_>, candidates: &[Candidate]) -> Result<(), Error> {
    let params = state::params(ctx)?;
    let candidates: Vec<ValidatorCandidate> = candidates
        .iter()
        .filter(|candidate| candidate.node.has_role(ROLE_VALIDATOR))
        .map(|Candidate { node, stake }| ValidatorCandidate {
            consensus_key: node.consensus_key,
            node_id: node.id,
            entity_id: node.entity_id,
            stake: *stake,
        })
        .collect();
    let validators = elect_validators(&params, &beacon::entropy(ctx)?, &candidates);
    let count = u32::try_from(validators.validators.len()).unwrap_or(u32::MAX);
    if count < params.min_validators.max(1) {
        return Ok(());
    }
    state::set_validators(ctx, &validators);
    ctx.emit(ValidatorsElected { validators });
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
