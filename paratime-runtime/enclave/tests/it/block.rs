use paralith_consensus_api::roothash::{
    IncomingMessage, IncomingQueue, MessageResult, QueuedResult, ResultQueue, in_messages_hash,
    keys,
};
use paralith_proto::Wire;
use paralith_runtime_abi as abi;
use paralith_runtime_api::output::{IoLeaf, Output};
use paralith_runtime_api::tx::Body;
use paralith_runtime_enclave::BLOCK_ERROR;
use paralith_storage::Changes;
use paralith_tee_channel::pb;
use paralith_types::{Address, Amount, Hash, Round};
use prost::Message as _;

use crate::chain::set;
use crate::world::{RUNTIME, World};
use crate::{call, error_of, guest, read, transaction};

/// A guest with other block calls: each answers its request in a public event.
fn with(bodies: &[(&str, &str)]) -> Vec<u8> {
    let names: Vec<&str> = bodies.iter().map(|(name, _)| *name).collect();
    let functions: String = bodies
        .iter()
        .map(|(name, body)| {
            format!(
                "(func (export \"{name}\") (param $p i32) (param $len i32) (result i64) {body})"
            )
        })
        .collect();
    wat::parse_str(guest::text(&names, &functions)).unwrap()
}

const TELL: &str = "(call $emit_event (i32.const 0) (i32.const 0) (local.get $p) (local.get $len))
    (i64.const 2)";
const WRITE_AND_TRAP: &str =
    "(call $state_set (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 1)) unreachable";

fn leaves(executed: &pb::Executed) -> Vec<IoLeaf> {
    Wire::from_pb(executed.leaves.clone()).unwrap()
}

fn queue(world: &World, size: u32, next_id: u64) -> Vec<IncomingMessage> {
    let message = |id| IncomingMessage {
        id,
        caller: Address([0; 21]),
        tag: 7,
        fee: Amount(1),
        tokens: Amount(300),
        data: vec![id as u8],
    };
    let messages: Vec<_> = (next_id - u64::from(size)..next_id).map(message).collect();
    let mut changes = Changes::new();
    let bytes = messages.iter().map(IncomingMessage::size).sum();
    set(&mut changes, keys::incoming_queue(&RUNTIME), &IncomingQueue { size, next_id, bytes });
    for message in &messages {
        set(&mut changes, keys::incoming(&RUNTIME, message.id), message);
    }
    world.chain.commit(changes);
    messages
}

#[test]
fn begin_block_gets_the_first_messages_and_the_results_of_the_last_ones() {
    let mut world = World::new(with(&[("begin_block", TELL)]), false);
    let enclave = world.enclave_with(1, |_| {});
    let messages = queue(&world, 3, 12);
    let executed = world.execute(&enclave, &[]).unwrap();
    let results = executed.results.clone().unwrap();
    assert_eq!(results.in_messages_count, 2, "the runtime takes two");
    assert_eq!(results.in_messages_hash, in_messages_hash(&messages[..2]).as_bytes());
    let leaf = &leaves(&executed)[0];
    assert_eq!((leaf.tx_hash, leaf.output_commitment), (Hash::ZERO, Hash::ZERO));
    let request = abi::BeginBlockRequest::decode(leaf.events[0].data.as_slice()).unwrap();
    let ids: Vec<u64> = request.incoming.iter().map(|message| message.id).collect();
    assert_eq!((ids, request.incoming[0].tokens.clone()), (vec![9, 10], vec![1, 44]));
    assert!(request.message_results.is_empty());
    assert_eq!(request.context.round, 1);

    world.finalise(&executed, &[]);
    let mut changes = Changes::new();
    let result = MessageResult { index: 0, module: "staking".into(), code: 2 };
    let results = vec![QueuedResult { round: Round(1), result }];
    set(&mut changes, keys::result_queue(&RUNTIME), &ResultQueue { results });
    world.chain.commit(changes);
    let executed = world.execute(&enclave, &[]).unwrap();
    let data = leaves(&executed)[0].events[0].data.clone();
    let request = abi::BeginBlockRequest::decode(data.as_slice()).unwrap();
    assert_eq!((request.message_results[0].code, request.message_results.len()), (2, 1));
}

#[test]
fn a_failed_begin_block_is_undone_told_and_does_not_stop_the_round() {
    let mut world = World::new(with(&[("begin_block", WRITE_AND_TRAP)]), false);
    let enclave = world.enclave_with(1, |_| {});
    queue(&world, 1, 1);
    let batch = [transaction(&world, 10, 0, Body::Call(call("a")))];
    let executed = world.round(&enclave, &batch);
    assert_eq!(executed.changes.len(), 1, "only the code");
    assert_eq!(executed.results.clone().unwrap().in_messages_count, 1);
    let leaves = leaves(&executed);
    assert_eq!(leaves.len(), 2);
    assert_eq!(leaves[1].events[0].topic, BLOCK_ERROR);
    let released = enclave.release(1, &executed).unwrap();
    assert_eq!(released.outputs.len(), 1);
}

#[test]
fn init_runs_once_and_gets_its_argument() {
    let mut world = World::new(with(&[("init", TELL)]), false);
    let enclave = world.enclave_with(1, |_| {});
    let executed = world.round(&enclave, &[]);
    let data = leaves(&executed)[0].events[0].data.clone();
    assert_eq!(abi::InitRequest::decode(data.as_slice()).unwrap().argument, b"argument");
    let executed = world.round(&enclave, &[]);
    assert!(executed.leaves.is_empty() && executed.changes.is_empty());
}

#[test]
fn a_runtime_that_cannot_be_initialised_does_nothing_and_takes_nothing() {
    let mut world = World::new(with(&[("init", WRITE_AND_TRAP)]), false);
    let enclave = world.enclave_with(1, |_| {});
    queue(&world, 1, 1);
    for round in 1..3 {
        let batch = [transaction(&world, 10, round, Body::Call(call("a")))];
        let executed = world.round(&enclave, &batch);
        assert!(executed.changes.is_empty());
        assert_eq!(executed.results.clone().unwrap().in_messages_count, 0);
        let released = enclave.release(round, &executed).unwrap();
        let output: Output = read(&world, &released.outputs[0]);
        assert_eq!(error_of(&output), ("host".to_string(), 1));
    }
}

#[test]
fn new_code_migrates_the_state_once() {
    let mut world = World::new(with(&[]), false);
    let old = world.enclave_with(1, |_| {});
    world.round(&old, &[]);
    world.code = with(&[("migrate", TELL)]);
    let mut changes = Changes::new();
    let code = world.runtime.code.as_mut().unwrap();
    code.id = paralith_runtime_vm::code_id(&world.code);
    set(&mut changes, paralith_consensus_api::registry::keys::runtime(&RUNTIME), &world.runtime);
    world.chain.commit(changes);
    let enclave = world.enclave_with(1, |_| {});
    let executed = world.round(&enclave, &[]);
    let data = leaves(&executed)[0].events[0].data.clone();
    assert_eq!(abi::BlockRequest::decode(data.as_slice()).unwrap().context.round, 2);
    assert!(world.round(&enclave, &[]).leaves.is_empty());
}
