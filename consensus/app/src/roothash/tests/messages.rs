//! Messages between consensus and runtimes.

use paralith_consensus_api::address;
use paralith_consensus_api::event::EventKind;
use paralith_consensus_api::roothash::{
    HeaderType, IncomingMessage, Message, MessageResult, ResultsHeader, SubmitMessage,
    TransferMessage, empty_hash, in_messages_hash, messages_hash,
};
use paralith_consensus_api::tx::Body;
use paralith_types::{Address, Amount};

use super::fixture::{
    Net, RUNTIME, USER, USER_BALANCE, WORKERS, entity, net_user, node_key, vote_for,
};
use crate::roothash::query;

fn deposit(tag: u64, fee: u128, tokens: u128) -> Body {
    SubmitMessage {
        runtime_id: RUNTIME,
        tag,
        fee: Amount(fee),
        tokens: Amount(tokens),
        data: vec![tag as u8],
    }
    .into()
}

fn send(net: &mut Net, bodies: &[Body]) -> Vec<u32> {
    let txs: Vec<_> = bodies.iter().map(|body| (node_key(USER), body.clone())).collect();
    let block = net.block(&txs);
    (0..bodies.len()).map(|index| block.code(index)).collect()
}

fn transfer(to: Address, amount: u128) -> Message {
    Message::Transfer(TransferMessage { to, amount: Amount(amount) })
}

/// A round in which all workers vote for these results.
fn round(net: &mut Net, results: &ResultsHeader, messages: Vec<Message>) -> super::fixture::Block {
    let header = net.header(0, 1);
    let votes = WORKERS.map(|node| vote_for(node, &header, Some(results.clone()))).to_vec();
    let body = net.body(&[header], votes, messages);
    net.block(&[(node_key(USER), body)])
}

#[test]
fn a_message_pays_its_runtime_at_once_and_waits() {
    let mut net = Net::new();
    assert_eq!(send(&mut net, &[deposit(5, 10, 90)]), [0]);
    assert_eq!(net.runtime_balance(), 100);
    assert_eq!(net.account(&net_user()).balance.0, USER_BALANCE - 100);
    let waiting = query::incoming_messages(&net.snapshot(), &RUNTIME).unwrap();
    let expected = IncomingMessage {
        id: 0,
        caller: net_user(),
        tag: 5,
        fee: Amount(10),
        tokens: Amount(90),
        data: vec![5],
    };
    assert_eq!(waiting, [expected]);
    let queue = query::incoming_queue(&net.snapshot(), &RUNTIME).unwrap();
    assert_eq!((queue.size, queue.next_id), (1, 1));
}

#[test]
fn messages_are_refused_for_a_low_fee_a_full_queue_a_poor_sender_or_a_sleeping_runtime() {
    let mut net = Net::new();
    let poor = deposit(1, 10, USER_BALANCE);
    let huge = deposit(1, u128::MAX, 1);
    let codes = send(&mut net, &[deposit(1, 9, 0), poor, huge]);
    assert_eq!(codes, [12, 3, 13]);
    let four: Vec<_> = (0..4).map(|tag| deposit(tag, 10, 0)).collect();
    assert_eq!(send(&mut net, &four), [0, 0, 0, 11]);
    let mut unknown = SubmitMessage {
        runtime_id: paralith_types::RuntimeId([9; 32]),
        tag: 0,
        fee: Amount(10),
        tokens: Amount(0),
        data: vec![],
    };
    assert_eq!(send(&mut net, &[unknown.clone().into()]), [3]);
    net.begin_epoch(2, false);
    unknown.runtime_id = RUNTIME;
    assert_eq!(send(&mut net, &[unknown.into()]), [5]);

    let mut deaf = Net::with(|runtime| runtime.executor.max_in_messages = 0);
    assert_eq!(send(&mut deaf, &[deposit(0, 10, 0)]), [11]);
}

#[test]
fn a_round_takes_the_first_messages_of_the_queue() {
    let mut net = Net::new();
    send(&mut net, &[deposit(7, 10, 0), deposit(8, 10, 0), deposit(9, 10, 0)]);
    let waiting = query::incoming_messages(&net.snapshot(), &RUNTIME).unwrap();
    let mut results = net.results(1);
    results.in_messages_count = 2;
    results.in_messages_hash = in_messages_hash(&waiting[..2]);
    let block = round(&mut net, &results, vec![]);
    let tags: Vec<_> = block
        .events
        .iter()
        .filter_map(|event| match event {
            EventKind::InMessageProcessed(done) => Some((done.id, done.tag, done.caller)),
            _ => None,
        })
        .collect();
    assert_eq!(tags, [(0, 7, net_user()), (1, 8, net_user())]);
    assert_eq!(query::incoming_messages(&net.snapshot(), &RUNTIME).unwrap(), waiting[2..]);
    let queue = query::incoming_queue(&net.snapshot(), &RUNTIME).unwrap();
    assert_eq!((queue.size, queue.next_id), (1, 3));
    assert_eq!(net.state().last_block.in_messages_hash, results.in_messages_hash);
}

#[test]
fn a_round_that_names_other_messages_than_the_queues_fails_and_charges_its_scheduler() {
    let mut net = Net::new();
    send(&mut net, &[deposit(7, 10, 0), deposit(8, 10, 0), deposit(9, 10, 0)]);
    let waiting = query::incoming_messages(&net.snapshot(), &RUNTIME).unwrap();
    let cases = [
        (1, in_messages_hash(&waiting[1..2])),
        (1, in_messages_hash(&waiting[..2])),
        (0, in_messages_hash(&waiting[..1])),
        (1, empty_hash()),
        // More than the runtime allows in a round.
        (3, in_messages_hash(&waiting)),
        (4, in_messages_hash(&waiting)),
    ];
    for (index, (count, hash)) in cases.into_iter().enumerate() {
        let mut results = net.results(1);
        results.in_messages_count = count;
        results.in_messages_hash = hash;
        let scheduler = net.scheduler(0);
        let before = net.state().failed;
        let block = round(&mut net, &results, vec![]);
        let event = block.finalised().unwrap();
        assert_eq!(event.fail_reason, 4, "case {index}");
        assert!(event.good.is_empty() && event.bad.is_empty());
        let count = |failed: &[paralith_consensus_api::roothash::FailedRounds]| {
            let id = node_key(scheduler).public();
            failed.iter().find(|one| one.node == id).map_or(0, |one| one.count)
        };
        assert_eq!(count(&net.state().failed), count(&before) + 1, "case {index}");
    }
    assert_eq!(query::incoming_messages(&net.snapshot(), &RUNTIME).unwrap(), waiting);
}

#[test]
fn messages_move_the_runtimes_own_tokens_and_each_has_its_result() {
    let mut net = Net::new();
    send(&mut net, &[deposit(0, 10, 90)]);
    let messages = vec![
        transfer(entity(0), 30),
        transfer(entity(0), 71),
        transfer(address::common_pool(), 1),
        transfer(entity(1), 70),
    ];
    let mut results = net.results(1);
    results.messages_hash = messages_hash(&messages);
    let block = round(&mut net, &results, messages);
    assert!(block.finalised().is_some());
    assert_eq!(net.account(&entity(0)).balance.0, 30);
    assert_eq!(net.account(&entity(1)).balance.0, 70);
    assert_eq!(net.runtime_balance(), 0);
    let expected = [("", 0), ("staking", 3), ("staking", 5), ("", 0)];
    let expected: Vec<_> = (0..)
        .zip(expected)
        .map(|(index, (module, code))| MessageResult { index, module: module.to_string(), code })
        .collect();
    let round = net.state().last_block.round.0;
    let queued: Vec<_> = expected.iter().map(|result| (round, result.clone())).collect();
    assert_eq!(results_of(&net), queued);
    let reported: Vec<_> = block
        .events
        .iter()
        .filter_map(|event| match event {
            EventKind::MessageExecuted(done) => Some(done.result.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(reported, expected);
}

/// The results that no round has taken yet, each with its round.
fn results_of(net: &Net) -> Vec<(u64, MessageResult)> {
    let queue = query::result_queue(&net.snapshot(), &RUNTIME).unwrap();
    queue.results.into_iter().map(|queued| (queued.round.0, queued.result)).collect()
}

/// A round that takes results and emits messages of one base unit each; its number and fail reason.
fn taking(net: &mut Net, taken: u32, emitted: usize) -> (u64, u32) {
    let messages = vec![transfer(entity(0), 1); emitted];
    let mut results = net.results(1);
    results.messages_hash = messages_hash(&messages);
    results.results_taken = taken;
    let block = round(net, &results, messages);
    let made = block.finalised().unwrap();
    (made.round.0, made.fail_reason)
}

#[test]
fn results_of_own_messages_wait_until_a_final_round_takes_them() {
    let mut net = Net::new();
    send(&mut net, &[deposit(0, 10, 90)]);
    let (first, _) = taking(&mut net, 0, 2);
    // Neither rounds that take nothing nor a failed round nor a new epoch loses one.
    net.unanimous_round();
    let (second, _) = taking(&mut net, 0, 1);
    let rounds = |net: &Net| results_of(net).iter().map(|(round, _)| *round).collect::<Vec<_>>();
    assert_eq!(rounds(&net), [first, first, second]);
    assert_eq!(taking(&mut net, 4, 0).1, 5, "more than there are");
    assert_eq!(net.state().last_block.header_type, HeaderType::RoundFailed);
    net.begin_epoch(2, false);
    net.begin_epoch(3, true);
    assert_eq!(rounds(&net), [first, first, second]);

    // A round takes from the front and adds its own at the end.
    let (third, reason) = taking(&mut net, 2, 1);
    assert_eq!((rounds(&net), reason), (vec![second, third], 0));
    assert_eq!(results_of(&net)[0].1.index, 0);
    assert_eq!(taking(&mut net, 2, 0).1, 0);
    assert_eq!(results_of(&net), []);
    let key = paralith_consensus_api::roothash::keys::result_queue(&RUNTIME);
    use paralith_storage::StateRead;
    assert_eq!(net.snapshot().get(&key).unwrap(), None, "an empty queue is not stored");
}

#[test]
fn a_runtime_that_takes_no_results_may_emit_no_further_messages_and_loses_none() {
    let mut net = Net::new();
    send(&mut net, &[deposit(0, 10, 90)]);
    // Six may wait, four a round are allowed.
    assert_eq!(taking(&mut net, 0, 4).1, 0);
    let before = net.account(&entity(0)).balance.0;
    assert_eq!(taking(&mut net, 0, 3).1, 5);
    assert_eq!(net.account(&entity(0)).balance.0, before, "a failed round executes nothing");
    assert_eq!(taking(&mut net, 0, 2).1, 0);
    assert_eq!(results_of(&net).len(), 6);
    assert_eq!(taking(&mut net, 0, 1).1, 5);
    assert_eq!(taking(&mut net, 0, 0).1, 0, "rounds without messages go on");
    assert_eq!(taking(&mut net, 1, 2).1, 5);
    assert_eq!(taking(&mut net, 1, 1).1, 0);
    assert_eq!(results_of(&net).len(), 6);
}

#[test]
fn the_data_of_a_message_and_the_bytes_of_a_queue_are_bounded() {
    let mut net = Net::new();
    let sized = |bytes: usize| -> Body {
        SubmitMessage {
            runtime_id: RUNTIME,
            tag: 1,
            fee: Amount(10),
            tokens: Amount(5),
            data: vec![7; bytes],
        }
        .into()
    };
    assert_eq!(send(&mut net, &[sized(101), sized(100)]), [15, 0]);
    let queue = query::incoming_queue(&net.snapshot(), &RUNTIME).unwrap();
    let size = query::incoming_messages(&net.snapshot(), &RUNTIME).unwrap()[0].size();
    assert!(size > 100);
    assert_eq!((queue.size, queue.bytes), (1, size));

    // 400 bytes may wait: not a third of these, but a small one.
    let balance = net.account(&net_user()).balance.0;
    assert_eq!(send(&mut net, &[sized(100), sized(100), sized(0)]), [0, 11, 0]);
    assert_eq!(net.account(&net_user()).balance.0, balance - 30, "a refused message costs nothing");

    // What a round takes gives its bytes free again.
    let waiting = query::incoming_messages(&net.snapshot(), &RUNTIME).unwrap();
    let mut results = net.results(1);
    results.in_messages_count = 2;
    results.in_messages_hash = in_messages_hash(&waiting[..2]);
    assert_eq!(round(&mut net, &results, vec![]).finalised().unwrap().fail_reason, 0);
    let queue = query::incoming_queue(&net.snapshot(), &RUNTIME).unwrap();
    assert_eq!((queue.size, queue.bytes), (1, waiting[2].size()));
    assert_eq!(send(&mut net, &[sized(100)]), [0]);
}

#[test]
fn the_schedulers_vote_counts_only_with_its_messages_and_others_need_none() {
    let mut net = Net::new();
    send(&mut net, &[deposit(0, 10, 90)]);
    let messages = vec![transfer(entity(0), 30)];
    let mut results = net.results(1);
    results.messages_hash = messages_hash(&messages);
    let header = net.header(0, 1);
    let [b, c] = net.others(0);
    let vote = |node| vote_for(node, &header, Some(results.clone()));
    let (scheduler, wrong) = (vote(net.scheduler(0)), vec![transfer(entity(0), 31)]);
    let without = net.body(std::slice::from_ref(&header), vec![vote(b), scheduler.clone()], wrong);
    let block = net.block(&[(node_key(USER), without)]);
    assert_eq!((block.code(0), block.ignored()), (0, vec![11]));
    let with = net.body(std::slice::from_ref(&header), vec![scheduler, vote(c)], messages);
    let block = net.block(&[(node_key(USER), with)]);
    assert!(block.finalised().is_some());
    assert_eq!(net.account(&entity(0)).balance.0, 30);
}

#[test]
fn more_messages_than_the_runtime_allows_are_bad_messages() {
    let mut net = Net::new();
    let messages = vec![transfer(entity(0), 1); 5];
    let mut results = net.results(1);
    results.messages_hash = messages_hash(&messages);
    let header = net.header(0, 1);
    let votes = vec![vote_for(net.scheduler(0), &header, Some(results))];
    let body = net.body(&[header], votes, messages);
    assert_eq!(net.block(&[(node_key(USER), body)]).code(0), 14);
}
