//! None lost, none early, none twice, whatever fails; and what it costs.

mod alarm;
mod model;

use paralith_runtime_abi::WAKE_KEY;
use proptest::prelude::*;

use self::alarm::{After, Alarm, Rang, Rules, rang};
use self::model::{Pair, key};
use crate::testing::{Chain, NOT_MIGRATED, Privacy};
use crate::{JsonValue, json};

#[derive(Debug, Clone)]
enum Act {
    /// Heights, counted from below the open round's.
    Add(Vec<u64>, After),
    Cancel(usize, After),
    Pass(u64),
    FailBeginBlock,
    FailEndBlock,
    FailRound,
}

fn act() -> impl Strategy<Value = Act> {
    let after =
        || prop_oneof![6 => Just(After::Succeed), 1 => Just(After::Refuse), 1 => Just(After::Trap)];
    prop_oneof![
        6 => (prop::collection::vec(0..40u64, 1..6), after()).prop_map(|(h, a)| Act::Add(h, a)),
        3 => (any::<usize>(), after()).prop_map(|(which, a)| Act::Cancel(which, a)),
        6 => (0..25u64).prop_map(Act::Pass),
        2 => Just(Act::FailBeginBlock),
        2 => Just(Act::FailEndBlock),
        1 => Just(Act::FailRound),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 256, ..Default::default() })]
    #[test]
    fn no_timer_is_lost_early_or_twice_whatever_fails(
        at_end: bool,
        max in 1..4usize,
        acts in prop::collection::vec(act(), 1..40),
    ) {
        let mut pair = Pair::new(Rules { at_end, max });
        for act in acts {
            match act {
                Act::Add(heights, after) => {
                    let from = pair.height() - 10;
                    let heights: Vec<u64> = heights.iter().map(|height| from + height).collect();
                    pair.add(&heights, after);
                }
                Act::Cancel(which, after) => pair.cancel(which, after),
                Act::Pass(blocks) => pair.advance_to(pair.height() + blocks),
                Act::FailBeginBlock => pair.fail_begin_block(),
                Act::FailEndBlock => pair.fail_end_block(),
                Act::FailRound => pair.fail_round(),
            }
            pair.agrees();
        }
        // Nobody sends anything any more: only woken rounds run.
        pair.advance_to(pair.height() + 3000);
        pair.agrees();
        prop_assert!(pair.all_rang());
    }
}

fn start(rules: Rules) -> Chain {
    let argument = serde_json::to_vec(&rules).unwrap();
    Chain::start::<Alarm>(Privacy::Public, &argument).unwrap()
}

fn add(chain: &mut Chain, heights: &[u64]) -> Vec<u64> {
    let ids = chain.sender("alice").call("add", &(heights, After::Succeed)).unwrap();
    serde_json::from_slice(&ids).unwrap()
}

fn cancel(chain: &mut Chain, id: u64) -> JsonValue {
    let item = chain.sender("alice").call("cancel", &(id, After::Succeed)).unwrap();
    serde_json::from_slice(&item).unwrap()
}

fn asked(chain: &Chain, method: &str, args: &JsonValue) -> JsonValue {
    serde_json::from_slice(&chain.query(method, args).unwrap()).unwrap()
}

/// Heights that are spread and repeat, the same on every run.
fn scattered(count: u64, from: u64, range: u64) -> Vec<u64> {
    (0..count).map(|n| from + n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % range).collect()
}

#[test]
fn timers_ring_in_order_of_height_and_number_and_only_woken_rounds_run() {
    for at_end in [false, true] {
        let mut chain = start(Rules { at_end, max: 10 });
        assert_eq!(add(&mut chain, &[40, 30, 40, 7, 30]), [0, 1, 2, 3, 4]);
        assert_eq!(asked(&chain, "get", &json!(2)), json!([2, 40, "for 40"]));
        let before = chain.round();
        chain.advance_to(100);
        // At 12 for the one that was due at once, which the end of this round may have taken, then
        // at 30 and 40, and the one that is open.
        assert_eq!(chain.round() - before, 4);
        let late = if at_end { 11 } else { 12 };
        let expected: Vec<Rang> =
            vec![(3, 7, late), (1, 30, 30), (4, 30, 30), (0, 40, 40), (2, 40, 40)];
        assert_eq!(rang(&chain), expected);
        assert_eq!(
            (chain.wake_height(), asked(&chain, "first", &json!(null))),
            (None, json!([0, null]))
        );
    }
}

#[test]
fn ten_thousand_due_timers_are_taken_in_bounded_rounds_and_block_no_transaction() {
    const COUNT: u64 = 10_000;
    const MAX: usize = 250;
    for at_end in [false, true] {
        let mut chain = start(Rules { at_end, max: MAX });
        add(&mut chain, &scattered(COUNT, 20, 10));
        assert_eq!(chain.wake_height(), None, "before the round ends nothing is kept");
        chain.advance_to(29);
        for round in 0..20 {
            // The rounds go on while each takes its share, and some fail.
            if round % 3 == 0 {
                chain.fail_begin_block();
            }
            if round % 4 == 0 {
                chain.fail_end_block();
            }
            let before = rang(&chain).len();
            chain.next_round();
            assert!(rang(&chain).len() <= before + MAX);
            assert_eq!(add(&mut chain, &[1_000_000]), [COUNT + round]);
        }
        chain.advance_to(200);
        let all = rang(&chain);
        assert_eq!(all.len() as u64, COUNT);
        assert!(all.windows(2).all(|two| (two[0].1, two[0].0) < (two[1].1, two[1].0)), "in order");
        assert!(all.iter().all(|(_, height, at)| height <= at), "early");
        assert_eq!(chain.wake_height(), Some(1_000_000));
    }
}

#[test]
fn an_operation_costs_in_the_order_of_the_logarithm() {
    fn cost(chain: &mut Chain, act: impl FnOnce(&mut Chain)) -> u64 {
        let before = chain.state_operations();
        act(chain);
        chain.state_operations() - before
    }
    for size in [16u64, 1_000, 10_000] {
        let mut chain = start(Rules { at_end: true, max: 1 });
        add(&mut chain, &scattered(size, 1_000, 5_000));
        // What the call costs beside: it finds no timer.
        let idle = cost(&mut chain, |chain| assert_eq!(cancel(chain, u64::MAX), json!(null)));
        // Two reads and two writes on each level, and what does not depend on the number.
        let most = idle + 4 * u64::from(size.ilog2() + 1) + 12;
        for (what, id) in [("to the top", size), ("to the end", size + 1)] {
            let height = if id == size { 0 } else { 9_999 };
            let cost = cost(&mut chain, |chain| assert_eq!(add(chain, &[height]), [id]));
            assert!(cost <= most, "{what} of {size}: {cost}");
        }
        for (what, id) in [("top", size), ("end", size + 1), ("amid", size / 2), ("amid", 3)] {
            let cost = cost(&mut chain, |chain| assert_ne!(cancel(chain, id), json!(null)));
            assert!(cost <= most, "{what} of {size}: {cost}");
        }
        chain.advance_to(998);
        let idle_round = cost(&mut chain, Chain::next_round);
        chain.next_round();
        assert_eq!((chain.height(), rang(&chain)), (1_000, vec![]));
        let taken = cost(&mut chain, Chain::next_round);
        assert_eq!(rang(&chain).len(), 1);
        assert!(taken <= idle_round + most, "taken of {size}: {taken}");
    }
}

#[test]
fn a_number_is_never_used_again() {
    let mut chain = start(Rules { at_end: false, max: 10 });
    assert_eq!(add(&mut chain, &[20, 30]), [0, 1]);
    assert_eq!(cancel(&mut chain, 1), json!("for 30"));
    assert_eq!(cancel(&mut chain, 1), json!(null));
    chain.advance_to(25);
    assert_eq!(rang(&chain).len(), 1);
    assert_eq!(cancel(&mut chain, 0), json!(null), "it rang");
    assert_eq!(add(&mut chain, &[40]), [2]);
    assert_eq!(asked(&chain, "first", &json!(null)), json!([1, 40]));
}

#[test]
fn a_cancelled_timer_leaves_nothing_but_one_idle_round() {
    let mut chain = start(Rules { at_end: true, max: 10 });
    add(&mut chain, &[20, 30]);
    chain.next_round();
    cancel(&mut chain, 0);
    chain.advance_to(25);
    // At 20 the runtime was woken for the cancelled one, and asked for the other.
    assert_eq!((chain.round(), chain.wake_height()), (4, Some(30)));
    for tag in [1, 2, 3] {
        let left = (0..3).filter(|n| chain.stored(&key(tag, *n)).is_some()).count();
        assert_eq!(left, 1, "{tag}");
    }
    chain.advance_to(35);
    assert_eq!(rang(&chain), [(1, 30, 30)]);
}

#[test]
fn a_runtime_that_fails_is_woken_again_after_ever_longer_pauses() {
    let mut chain = start(Rules { at_end: true, max: 10 });
    add(&mut chain, &[20]);
    let mut at = 20;
    chain.advance_to(at);
    for failures in 0..13u8 {
        assert_eq!(chain.height(), at);
        chain.fail_end_block();
        at += 1 << failures.min(10);
        chain.advance_to(at);
        let kept = [&at.to_be_bytes()[..], &[failures + 1]].concat();
        assert_eq!((chain.stored(WAKE_KEY), rang(&chain)), (Some(kept), vec![]));
    }
    chain.next_round();
    assert_eq!((chain.stored(WAKE_KEY), rang(&chain)), (None, vec![(0, 20, at)]));
}

#[test]
fn a_migration_that_fails_keeps_the_timers_and_stops_the_runtime_until_it_succeeds() {
    let mut chain = start(Rules { at_end: false, max: 10 });
    add(&mut chain, &[13]);
    chain.fail_migrate();
    chain.upgrade::<Alarm>();
    let refused = chain.sender("alice").call("add", &([50], After::Succeed)).unwrap_err();
    assert_eq!(refused.code, NOT_MIGRATED);
    chain.fail_migrate();
    chain.advance_to(13);
    assert_eq!(chain.wake_height(), Some(13), "not due in the round before");
    chain.fail_migrate();
    chain.next_round();
    assert_eq!(chain.stored(WAKE_KEY), Some([&14u64.to_be_bytes()[..], &[1]].concat()));
    chain.next_round();
    assert_eq!(rang(&chain), [(0, 13, 15)]);
    // The height of the last failure is still to come.
    chain.next_round();
    assert_eq!(chain.wake_height(), Some(16));
    chain.next_round();
    assert_eq!(chain.wake_height(), None);
}

#[test]
fn stored_forms_are_frozen() {
    let mut chain = start(Rules { at_end: false, max: 10 });
    add(&mut chain, &[0x0102, 0x0103]);
    let stored = |key: Vec<u8>| chain.stored(&key).unwrap();
    let numbers = |a: u64, b: u64| [a.to_be_bytes(), b.to_be_bytes()].concat();
    assert_eq!(stored(b"\0\x05alarm\0\0\0".to_vec()), numbers(2, 2));
    assert_eq!(stored(key(1, 0)), numbers(0x0102, 0));
    assert_eq!(stored(key(1, 1)), numbers(0x0103, 1));
    assert_eq!(stored(key(2, 1)), 1u64.to_be_bytes());
    assert_eq!(stored(key(3, 1)), b"for 259");
}
