//! Updates; that elections choose whom they should is shown from outside.

use paralith_consensus_api::scheduler::{Validator, Validators};
use paralith_types::PublicKey;

use super::updates;
use crate::block::ValidatorUpdate;

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
    let update = |key: u8, power| ValidatorUpdate { consensus_key: PublicKey([key; 32]), power };
    for (before, after, expected) in [
        (set(&[]), set(&[(1, 5), (2, 6)]), vec![update(1, 5), update(2, 6)]),
        (set(&[(1, 5)]), set(&[(1, 5)]), vec![]),
        (
            set(&[(1, 5), (3, 7)]),
            set(&[(2, 9), (3, 8)]),
            vec![update(1, 0), update(2, 9), update(3, 8)],
        ),
    ] {
        assert_eq!(updates(&before, &after), expected);
    }
}
