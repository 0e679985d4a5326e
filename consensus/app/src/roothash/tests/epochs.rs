//! New epochs, suspension, and what is forgotten.

use paralith_consensus_api::event::EventKind;
use paralith_consensus_api::roothash::{HeaderType, keys};
use paralith_storage::EMPTY_ROOT;
use paralith_types::{Height, Round};

use super::fixture::{Net, RUNTIME, WORKERS};
use crate::roothash::query;

fn made(events: &[EventKind]) -> Vec<HeaderType> {
    let header_type = |event: &EventKind| match event {
        EventKind::RoundFinalised(finalised) => Some(finalised.header_type),
        _ => None,
    };
    events.iter().filter_map(header_type).collect()
}

#[test]
fn a_runtime_begins_suspended_on_an_empty_state() {
    let net = Net::new();
    let genesis = query::header(&net.snapshot(), &RUNTIME, Round(0)).unwrap().unwrap();
    assert_eq!((genesis.header_type, genesis.state_root), (HeaderType::Normal, EMPTY_ROOT));
    let state = net.state();
    assert_eq!(state.last_block.header_type, HeaderType::EpochTransition);
    assert_eq!(state.last_block.previous_hash, genesis.hash());
    assert!(!state.suspended && state.pool.is_some());
    assert_eq!(state.last_normal_round, Round(0));
}

#[test]
fn a_new_epoch_discards_the_running_round() {
    let mut net = Net::new();
    let header = net.header(0, 1);
    let votes = vec![net.vote(net.scheduler(0), &header, 1), net.vote(3, &header, 2)];
    net.commit(&header, votes.clone());
    let (armed, _) = net.run(|ctx| ctx.scan(b"roothash/timer/").unwrap());
    assert_eq!(armed.len(), 1);

    let events = net.begin_epoch(2, true);
    assert_eq!(made(&events), [HeaderType::EpochTransition]);
    let state = net.state();
    assert_eq!((state.wakeup, state.pool), (None, Some(Default::default())));
    let prefixes = [b"roothash/timer/".to_vec(), keys::pending(&RUNTIME)];
    for prefix in prefixes {
        let (left, _) = net.run(|ctx| ctx.scan(&prefix).unwrap());
        assert!(left.is_empty());
    }
    // What was signed for the discarded round counts no more, not even with this epoch's heights.
    let block = net.commit(&header, votes);
    assert_eq!(block.code(0), 14);
    net.unanimous_round();
}

#[test]
fn a_proposal_reads_no_state_of_an_earlier_epoch_and_none_below_the_last_block() {
    let mut net = Net::new();
    let start = net.state().last_block_height;
    let try_height = |net: &mut Net, height: u64| {
        let mut header = net.header(0, 1);
        header.consensus_height = Height(height);
        let votes = vec![net.vote(3, &header, 1)];
        net.commit(&header, votes).code(0)
    };
    assert_eq!(try_height(&mut net, start.0 - 1), 14);
    assert_eq!(try_height(&mut net, start.0), 0);
    net.begin_epoch(2, true);
    net.unanimous_round();
    let pinned = net.state().last_block.consensus_height.0;
    assert_eq!(try_height(&mut net, pinned - 1), 14);
    let this_block = net.height + 1;
    assert_eq!(try_height(&mut net, this_block), 14);
    assert_eq!(try_height(&mut net, pinned), 0);
}

#[test]
fn a_runtime_without_committee_is_suspended_by_one_block_and_comes_back() {
    let mut net = Net::new();
    net.unanimous_round();
    let root = net.state().last_block.state_root;
    let header = net.header(0, 1);
    let votes = vec![net.vote(net.scheduler(0), &header, 1)];
    net.commit(&header, votes.clone());
    assert_eq!(made(&net.begin_epoch(2, false)), [HeaderType::Suspended]);
    assert_eq!(made(&net.begin_epoch(3, false)), []);
    let state = net.state();
    assert!(state.suspended && state.pool.is_none() && state.wakeup.is_none());
    assert_eq!(state.last_block.state_root, root);
    // `body` signs by a schedule that there is none of: any scheduler will do.
    assert_eq!(net.commit(&header, votes).code(0), 5);
    net.empty_until(net.height + 10);

    assert_eq!(made(&net.begin_epoch(4, true)), [HeaderType::EpochTransition]);
    assert_eq!(net.state().last_block.state_root, root);
    net.unanimous_round();
}

#[test]
fn headers_and_roots_are_kept_for_as_many_rounds_as_the_parameters_say() {
    let mut net = Net::new();
    for _ in 0..6 {
        net.unanimous_round();
    }
    let last = net.state().last_block.round.0;
    for round in 0..=last {
        let kept = round > last - 4;
        let header = query::header(&net.snapshot(), &RUNTIME, Round(round)).unwrap();
        let roots = query::round_roots(&net.snapshot(), &RUNTIME, Round(round)).unwrap();
        assert_eq!((header.is_some(), roots.is_some()), (kept, kept), "round {round}");
    }
}

#[test]
fn a_descriptor_that_changes_within_an_epoch_leaves_its_round_decidable() {
    let mut net = Net::new();
    let header = net.header(0, 1);
    let votes = vec![net.vote(net.scheduler(0), &header, 1)];
    net.commit(&header, votes);
    net.run(|ctx| {
        let key = paralith_consensus_api::registry::keys::runtime(&RUNTIME);
        let mut runtime: paralith_consensus_api::registry::Runtime = ctx.require(&key).unwrap();
        runtime.executor.workers = 9;
        runtime.executor.allowed_stragglers = 8;
        runtime.executor.round_timeout_blocks = 0;
        ctx.set(key, &runtime);
    });
    let votes = WORKERS.map(|node| net.vote(node, &header, 1)).to_vec();
    assert!(net.commit(&header, votes).finalised().is_some());
    net.unanimous_round();
}
