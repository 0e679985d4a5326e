//! A round costs the same however many rounds there were before it.

use paralith_consensus_api::roothash::{
    Message, SubmitMessage, TransferMessage, in_messages_hash, messages_hash,
};
use paralith_storage::StateRead;
use paralith_types::Amount;

use super::fixture::{Costs, Net, RUNTIME, USER, WORKERS, entity, node_key, vote_for};
use crate::roothash::query;

/// A deposit, then a round that takes it, takes the result of the round before, and pays one unit
/// out, with votes in two blocks. What its blocks cost.
fn round(net: &mut Net) -> Vec<Costs> {
    let deposit = SubmitMessage {
        runtime_id: RUNTIME,
        tag: 0,
        fee: Amount(10),
        tokens: Amount(0),
        data: vec![7; 10],
    };
    net.block(&[(node_key(USER), deposit.into())]);
    let mut costs = vec![net.costs.clone()];

    let waiting = query::incoming_messages(&net.snapshot(), &RUNTIME).unwrap();
    let queued = query::result_queue(&net.snapshot(), &RUNTIME).unwrap().results.len();
    let message = TransferMessage { to: entity(0), amount: Amount(1) };
    let messages = vec![Message::Transfer(message)];
    let mut results = net.results(1);
    results.in_messages_count = 1;
    results.in_messages_hash = in_messages_hash(&waiting);
    results.results_taken = queued as u32;
    results.messages_hash = messages_hash(&messages);
    let header = net.header(0, 1);
    let [b, c] = net.others(0);
    let vote = |node: u8| vote_for(node, &header, Some(results.clone()));
    let first = vec![vote(net.scheduler(0)), vote(b)];
    let first = net.body(std::slice::from_ref(&header), first, messages);
    net.block(&[(node_key(USER), first)]);
    costs.push(net.costs.clone());
    let block = net.commit(&header, vec![vote(c)]);
    assert_eq!(block.finalised().unwrap().fail_reason, 0);
    costs.push(net.costs.clone());
    net.block(&[]);
    costs.push(net.costs.clone());
    costs
}

#[test]
fn a_round_costs_the_same_after_ten_times_as_many_rounds() {
    let mut net = Net::new();
    for _ in 0..6 {
        round(&mut net);
    }
    let early = round(&mut net);
    for _ in 0..60 {
        round(&mut net);
    }
    let late = round(&mut net);
    let numbers = |costs: &[Costs]| -> Vec<_> {
        costs.iter().map(|one| (one.gets, one.scans.len(), one.scanned, one.written)).collect()
    };
    assert_eq!(numbers(&early), numbers(&late));
    // A scan passes what was removed, so the only one is over the timers of one height.
    for prefix in late.iter().flat_map(|one| &one.scans) {
        assert!(prefix.starts_with(b"roothash/timer/"), "{}", String::from_utf8_lossy(prefix));
    }
    let (_, scanned, written) =
        late.last().map(|one| (one.gets, one.scanned, one.written)).unwrap();
    assert_eq!((scanned, written), (0, 0), "an empty block reads no entry and writes nothing");
}

#[test]
fn a_round_writes_only_what_changes() {
    let mut net = Net::new();
    let before = net.snapshot();
    let header = net.header(0, 1);
    let votes = WORKERS.map(|node| net.vote(node, &header, 1)).to_vec();
    let body = net.body(&[header], votes, Vec::new());
    let (changes, _) = net.run_changes(|ctx| {
        ctx.begin_tx(super::fixture::signer_of(USER), 1_000_000);
        super::fixture::deliver(ctx, &body).unwrap();
        ctx.end_tx();
        crate::roothash::end_block(ctx).unwrap();
    });
    assert!(!changes.is_empty());
    for (key, value) in changes {
        let name = String::from_utf8_lossy(&key).into_owned();
        let before = before.get(&key).unwrap();
        // What the block itself wrote and removed: the store drops it.
        let passing = before.is_none() && value.is_none();
        assert!(passing || before != value, "{name} changes nothing");
    }
}
