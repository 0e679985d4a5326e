//! Validators by stake.
//!
//! Entities in descending order of active stake, equal ones in an order drawn by lot; of each
//! entity's validator nodes, in an order drawn by lot, at most `max_validators_per_entity`; at most
//! `max_validators` in all. Voting power is a sixteenth of the entity's stake, at least 1; if the sum
//! exceeds what CometBFT takes (2^60), every power is halved until it fits. With fewer than
//! `min_validators` the set stays as it was.

use std::collections::BTreeMap;

use paralith_consensus_api::Error;
use paralith_consensus_api::registry::ROLE_VALIDATOR;
use paralith_consensus_api::scheduler::{Validator, Validators, ValidatorsElected};
use paralith_crypto::hash::{Domain, hash};
use paralith_types::{Address, Amount, PublicKey};

use super::{Candidate, state};
use crate::beacon;
use crate::block::ValidatorUpdate;
use crate::context::Context;

/// Elects the validators of the epoch that begins.
pub(super) fn elect(ctx: &mut Context<'_>, candidates: &[Candidate]) -> Result<(), Error> {
    let params = state::params(ctx)?;
    let entropy = beacon::entropy(ctx)?;
    let lot = |bytes: &[u8]| hash(VALIDATOR_LOT, &[entropy.as_bytes(), bytes]);
    let per_entity = usize::try_from(params.max_validators_per_entity).unwrap_or(usize::MAX);
    let most = usize::try_from(params.max_validators).unwrap_or(usize::MAX);

    let mut entities: BTreeMap<Address, Vec<&Candidate>> = BTreeMap::new();
    for candidate in candidates.iter().filter(|c| c.node.has_role(ROLE_VALIDATOR)) {
        entities.entry(candidate.entity).or_default().push(candidate);
    }
    let mut ranked: Vec<(Address, Vec<&Candidate>)> = entities.into_iter().collect();
    ranked.sort_by_cached_key(|(entity, nodes)| {
        let stake = nodes.first().map_or(Amount::ZERO, |node| node.stake);
        (std::cmp::Reverse(stake), lot(entity.as_bytes()))
    });
    let mut elected: Vec<&Candidate> = Vec::new();
    for (_, mut nodes) in ranked {
        nodes.sort_by_cached_key(|candidate| lot(candidate.node.id.as_bytes()));
        elected.extend(nodes.into_iter().take(per_entity));
    }
    elected.truncate(most);

    let count = u32::try_from(elected.len()).unwrap_or(u32::MAX);
    if count < params.min_validators.max(1) {
        return Ok(());
    }
    let stakes: Vec<Amount> = elected.iter().map(|candidate| candidate.stake).collect();
    let mut validators: Vec<Validator> = elected
        .iter()
        .zip(voting_powers(&stakes))
        .map(|(Candidate { node, .. }, power)| Validator {
            consensus_key: node.consensus_key,
            node_id: node.id,
            entity_id: node.entity_id,
            power,
        })
        .collect();
    validators.sort_by_key(|validator| validator.consensus_key);
    let validators = Validators { validators };
    state::set_validators(ctx, &validators);
    ctx.emit(ValidatorsElected { validators });
    Ok(())
}

/// What CometBFT has to be told to come from one set to another, sorted by key.
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

/// The powers of these stakes, whose sum CometBFT takes.
pub(super) fn voting_powers(stakes: &[Amount]) -> Vec<u64> {
    let scaled = |halvings: u32| {
        stakes.iter().map(move |stake| {
            stake
                .0
                .checked_div(STAKE_PER_POWER)
                .unwrap_or(0)
                .checked_shr(halvings)
                .unwrap_or(0)
                .max(1)
        })
    };
    // A sum of at most a few thousand ones fits, so some number of halvings does.
    let fits =
        |halvings: &u32| scaled(*halvings).fold(0_u128, u128::saturating_add) <= MAX_TOTAL_POWER;
    let halvings = (0..u128::BITS).find(fits).unwrap_or(u128::BITS);
    scaled(halvings).map(|power| u64::try_from(power).unwrap_or(1)).collect()
}

/// Base units of stake for one unit of voting power.
const STAKE_PER_POWER: u128 = 16;

/// CometBFT's `MaxTotalVotingPower` is `i64::MAX / 8`.
const MAX_TOTAL_POWER: u128 = i64::MAX as u128 / 8;

const VALIDATOR_LOT: Domain = Domain::new("paralith/scheduler/validator/v1");
