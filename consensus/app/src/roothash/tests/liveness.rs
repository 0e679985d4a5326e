//! What silence, failures and withheld batches cost, within an epoch and across epochs.

use paralith_consensus_api::event::EventKind;
use paralith_consensus_api::registry::Liveness;
use paralith_consensus_api::roothash::{HeaderType, LivenessFailed, MemberRecord, Standing, keys};
use paralith_types::{Amount, Epoch};

use super::fixture::{BACKUPS, Net, RUNTIME, WORKERS, node_key};
use crate::roothash::liveness::{Electable, electable, judge_epoch};

/// The runtime of these tests: half of the votes, half of the turns, judged from two rounds on.
fn net() -> Net {
    Net::with(|runtime| {
        runtime.executor.liveness =
            Liveness { min_rounds: 2, min_live_percent: 50, max_missed_percent: 50 };
    })
}

/// A round of the best scheduler that proposes, in which each member votes as given: 1 the result, 0
/// fail, none silence. Backups vote on what is disputed.
fn round(net: &mut Net, votes: impl Fn(u8) -> Option<u8>) -> HeaderType {
    let rank = (0..3).find(|rank| votes(net.scheduler(*rank)) == Some(1)).unwrap();
    let header = net.header(rank, 1);
    let cast = |net: &Net, node: u8| votes(node).map(|what| net.vote(node, &header, what));
    let workers: Vec<_> = WORKERS.iter().filter_map(|node| cast(net, *node)).collect();
    let mut block = net.commit(&header, workers);
    while block.finalised().is_none() {
        if net.state().pool.unwrap().disputed {
            let backups: Vec<_> = BACKUPS.iter().filter_map(|node| cast(net, *node)).collect();
            block = net.commit(&header, backups);
        } else {
            let wakeup = net.state().wakeup.unwrap();
            block = net.empty_until(wakeup);
        }
    }
    block.finalised().unwrap().header_type
}

fn record(net: &Net, node: u8) -> MemberRecord {
    let id = node_key(node).public();
    let found = net.state().records.into_iter().find(|record| record.node == id);
    found.unwrap_or(MemberRecord {
        node: id,
        live: 0,
        failed: 0,
        silent: 0,
        finalised: 0,
        missed: 0,
    })
}

/// Judges the epoch and begins the next; what was said of whom.
fn next_epoch(net: &mut Net) -> Vec<LivenessFailed> {
    let epoch = net.epoch() + 1;
    let events = net.begin_epoch(epoch, true);
    let failed = |event| match event {
        EventKind::LivenessFailed(failed) => Some(failed),
        _ => None,
    };
    events.into_iter().filter_map(failed).collect()
}

fn standing(net: &mut Net, node: u8) -> Standing {
    let key = keys::standing(&RUNTIME, &node_key(node).public());
    net.run(|ctx| ctx.get(&key).unwrap()).0.unwrap_or_default()
}

fn chances(net: &mut Net, node: u8) -> Electable {
    net.run(|ctx| electable(ctx, &RUNTIME, &node_key(node).public()).unwrap()).0
}

#[test]
fn a_round_counts_who_was_right_who_failed_and_who_was_silent() {
    let mut net = net();
    let (scheduler, [b, c]) = (net.scheduler(0), net.others(0));
    assert_eq!(round(&mut net, |node| (node != c).then_some(1)), HeaderType::Normal);
    let of = |net: &Net, node| {
        let r = record(net, node);
        [r.live, r.failed, r.silent, r.finalised, r.missed]
    };
    assert_eq!(of(&net, scheduler), [1, 0, 0, 1, 0]);
    assert_eq!(of(&net, b), [1, 0, 0, 0, 0]);
    assert_eq!(of(&net, c), [0, 0, 1, 0, 0]);
    assert_eq!(of(&net, BACKUPS[0]), [0; 5], "nobody asked the backups");

    assert_eq!(round(&mut net, |node| Some(u8::from(node != c))), HeaderType::Normal);
    assert_eq!(of(&net, c)[..3], [0, 1, 1]);
}

#[test]
fn a_silent_member_is_suspended_longer_each_epoch_then_frozen_and_slashed() {
    let mut net = net();
    let silent = 2;
    let mut expected_epoch = net.epoch();
    for failures in 1..=3_u32 {
        for _ in 0..3 {
            round(&mut net, |node| (node != silent).then_some(1));
        }
        let events = next_epoch(&mut net);
        expected_epoch += 1;
        assert_eq!(events.len(), 1, "{events:?}");
        assert_eq!(events[0].node, node_key(silent).public());
        let standing = standing(&mut net, silent);
        assert_eq!(standing, events[0].standing);
        let until = Epoch(expected_epoch + (1 << failures));
        assert_eq!(standing.suspended_until, until);
        if failures < 3 {
            assert_eq!((standing.failures, net.gain(silent)), (failures, 0));
            assert_eq!(events[0].slashed, Amount(0));
            assert_eq!(chances(&mut net, silent), Electable::LastResort);
        } else {
            assert_eq!(standing.frozen_until, Epoch(expected_epoch + 10));
            assert_eq!((events[0].slashed, net.gain(silent)), (Amount(70), -70));
            assert_eq!(chances(&mut net, silent), Electable::Never);
        }
    }
    for node in [0, 1] {
        assert_eq!(chances(&mut net, node), Electable::Fully);
        assert_eq!(net.gain(node), 0);
    }
    for _ in 0..10 {
        next_epoch(&mut net);
    }
    assert_eq!(chances(&mut net, silent), Electable::Fully);
}

#[test]
fn always_failing_is_no_better_than_silence() {
    let mut net = net();
    let failing = 1;
    for _ in 0..3 {
        round(&mut net, |node| Some(u8::from(node != failing)));
    }
    let r = record(&net, failing);
    assert_eq!((r.live, r.failed, r.silent), (0, 3, 0));
    let events = next_epoch(&mut net);
    assert_eq!(events.iter().map(|e| e.node).collect::<Vec<_>>(), [node_key(failing).public()]);
}

#[test]
fn a_withheld_batch_costs_its_scheduler_and_nobody_else() {
    let mut net = net();
    let culprit = net.scheduler(0);
    let mut stalled = 0;
    let mut rounds = 0;
    while !net.state().skipped.contains(&node_key(culprit).public()) {
        rounds += 1;
        assert!(rounds < 20, "it stalls for ever");
        let turn = net.scheduler(0) == culprit;
        // Nobody but the culprit has the batch: all others can only fail.
        let made = round(&mut net, |node| Some(u8::from(!turn || node == culprit)));
        assert_eq!(made, if turn { HeaderType::RoundFailed } else { HeaderType::Normal });
        stalled += u32::from(turn);
    }
    assert_eq!(stalled, 2, "it has lost its turn");
    for node in WORKERS.into_iter().chain(BACKUPS).filter(|node| *node != culprit) {
        let r = record(&net, node);
        assert_eq!((r.failed, r.silent, r.missed), (0, 0, 0), "{node}");
    }
    let events = next_epoch(&mut net);
    assert_eq!(events.iter().map(|e| e.node).collect::<Vec<_>>(), [node_key(culprit).public()]);
    assert_eq!(standing(&mut net, culprit).failures, 1);
}

#[test]
fn withholding_from_one_member_does_not_suspend_it() {
    let mut net = net();
    let (culprit, victim) = (0, 1);
    for _ in 0..9 {
        let turn = net.scheduler(0) == culprit;
        let made = round(&mut net, |node| Some(u8::from(!turn || node != victim)));
        assert_eq!(made, HeaderType::Normal);
    }
    let r = record(&net, victim);
    assert_eq!((r.failed, r.live), (3, 6));
    assert_eq!(next_epoch(&mut net), []);
}

#[test]
fn a_good_epoch_takes_a_failure_away_and_too_few_rounds_say_nothing() {
    let mut net = net();
    let silent = 2;
    let quiet = |net: &mut Net| round(net, |node| (node != silent).then_some(1));
    // One round is below min_rounds.
    quiet(&mut net);
    assert_eq!(next_epoch(&mut net), []);
    for _ in 0..2 {
        quiet(&mut net);
    }
    assert_eq!(next_epoch(&mut net).len(), 1);
    assert_eq!(next_epoch(&mut net), [], "an epoch without rounds changes nothing");
    assert_eq!(standing(&mut net, silent).failures, 1);
    for _ in 0..2 {
        net.unanimous_round();
    }
    assert_eq!(next_epoch(&mut net), []);
    assert_eq!(standing(&mut net, silent), Standing::default());
    assert_eq!(chances(&mut net, silent), Electable::Fully);
    let key = keys::standing(&RUNTIME, &node_key(silent).public());
    assert_eq!(net.run(|ctx| ctx.get_raw(&key).unwrap()).0, None, "a good standing is not stored");
}

#[test]
fn a_new_epoch_begins_with_no_records() {
    let mut net = net();
    net.unanimous_round();
    assert_eq!(net.state().records.len(), 3);
    next_epoch(&mut net);
    assert!(net.state().records.is_empty());
}

#[test]
fn judging_an_epoch_without_a_rule_changes_nothing() {
    let mut net = Net::new();
    for _ in 0..4 {
        let absent = net.others(0)[0];
        round(&mut net, |node| (node != absent).then_some(1));
    }
    let (result, events) = net.run(judge_epoch);
    assert!(result.is_ok() && events.is_empty());
}
