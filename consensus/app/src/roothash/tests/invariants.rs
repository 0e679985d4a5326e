//! State that does not fit together stops the node: it is its own fault, never a transaction's.

use paralith_consensus_api::roothash::{
    Header, HeaderType, IncomingQueue, SubmitMessage, in_messages_hash, keys,
};
use paralith_consensus_api::{Error, Fault};
use paralith_types::{Amount, Hash, Height, RuntimeId};

use super::fixture::{Net, RUNTIME, USER, WORKERS, deliver, node_key, signer_of, vote_for};
use crate::roothash::{blocks, end_block, query};

#[test]
fn a_header_that_does_not_follow_the_last_one_is_not_written() {
    type Case = (&'static str, fn(&mut Header));
    let cases: [Case; 6] = [
        ("a gap", |header| header.round = header.round.plus(1)),
        ("another runtime", |header| header.runtime_id = RuntimeId([9; 32])),
        ("another predecessor", |header| header.previous_hash = Hash([9; 32])),
        ("an older height", |header| header.consensus_height = Height(1)),
        ("state without results", |header| header.state_root = Hash([9; 32])),
        ("the same round again", |header| header.round = header.round.minus(1)),
    ];
    for (what, spoil) in cases {
        let mut net = Net::new();
        let (before, root) = (net.state(), net.root);
        let (result, _) = net.run(|ctx| {
            ctx.isolated(|ctx| {
                let mut chain = before.clone();
                let mut header = blocks::empty(ctx, &chain, HeaderType::RoundFailed);
                spoil(&mut header);
                blocks::append(ctx, &mut chain, header, blocks::Judged::default())
            })
        });
        assert_eq!(result.unwrap_err().fault(), Fault::Node, "{what}");
        assert_eq!(net.root, root, "{what}");
    }
    let mut net = Net::new();
    let mut chain = net.state();
    let (result, _) = net.run(|ctx| {
        let header = blocks::empty(ctx, &chain, HeaderType::RoundFailed);
        blocks::append(ctx, &mut chain, header, blocks::Judged::default())
    });
    assert!(result.is_ok());
}

#[test]
fn a_queue_whose_counters_do_not_match_its_messages_stops_the_node() {
    type Case = fn(&mut IncomingQueue);
    let cases: [Case; 3] =
        [|queue| queue.bytes -= 1, |queue| queue.bytes += 1, |queue| queue.next_id += 1];
    for (index, spoil) in cases.into_iter().enumerate() {
        let mut net = Net::new();
        let (runtime_id, fee) = (RUNTIME, Amount(10));
        let message =
            SubmitMessage { runtime_id, tag: 0, fee, tokens: Amount(0), data: vec![1, 2] };
        net.block(&[(node_key(USER), message.into())]);
        let waiting = query::incoming_messages(&net.snapshot(), &RUNTIME).unwrap();
        let mut results = net.results(1);
        results.in_messages_count = 1;
        results.in_messages_hash = in_messages_hash(&waiting);
        net.run(|ctx| {
            let mut queue: IncomingQueue = ctx.require(&keys::incoming_queue(&RUNTIME)).unwrap();
            spoil(&mut queue);
            ctx.set(keys::incoming_queue(&RUNTIME), &queue);
        });
        let header = net.header(0, 1);
        let votes = WORKERS.map(|node| vote_for(node, &header, Some(results.clone()))).to_vec();
        let body = net.body(&[header], votes, Vec::new());
        let (result, _): (Result<(), Error>, _) = net.run(|ctx| {
            ctx.begin_tx(signer_of(USER), 1_000_000);
            deliver(ctx, &body).unwrap();
            ctx.end_tx();
            end_block(ctx)
        });
        assert_eq!(result.unwrap_err().fault(), Fault::Node, "case {index}");
    }
}

#[test]
fn a_vote_whose_result_is_not_kept_stops_the_node() {
    let mut net = Net::new();
    let header = net.header(0, 1);
    let votes = vec![net.vote(net.scheduler(0), &header, 1)];
    net.commit(&header, votes);
    net.run(|ctx| ctx.remove(keys::pending(&RUNTIME)));
    let votes = vec![net.vote(net.others(0)[0], &header, 2)];
    let body = net.body(&[header], votes, Vec::new());
    let (result, _) = net.run(|ctx| {
        ctx.begin_tx(signer_of(USER), 1_000_000);
        let result = deliver(ctx, &body);
        ctx.end_tx();
        result
    });
    assert_eq!(result.unwrap_err().fault(), Fault::Node);
}
