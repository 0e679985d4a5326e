//! Refusals; that epochs begin where they should is shown from outside.

use paralith_consensus_api::Error;
use paralith_consensus_api::beacon;
use paralith_types::Hash;

use crate::testing;

#[test]
fn a_chain_without_a_seed_or_with_epochs_of_one_block_is_refused() {
    let refusal = |change: fn(&mut beacon::Params)| {
        let mut genesis = testing::genesis();
        change(&mut genesis.params.beacon);
        testing::with_empty(|ctx| super::init_genesis(ctx, &genesis).unwrap_err())
    };
    assert_eq!(refusal(|p| p.insecure_seed = None), Error::Beacon(beacon::Error::NoBeacon));
    let short = beacon::Error::EpochTooShort { got: 1 };
    assert_eq!(refusal(|p| p.epoch_blocks = 1), Error::Beacon(short.clone()));
    let first = |p: &mut beacon::Params| (p.first_epochs, p.first_epoch_blocks) = (1, 1);
    assert_eq!(refusal(first), Error::Beacon(short));
}

#[test]
fn randomness_depends_on_seed_and_epoch_and_is_frozen() {
    let entropy = |seed: Hash| {
        let mut genesis = testing::genesis();
        genesis.params.beacon.insecure_seed = Some(seed);
        testing::with_empty(|ctx| {
            super::init_genesis(ctx, &genesis).unwrap();
            super::entropy(ctx).unwrap()
        })
    };
    assert_ne!(entropy(Hash([1; 32])), entropy(Hash([2; 32])));
    assert_eq!(
        entropy(Hash([1; 32])).to_string(),
        "48eef42e65cff05d5d02f8365ac5c68f20611a2b6139eb419593d5d5f50db266"
    );
}
