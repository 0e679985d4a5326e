//! Which candidates become validators, and with which power: one rule for the application and for
//! programs that only have the genesis document.
//!
//! Entities in descending order of active stake, equal ones in an order drawn by lot; of each
//! entity's nodes, in an order drawn by lot, at most `max_validators_per_entity`; at most
//! `max_validators` in all. Voting power is a sixteenth of the entity's stake, at least 1; if the sum
//! exceeds what CometBFT accepts (2^60), every power is halved until it fits.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use paralith_crypto::hash::{Domain, hash};
use paralith_types::{Address, Amount, Hash, PublicKey};

use super::{Params, Validator, Validators};
use crate::address;

/// A node that may be elected validator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidatorCandidate {
    /// Its key in CometBFT.
    pub consensus_key: PublicKey,
    /// Its node key.
    pub node_id: PublicKey,
    /// Its entity.
    pub entity_id: PublicKey,
    /// The entity's active stake.
    pub stake: Amount,
}

/// Elects among candidates with an epoch's randomness. Gives as many as there are, up to the limits:
/// the minimum is for the caller to check.
pub fn elect_validators(
    params: &Params,
    entropy: &Hash,
    candidates: &[ValidatorCandidate],
) -> Validators {
    let lot = |bytes: &[u8]| hash(VALIDATOR_LOT, &[entropy.as_bytes(), bytes]);
    let per_entity = usize::try_from(params.max_validators_per_entity).unwrap_or(usize::MAX);
    let most = usize::try_from(params.max_validators).unwrap_or(usize::MAX);

    // SK-20: the application and `Document::first_validators` both elect by this function.
    let mut entities: BTreeMap<Address, Vec<&ValidatorCandidate>> = BTreeMap::new();
    for candidate in candidates {
        entities.entry(address::of_key(&candidate.entity_id)).or_default().push(candidate);
    }
    let mut ranked: Vec<(Address, Vec<&ValidatorCandidate>)> = entities.into_iter().collect();
    ranked.sort_by_cached_key(|(entity, nodes)| {
        let stake = nodes.first().map_or(Amount::ZERO, |node| node.stake);
        (Reverse(stake), lot(entity.as_bytes()))
    });
    let mut elected: Vec<&ValidatorCandidate> = Vec::new();
    for (_, mut nodes) in ranked {
        nodes.sort_by_cached_key(|candidate| lot(candidate.node_id.as_bytes()));
        elected.extend(nodes.into_iter().take(per_entity));
    }
    elected.truncate(most);

    let stakes: Vec<Amount> = elected.iter().map(|candidate| candidate.stake).collect();
    let mut validators: Vec<Validator> = elected
        .iter()
        .zip(voting_powers(&stakes))
        .map(|(candidate, power)| Validator {
            consensus_key: candidate.consensus_key,
            node_id: candidate.node_id,
            entity_id: candidate.entity_id,
            power,
        })
        .collect();
    validators.sort_by_key(|validator| validator.consensus_key);
    Validators { validators }
}

/// The powers of these stakes; CometBFT accepts their sum.
fn voting_powers(stakes: &[Amount]) -> Vec<u64> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn power_is_a_sixteenth_of_the_stake_within_what_comet_accepts() {
        let limit = i64::MAX as u64 / 8;
        for (stakes, expected) in [
            (vec![], vec![]),
            (vec![0, 15, 16, 31, 32], vec![1, 1, 1, 1, 2]),
            (vec![1600, 800], vec![100, 50]),
            (vec![u128::from(limit) * 16], vec![limit]),
            (vec![u128::from(limit) * 16 + 16], vec![limit / 2 + 1]),
            (vec![u128::MAX, 16], vec![(1 << 59) - 1, 1]),
        ] {
            let stakes: Vec<Amount> = stakes.into_iter().map(Amount).collect();
            let powers = voting_powers(&stakes);
            assert_eq!(powers, expected, "{stakes:?}");
            let total = powers.iter().map(|power| u128::from(*power)).sum::<u128>();
            assert!(total <= u128::from(limit));
        }
    }
}
