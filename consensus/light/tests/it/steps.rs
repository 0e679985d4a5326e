//! The loop that follows a chain: which headers it fetches, and what it does about a peer that lies.

use std::cell::RefCell;

use paralith_consensus_light::{
    APPLICATION_KEPT_STEPS, ChainView, Follow, KEPT_STEPS, LightBlock, LightClient, LightError,
    MAX_STEP, StateSource,
};
use paralith_types::{Error, Hash, Height};

use proptest::prelude::*;

use crate::chain::{Wanted, client};

/// Three validators that are all replaced at the block before each height divisible by `every`.
fn members(height: u64, every: u64) -> [(u8, u64); 3] {
    let first = u8::try_from(height / every * 3 % 240).unwrap() + 1;
    [(first, 10), (first + 1, 10), (first + 2, 10)]
}

fn block(height: u64, every: u64) -> LightBlock {
    let (now, next) = (members(height, every), members(height + 1, every));
    let signers = now.map(|(seed, _)| seed);
    Wanted { next: &next, ..Wanted::new(height, &now, &signers) }.block()
}

/// Follows to a height and gives the heights of the headers that were fetched.
fn follow(light: &mut LightClient, target: u64, kept: u64, every: u64) -> Vec<u64> {
    let mut follow = Follow::new(Height(target), kept);
    let mut fetched = Vec::new();
    while let Some(next) = follow.next(light) {
        fetched.push(next.0);
        follow.take(light, &block(next.0, every)).unwrap();
    }
    fetched
}

#[test]
fn the_client_steps_over_headers_and_takes_the_newest_one_by_one() {
    let mut light = client(&members(1, u64::MAX));
    let fetched = follow(&mut light, 2500, KEPT_STEPS, u64::MAX);
    let mut expected = vec![MAX_STEP, 2 * MAX_STEP, 2500 - KEPT_STEPS];
    expected.extend(2500 - KEPT_STEPS + 1..=2500);
    assert_eq!(fetched, expected);
    for state in 2500 - KEPT_STEPS - 1..2500 {
        assert!(light.root_of(Height(state)).is_some(), "state {state} can be read");
    }
    assert_eq!(follow(&mut light, 2400, KEPT_STEPS, u64::MAX), [0_u64; 0], "it lies behind");
    assert_eq!(follow(&mut light, 2501, KEPT_STEPS, u64::MAX), [2501]);
}

#[test]
fn where_all_validators_were_replaced_headers_in_between_come_first() {
    let mut light = client(&members(1, 300));
    let fetched = follow(&mut light, 1000, 0, 300);
    assert_eq!(light.height(), Height(1000));
    assert_eq!(light.app_hash_at(), Some((Height(999), Hash([1000_u64 as u8; 32]))));
    // Three replacements, each found by halving a step of at most a thousand.
    assert!(fetched.len() < 3 * 2 * 10 + 10, "{} fetches: {fetched:?}", fetched.len());
    assert!(fetched.iter().all(|height| *height <= 1000));
}

#[test]
fn a_peer_that_answers_with_strangers_headers_costs_few_fetches() {
    let strangers = [(201, 10), (202, 10), (203, 10)];
    let mut light = client(&members(1, u64::MAX));
    let mut follow = Follow::new(Height(1_000_000), 0);
    let mut fetches = 0;
    let error = loop {
        let next = follow.next(&light).expect("the target is never reached");
        fetches += 1;
        assert!(fetches < 20, "the loop ends");
        let forged = Wanted::new(next.0, &strangers, &[201, 202, 203]).block();
        if let Err(error) = follow.take(&mut light, &forged) {
            break error;
        }
    };
    assert!(matches!(error, LightError::BadCommit { .. } | LightError::NotEnoughTrust { .. }));
    assert_eq!(light.height(), Height(0), "nothing was believed");
    // The same way goes on with an honest peer.
    while let Some(next) = follow.next(&light) {
        follow.take(&mut light, &block(next.0, u64::MAX)).unwrap();
        if light.height() > Height(5000) {
            return;
        }
    }
}

#[test]
fn another_height_than_was_asked_for_is_refused() {
    let mut light = client(&members(1, u64::MAX));
    let mut follow = Follow::new(Height(10), 0);
    assert_eq!(follow.next(&light), Some(Height(10)));
    let error = follow.take(&mut light, &block(9, u64::MAX)).unwrap_err();
    assert_eq!(error, LightError::WrongHeight { wanted: Height(10), got: Height(9) });
    assert_eq!(follow.next(&light), Some(Height(10)), "it is still wanted");
    assert_eq!(light.height(), Height(0));
}

/// Serves real headers, and refuses from a height on.
struct Source {
    until: u64,
    asked: RefCell<Vec<u64>>,
}

impl StateSource for Source {
    fn light_block(&self, height: u64) -> Result<Vec<u8>, Error> {
        self.asked.borrow_mut().push(height);
        if height > self.until {
            return Err(Error::new("host", 9, "no such block"));
        }
        let height = if height == 0 { self.until } else { height };
        Ok(block(height, u64::MAX).encode())
    }

    fn state_value(&self, height: u64, _key: &[u8]) -> Result<(Option<Vec<u8>>, Vec<u8>), Error> {
        Ok((Some(vec![height as u8]), Vec::new()))
    }
}

#[test]
fn a_view_follows_its_source_and_believes_no_value_without_proof() {
    let light = client(&members(1, u64::MAX));
    let mut view = ChainView::new(light, paralith_types::ChainContext([7; 32]));
    let source = Source { until: 50, asked: RefCell::default() };
    assert_eq!(view.sync_to_newest(&source), Ok(Height(49)));
    assert_eq!(view.app_hash(Height(49)), Some(Hash([50; 32])));
    assert_eq!(view.get_raw(&source, Height(49), b"k").unwrap_err().code(), 2);
    let ahead = view.ensure(&source, Height(60)).unwrap_err();
    assert_eq!(ahead.code(), 1, "the source refuses: {ahead}");
    assert_eq!(view.ensure(&source, Height(3)).unwrap_err().code(), 3, "its root is not kept");
    let asked = source.asked.borrow();
    assert_eq!(asked.iter().filter(|height| **height == 50).count(), 1, "{asked:?}");
}

#[test]
fn an_applications_view_reads_the_oldest_anchor_after_a_long_step() {
    let view = || {
        let light = client(&members(1, u64::MAX));
        ChainView::new(light, paralith_types::ChainContext([7; 32]))
    };
    let source = Source { until: 500, asked: RefCell::default() };
    let oldest = Height(499 - 100);
    let mut others = view();
    others.sync_to_newest(&source).unwrap();
    assert_eq!(others.ensure(&source, oldest).unwrap_err().code(), 3);
    let mut applications = view().with_kept_steps(APPLICATION_KEPT_STEPS);
    applications.sync_to_newest(&source).unwrap();
    applications.ensure(&source, oldest).unwrap();
    // Nor does it forget while the chain goes on.
    let source = Source { until: 500 + 99, asked: RefCell::default() };
    applications.sync_to_newest(&source).unwrap();
    for height in 499..=598 {
        applications.ensure(&source, Height(height)).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Whatever mixture of honest and forged headers comes, the client ends on the real chain or
    /// with an error, after few fetches.
    #[test]
    fn forged_headers_among_real_ones_lead_nowhere(
        target in 1_u64..2000,
        every in 50_u64..2000,
        forged in prop::collection::vec(any::<bool>(), 1..8),
    ) {
        let strangers = [(251, 10), (252, 10), (253, 10)];
        let mut light = client(&members(1, every));
        let mut follow = Follow::new(Height(target), 0);
        let mut fetches = 0_usize;
        while let Some(next) = follow.next(&light) {
            prop_assert!(next > light.height() && next <= Height(target));
            let lies = forged[fetches % forged.len()];
            fetches += 1;
            // Each step of at most 1000 halves at most ten times, for each change of validators.
            prop_assert!(fetches < 2000);
            let offered = if lies {
                Wanted::new(next.0, &strangers, &[251, 252, 253]).block()
            } else {
                block(next.0, every)
            };
            if follow.take(&mut light, &offered).is_err() {
                break;
            }
        }
        let height = light.height();
        if height > Height(0) {
            prop_assert_eq!(light.trusted().header_hash(), block(height.0, every).header_hash());
        }
    }
}
