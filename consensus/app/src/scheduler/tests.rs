//! Powers and updates; that elections choose whom they should is shown from outside.

use paralith_consensus_api::scheduler::{Validator, Validators};
use paralith_types::{Amount, PublicKey};

use super::updates;
use super::validators::voting_powers;
use crate::block::ValidatorUpdate;

#[test]
fn power_is_a_sixteenth_of_the_stake_within_what_comet_takes() {
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
        assert!(powers.iter().map(|power| u128::from(*power)).sum::<u128>() <= u128::from(limit));
    }
}

#[test]
fn updates_say_what_changed_and_no_more() {
    let set = |powers: &[(u8, u64)]| Validators {
        validators: powers
            .iter()
            .map(|(key, power)| Validator {
                consensus_key: PublicKey([*key; 32]),
                node_id: PublicKey([0; 32]),
                entity_id: PublicKey([0; 32]),
                power: *power,
            })
            .collect(),
    };
    let told = |key: u8, power| ValidatorUpdate { consensus_key: PublicKey([key; 32]), power };
    for (before, after, expected) in [
        (set(&[]), set(&[(1, 5), (2, 6)]), vec![told(1, 5), told(2, 6)]),
        (set(&[(1, 5)]), set(&[(1, 5)]), vec![]),
        (set(&[(1, 5), (3, 7)]), set(&[(2, 9), (3, 8)]), vec![told(1, 0), told(2, 9), told(3, 8)]),
    ] {
        assert_eq!(updates(&before, &after), expected);
    }
}
