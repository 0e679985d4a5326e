//! Every verdict: its event, its block, and who pays and is paid, to the base unit.

use paralith_consensus_api::roothash::{HeaderType, empty_hash};
use paralith_types::{Hash, Height, Round};

use super::fixture::{BACKUPS, FIRST, Net, RUNTIME, WORKERS, ids};
use crate::roothash::query;

#[test]
fn all_workers_agree_and_the_round_is_final_at_once() {
    let mut net = Net::new();
    let header = net.header(0, 9);
    let votes = WORKERS.map(|node| net.vote(node, &header, 1)).to_vec();
    let block = net.commit(&header, votes);

    let event = block.finalised().unwrap();
    assert_eq!((event.round, event.header_type), (FIRST, HeaderType::Normal));
    assert_eq!((event.fail_reason, &event.good), (0, &ids(&WORKERS)));
    assert!(event.bad.is_empty() && event.equivocators.is_empty());

    let state = net.state();
    let last = &state.last_block;
    assert_eq!(event.header_hash, last.hash());
    assert_eq!((last.io_root, last.state_root), (Hash([1; 32]), Hash([2; 32])));
    assert_eq!((last.consensus_height, last.batch_hash), (header.consensus_height, Hash([9; 32])));
    assert_eq!(last.timestamp, 1_700_000_000 + net.height);
    assert_eq!(last.previous_hash, header.previous_hash);
    assert_eq!((state.last_normal_round, state.last_block_height), (FIRST, Height(net.height)));
    assert_eq!((state.wakeup, state.io_root), (None, Hash([1; 32])));
    let roots = query::round_roots(&net.snapshot(), &RUNTIME, FIRST).unwrap().unwrap();
    assert_eq!((roots.state_root, roots.io_root), (Hash([2; 32]), Hash([1; 32])));
    assert_eq!(query::header(&net.snapshot(), &RUNTIME, FIRST).unwrap().as_ref(), Some(last));
    for node in 0..6 {
        assert_eq!(net.gain(node), 0, "{node}");
    }
}

#[test]
fn with_a_vote_missing_the_round_waits_two_blocks_for_it() {
    let mut net = Net::new();
    let header = net.header(0, 1);
    let other = net.others(0)[0];
    let votes = vec![net.vote(net.scheduler(0), &header, 1), net.vote(other, &header, 1)];
    let block = net.commit(&header, votes);
    assert!(block.finalised().is_none());
    let grace = net.height + 2;
    assert_eq!(net.state().wakeup, Some(grace));
    let before = net.root;
    assert!(net.block(&[]).events.is_empty());
    assert_eq!(net.root, before, "a block in which nothing happens leaves the state as it is");
    let block = net.empty_until(grace);
    let event = block.finalised().unwrap();
    assert_eq!((event.header_type, event.good.len()), (HeaderType::Normal, 2));
}

#[test]
fn an_omitted_vote_that_comes_within_the_grace_counts() {
    let mut net = Net::new();
    let header = net.header(0, 1);
    let [b, c] = net.others(0);
    let votes = vec![net.vote(net.scheduler(0), &header, 1), net.vote(b, &header, 1)];
    net.commit(&header, votes);
    let votes = vec![net.vote(c, &header, 2)];
    let block = net.commit(&header, votes);
    assert_eq!(block.discrepancy(), Some((0, false)));
}

#[test]
fn silence_leads_to_a_dispute_and_to_a_failed_round_by_timers_alone() {
    let mut net = Net::new();
    let header = net.header(0, 1);
    let scheduler = net.scheduler(0);
    let votes = vec![net.vote(scheduler, &header, 1)];
    net.commit(&header, votes);
    let start = net.height;

    let block = net.empty_until(start + 5);
    assert_eq!(block.discrepancy(), Some((0, true)));
    assert!(block.finalised().is_none());

    let block = net.empty_until(start + 5 + 7);
    let event = block.finalised().unwrap();
    assert_eq!((event.header_type, event.fail_reason), (HeaderType::RoundFailed, 2));
    assert!(event.good.is_empty() && event.bad.is_empty());
    let state = net.state();
    assert_eq!((state.failed.len(), state.failed[0].count), (1, 1));
    assert_eq!(state.failed[0].node, ids(&[scheduler])[0]);
    assert_eq!(state.last_block.io_root, empty_hash());
    assert_eq!(state.last_block.state_root, paralith_storage::EMPTY_ROOT);
    assert_eq!((state.last_block.round, state.last_normal_round), (FIRST, Round(0)));
    assert_eq!((state.wakeup, state.pool), (None, Some(Default::default())));
    for node in 0..6 {
        assert_eq!(net.gain(node), 0, "{node}");
    }
}

#[test]
fn backups_confirm_the_scheduler_and_the_dissenter_pays_the_right_ones() {
    let mut net = Net::new();
    let header = net.header(0, 1);
    let scheduler = net.scheduler(0);
    let [b, liar] = net.others(0);
    let votes =
        vec![net.vote(scheduler, &header, 1), net.vote(b, &header, 1), net.vote(liar, &header, 2)];
    let block = net.commit(&header, votes);
    assert_eq!(block.discrepancy(), Some((0, false)));
    assert_eq!(net.state().wakeup, Some(net.height + 7));

    let votes = BACKUPS[..2].iter().map(|node| net.vote(*node, &header, 1)).collect();
    let block = net.commit(&header, votes);
    let event = block.finalised().unwrap();
    assert_eq!(event.header_type, HeaderType::Normal);
    assert_eq!(event.good, ids(&[scheduler, b, 3, 4]));
    assert_eq!(event.bad, ids(&[liar]));
    // 101: floor(25 %) = 25 to the runtime, 76 / 4 = 19 to each right one, nothing left.
    assert_eq!(net.gain(liar), -101);
    assert_eq!(net.runtime_balance(), 25);
    for right in [scheduler, b, 3, 4] {
        assert_eq!(net.gain(right), 19, "{right}");
    }
    assert_eq!(net.gain(5), 0);
    assert!(net.state().failed.is_empty());
}

#[test]
fn a_lying_scheduler_loses_the_round_and_all_who_lied_with_it_pay() {
    let mut net = Net::new();
    let header = net.header(0, 1);
    let scheduler = net.scheduler(0);
    let [accomplice, honest] = net.others(0);
    // The backups' votes are there before the dispute: it is resolved in the same block.
    let votes = vec![
        net.vote(3, &header, 1),
        net.vote(4, &header, 1),
        net.vote(5, &header, 0),
        net.vote(scheduler, &header, 2),
        net.vote(accomplice, &header, 2),
        net.vote(honest, &header, 1),
    ];
    let block = net.commit(&header, votes);
    assert_eq!(block.discrepancy(), Some((0, false)));
    let event = block.finalised().unwrap();
    assert_eq!((event.header_type, event.fail_reason), (HeaderType::RoundFailed, 1));
    assert_eq!(event.good, ids(&[honest, 3, 4]));
    assert_eq!(event.bad, ids(&[scheduler, accomplice]));
    // 202: 50 to the runtime, 152 / 3 = 50 each, 2 stay in the common pool. A failure is neither.
    assert_eq!((net.gain(scheduler), net.gain(accomplice)), (-101, -101));
    assert_eq!((net.gain(honest), net.gain(3), net.gain(4), net.gain(5)), (50, 50, 50, 0));
    assert_eq!(net.runtime_balance(), 50);
    let common = net.account(&paralith_consensus_api::address::common_pool());
    assert_eq!(common.balance.0, 2);
    assert_eq!(net.state().last_block.state_root, paralith_storage::EMPTY_ROOT);
    assert_eq!(net.state().failed[0].node, ids(&[scheduler])[0]);
}

#[test]
fn an_entity_loses_no_more_than_it_has() {
    let mut net = Net::with(|runtime| {
        runtime.staking.slash_incorrect_results = paralith_types::Amount(5000);
    });
    let header = net.header(0, 1);
    let scheduler = net.scheduler(0);
    let [b, liar] = net.others(0);
    let mut votes: Vec<_> = [scheduler, b, 3, 4].map(|n| net.vote(n, &header, 1)).to_vec();
    votes.push(net.vote(liar, &header, 2));
    net.commit(&header, votes);
    assert_eq!(net.gain(liar), -1000);
    assert_eq!((net.runtime_balance(), net.gain(b)), (250, 187));
}

#[test]
fn split_backups_fail_the_round_and_nobody_is_slashed() {
    let mut net = Net::new();
    let header = net.header(0, 1);
    let [b, c] = net.others(0);
    let votes = vec![
        net.vote(net.scheduler(0), &header, 1),
        net.vote(b, &header, 2),
        net.vote(c, &header, 1),
        net.vote(3, &header, 1),
        net.vote(4, &header, 2),
        net.vote(5, &header, 3),
    ];
    let block = net.commit(&header, votes);
    assert_eq!(block.finalised().unwrap().fail_reason, 2);
    for node in 0..6 {
        assert_eq!(net.gain(node), 0, "{node}");
    }
}

#[test]
fn a_scheduler_that_fails_too_often_is_skipped_until_the_epoch_ends() {
    let mut net = Net::new();
    let culprit = net.scheduler(0);
    for _ in 0..2 {
        // It schedules at another rank each round; its proposals alone get no votes.
        let rank = (0..3).find(|rank| net.scheduler(*rank) == culprit).unwrap();
        let header = net.header(rank, 1);
        let votes = vec![net.vote(culprit, &header, 1)];
        net.commit(&header, votes);
        net.empty_until(net.height + 5);
        net.empty_until(net.height + 7);
    }
    let state = net.state();
    assert_eq!((state.failed[0].count, &state.skipped), (2, &ids(&[culprit])));
    let order: Vec<u8> = (0..2).map(|rank| net.scheduler(rank)).collect();
    assert!(!order.contains(&culprit));
    net.unanimous_round();
    assert_eq!(net.state().skipped, ids(&[culprit]));
    net.begin_epoch(2, true);
    assert!(net.state().skipped.is_empty() && net.state().failed.is_empty());
}

#[test]
fn a_round_of_a_backup_scheduler_is_final_and_the_first_one_has_missed_its_turn() {
    let mut net = Net::new();
    let first = net.scheduler(0);
    let header = net.header(1, 1);
    let votes = WORKERS.map(|node| net.vote(node, &header, 1)).to_vec();
    let block = net.commit(&header, votes);
    assert_eq!(block.finalised().unwrap().header_type, HeaderType::Normal);
    let failed = net.state().failed;
    assert_eq!((failed.len(), failed[0].node, failed[0].count), (1, ids(&[first])[0], 1));
}

#[test]
fn two_proposals_void_their_rank_only_and_cost_their_scheduler_once() {
    let mut net = Net::new();
    let (one, two) = (net.header(0, 1), net.header(0, 2));
    let cheat = net.scheduler(0);
    let [b, c] = net.others(0);
    let votes = vec![net.vote(b, &one, 1), net.vote(c, &two, 1)];
    let body = net.body(&[one.clone(), two.clone()], votes, Vec::new());
    // Sent by a node: its entity is paid.
    let block = net.block(&[(super::fixture::node_key(3), body)]);
    assert_eq!((block.code(0), block.ignored()), (0, vec![105]));
    // 61: 30 to the runtime, 31 to the reporter.
    assert_eq!((net.gain(cheat), net.gain(3), net.runtime_balance()), (-61, 31, 30));
    let state = net.state();
    assert_eq!((&state.slashed, state.skipped.len()), (&ids(&[cheat]), 0));
    assert_eq!(state.pool.as_ref().unwrap().void_ranks, [0]);

    // Both again: nothing of it counts.
    let votes = vec![net.vote(b, &one, 1), net.vote(c, &two, 1)];
    let body = net.body(&[one, two], votes, Vec::new());
    let block = net.block(&[(super::fixture::node_key(3), body)]);
    assert_eq!(block.code(0), 14);
    assert_eq!(net.gain(cheat), -61);

    // The next rank goes on, and the cheat may still vote there.
    let header = net.header(1, 3);
    let votes = WORKERS.map(|node| net.vote(node, &header, 1)).to_vec();
    let block = net.commit(&header, votes);
    let event = block.finalised().unwrap();
    assert_eq!((event.header_type, &event.equivocators), (HeaderType::Normal, &ids(&[cheat])));
    let state = net.state();
    assert_eq!((&state.skipped, state.slashed.len()), (&ids(&[cheat]), 0));
}

#[test]
fn a_round_whose_schedulers_all_equivocate_fails() {
    let mut net = Net::new();
    for rank in 0..3 {
        let (one, two) = (net.header(rank, 1), net.header(rank, 2));
        let votes = vec![net.vote(3, &one, 1), net.vote(4, &two, 1)];
        let body = net.body(&[one, two], votes, Vec::new());
        let block = net.block(&[(super::fixture::node_key(50), body)]);
        assert_eq!(block.finalised().is_some(), rank == 2);
        if let Some(event) = block.finalised() {
            assert_eq!((event.fail_reason, event.equivocators.len()), (3, 3));
        }
    }
    for node in WORKERS {
        assert_eq!(net.gain(node), -61, "{node}");
    }
    // All are skipped, so that none is.
    assert_eq!(net.state().skipped.len(), 3);
    net.unanimous_round();
}

#[test]
fn a_voter_that_contradicts_itself_pays_and_its_first_vote_stands() {
    let mut net = Net::new();
    let header = net.header(0, 1);
    let [b, c] = net.others(0);
    let votes = vec![
        net.vote(b, &header, 1),
        net.vote(b, &header, 2),
        net.vote(net.scheduler(0), &header, 1),
        net.vote(c, &header, 1),
    ];
    let block = net.commit(&header, votes);
    assert_eq!(block.ignored(), [110]);
    assert_eq!(block.finalised().unwrap().header_type, HeaderType::Normal);
    assert_eq!((net.gain(b), net.runtime_balance()), (-61, 30));
    // Sent by an account without a node: it is paid in stake of its own.
    let user = net.account(&super::fixture::net_user());
    assert_eq!((user.active.balance.0, user.balance.0), (31, super::fixture::USER_BALANCE));
}
