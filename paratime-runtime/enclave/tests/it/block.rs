use paralith_consensus_api::roothash::{MessageResult, QueuedResult, in_messages_hash};
use paralith_proto::{Canonical, Wire};
use paralith_runtime_abi as abi;
use paralith_runtime_api::output::{IoLeaf, OpenedOutput, Output};
use paralith_runtime_api::tx::Body;
use paralith_runtime_enclave::BLOCK_ERROR;
use paralith_storage::Changes;
use paralith_tee_channel::pb;
use paralith_types::{Hash, Round};
use prost::Message as _;

use crate::world::{RUNTIME, World};
use crate::{call, error_of, guest, read, transaction};
use paralith_harness::set;

/// A guest with other block calls: each answers its request in a public event.
pub fn with(bodies: &[(&str, &str)]) -> Vec<u8> {
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

const REPORT: &str =
    "(call $emit_event (i32.const 0) (i32.const 0) (local.get $p) (local.get $len))
    (i64.const 2)";
const WRITE_AND_TRAP: &str =
    "(call $state_set (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 1)) unreachable";

fn leaves(executed: &pb::Executed) -> Vec<IoLeaf> {
    Wire::from_pb(executed.leaves.clone()).unwrap()
}

#[test]
fn begin_block_gets_the_first_messages_and_the_results_of_own_ones() {
    let mut world = World::new(with(&[("begin_block", REPORT)]), false);
    let enclave = world.enclave_with(1, |_| {});
    for _ in 0..3 {
        world.send_in(300, vec![5]);
    }
    world.queues.results = vec![queued(0, 4, 0), queued(0, 5, 2)];
    world.send_in(1, vec![]);
    let executed = world.execute(&enclave, &[]).unwrap();
    let results = executed.results.clone().unwrap();
    assert_eq!(results.in_messages_count, 2, "the runtime takes two");
    assert_eq!(results.results_taken, 2);
    let first = &world.queues.incoming[..2];
    assert_eq!(results.in_messages_hash, in_messages_hash(first).as_bytes());
    let request = request(&executed);
    let ids: Vec<u64> = request.incoming.iter().map(|message| message.id).collect();
    assert_eq!((ids, request.incoming[0].tokens.clone()), (vec![0, 1], vec![1, 44]));
    let of = |one: &abi::MessageResult| (one.round, one.index, one.code);
    let given: Vec<_> = request.message_results.iter().map(of).collect();
    assert_eq!(given, [(0, 4, 0), (0, 5, 2)]);
    assert_eq!(request.context.round, 1);

    world.finalise(&executed, &[]);
    let request = self::request(&world.execute(&enclave, &[]).unwrap());
    let ids: Vec<u64> = request.incoming.iter().map(|message| message.id).collect();
    assert_eq!((ids, request.message_results.len()), (vec![2, 3], 0), "each comes once");
}

fn queued(round: u64, index: u32, code: u32) -> QueuedResult {
    let result = MessageResult { index, module: "staking".into(), code };
    QueuedResult { round: Round(round), result }
}

/// The request that [`REPORT`] put into the block's own leaf.
fn request(executed: &pb::Executed) -> abi::BeginBlockRequest {
    let data = leaves(executed).last().unwrap().events[0].data.clone();
    abi::BeginBlockRequest::decode(data.as_slice()).unwrap()
}

#[test]
fn a_failed_begin_block_is_undone_reported_and_does_not_stop_the_round() {
    let mut world = World::new(with(&[("begin_block", WRITE_AND_TRAP)]), false);
    let enclave = world.enclave_with(1, |_| {});
    world.send_in(5, vec![]);
    world.queues.results = vec![queued(0, 0, 0)];
    world.send_in(5, vec![]);
    let batch = [transaction(&world, 10, 0, Body::Call(call("a")))];
    let executed = world.round(&enclave, &batch);
    assert_eq!(executed.changes.len(), 2, "the code and what the enclave notes of the queue");
    let results = executed.results.clone().unwrap();
    assert_eq!((results.in_messages_count, results.results_taken), (0, 0), "nothing is taken");
    let leaves = leaves(&executed);
    assert_eq!(leaves.len(), 2);
    assert_eq!(leaves[1].events[0].topic, BLOCK_ERROR);
    let released = enclave.release(1, &executed).unwrap();
    assert_eq!(released.outputs.len(), 2);
}

/// One leaf and one output more, which opens to an empty success like any other.
#[test]
fn the_block_s_own_leaf_has_an_output_that_opens() {
    const EVENT: &str = "(call $emit_event (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 1))
        (i64.const 2)";
    for (export, body) in
        [("begin_block", EVENT), ("end_block", EVENT), ("begin_block", WRITE_AND_TRAP)]
    {
        for confidential in [false, true] {
            let mut world = World::new(with(&[(export, body)]), confidential);
            let enclave = if confidential {
                world.enclave(1, &[crate::world::EPOCH])
            } else {
                world.enclave_with(1, |_| {})
            };
            for round in 1..3 {
                let raw = if confidential {
                    crate::secret(&world, 10, round, "a")
                } else {
                    transaction(&world, 10, round, Body::Call(call("a")))
                };
                let executed = world.round(&enclave, &[raw]);
                let leaves = leaves(&executed);
                assert_eq!((leaves.len(), executed.outputs.len()), (2, 2), "{export} {body}");
                assert_eq!(leaves[1].tx_hash, Hash::ZERO);
                let released = enclave.release(round, &executed).unwrap();
                let opened: Vec<OpenedOutput> = Wire::from_pb(released.outputs).unwrap();
                let matches = opened.iter().zip(&leaves).all(|(one, leaf)| one.matches(leaf));
                assert!(matches && opened.len() == 2, "{export} {body}");
                assert_eq!(opened[1].output, Output::Ok(vec![]).encode());
                assert_eq!(opened[1].blinding == Hash::ZERO, !confidential);
            }
        }
    }
}

#[test]
fn init_runs_once_and_gets_its_argument() {
    let mut world = World::new(with(&[("init", REPORT)]), false);
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
    world.send_in(5, vec![]);
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
    world.code = with(&[("migrate", REPORT)]);
    let mut changes = Changes::new();
    let code = world.runtime.code.as_mut().unwrap();
    code.id = paralith_runtime_vm::code_id(&world.code);
    set(&mut changes, paralith_consensus_api::registry::keys::runtime(&RUNTIME), &world.runtime);
    world.chain.commit(&changes);
    let enclave = world.enclave_with(1, |_| {});
    let executed = world.round(&enclave, &[]);
    let data = leaves(&executed)[0].events[0].data.clone();
    assert_eq!(abi::BlockRequest::decode(data.as_slice()).unwrap().context.round, 2);
    assert!(world.round(&enclave, &[]).leaves.is_empty());
}
