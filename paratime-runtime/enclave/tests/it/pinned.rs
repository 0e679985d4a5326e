//! What calls see of the chain: its state at the pinned height, the block before, deadlines.

use std::fmt::Write as _;

use paralith_consensus_api::beacon;
use paralith_proto::Wire;
use paralith_runtime_abi as abi;
use paralith_runtime_api::output::{IoLeaf, OpenedOutput, Output};
use paralith_runtime_api::tx::Body;
use paralith_tee_channel::pb;
use prost::Message as _;

use crate::block::with;
use crate::world::{Lie, World};
use crate::{call, code_of, guest, transaction};

fn plain(code: Vec<u8>) -> World {
    let mut world = World::new(code, false);
    world.runtime.allow_plain_calls = true;
    world.register();
    world
}

fn events(executed: &pb::Executed) -> Vec<Vec<u8>> {
    let leaves: Vec<IoLeaf> = Wire::from_pb(executed.leaves.clone()).unwrap();
    leaves.iter().flat_map(|leaf| &leaf.events).map(|event| event.data.clone()).collect()
}

/// Emits the value under the epoch's key.
fn reads_the_epoch() -> Vec<u8> {
    let key = beacon::keys::epoch();
    let body = format!(
        "(local $place i64)
        (local.set $place (call $consensus_get (i32.const 64) (i32.const {})))
        (call $emit_event (i32.const 0) (i32.const 0)
          (i32.wrap_i64 (i64.shr_u (local.get $place) (i64.const 32)))
          (i32.wrap_i64 (local.get $place)))
        (i64.const 2)",
        key.len()
    );
    let mut literal = String::new();
    key.iter().for_each(|byte| write!(literal, "\\{byte:02x}").unwrap());
    let data = format!(r#"(data (i32.const 64) "{literal}")"#);
    wat::parse_str(guest::v2_text(&[("execute", &body)], &data)).unwrap()
}

#[test]
fn a_transaction_reads_the_chain_at_the_pinned_height_and_at_no_other() {
    let world = plain(reads_the_epoch());
    let enclave = world.enclave_with(1, |_| {});
    let sent = [transaction(&world, 3, 0, Body::Call(call("")))];
    let proposal = world.proposal(&sent);
    let (then, _) = world.chain.prove(world.chain.height(), &beacon::keys::epoch()).unwrap();
    // The chain goes on, and with it the value.
    let mut changes = paralith_storage::Changes::new();
    world.epoch(&mut changes, 4, 2);
    world.chain.commit(&changes);
    enclave.sync(world.chain.height());
    let reply = enclave.call(world.execute_call(&proposal, &sent)).unwrap();
    let pb::runtime_reply::Kind::Executed(executed) = reply else { panic!() };
    assert_eq!(events(&executed), [then.unwrap()]);
}

#[test]
fn a_host_that_lies_about_the_chain_gets_no_result() {
    let world = plain(reads_the_epoch());
    for lie in [Lie::NoProof, Lie::FlipProof] {
        let enclave = world.enclave_with(1, |_| {});
        let sent = [transaction(&world, 3, 0, Body::Call(call("")))];
        enclave.lie(lie);
        assert!(world.execute(&enclave, &sent).is_err(), "{lie:?}");
    }
}

#[test]
fn a_transaction_after_its_deadline_has_no_effect() {
    let body = "(call $state_set (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 8))
        (call $commit_before (i64.const 30)) (i64.const 2)";
    let code = wat::parse_str(guest::v2_text(&[("execute", body)], "")).unwrap();
    let mut world = plain(code);
    let enclave = world.enclave_with(1, |_| {});
    while world.chain.height() < 30 {
        world.chain.commit(&paralith_storage::Changes::new());
    }
    let executed = world.round(&enclave, &[transaction(&world, 3, 0, Body::Call(call("")))]);
    let released = enclave.release(1, &executed).unwrap();
    let opened: OpenedOutput = Wire::from_pb(released.outputs[0].clone()).unwrap();
    let Output::Error(error) = paralith_proto::Canonical::decode(&opened.output, 1000).unwrap()
    else {
        panic!("it succeeded");
    };
    assert_eq!((error.module.as_str(), error.code), ("wasm", 32));
    assert_eq!(world.stored(b"\x0a"), 0);
}

#[test]
fn calls_of_a_round_know_the_block_before_from_version_2_on() {
    let report = "(call $emit_event (i32.const 0) (i32.const 0) (local.get $p) (local.get $len))
        (i64.const 2)";
    for (version, known) in [(1, false), (2, true)] {
        let mut world = World::new(with(&[("begin_block", report)]), false);
        let named = world.runtime.code.as_mut().unwrap();
        (named.abi_version, named.gas_schedule_version) = (version, version);
        world.register();
        let enclave = world.enclave_with(1, |_| {});
        let executed = world.execute(&enclave, &[]).unwrap();
        let data = events(&executed).pop().unwrap();
        let request = abi::BeginBlockRequest::decode(data.as_slice()).unwrap();
        let expected =
            if known { world.last.last_block.hash().as_bytes().to_vec() } else { vec![] };
        assert_eq!(request.context.previous_hash, expected, "version {version}");
    }
}

#[test]
fn a_module_that_needs_version_2_does_not_run_under_version_1() {
    let code = wat::parse_str(guest::v2_text(&[], "")).unwrap();
    let mut world = World::new(code, false);
    let named = world.runtime.code.as_mut().unwrap();
    (named.abi_version, named.gas_schedule_version) = (1, 1);
    world.register();
    let enclave = world.enclave_with(1, |_| {});
    let refused = world.execute(&enclave, &[]).unwrap_err();
    assert_eq!(code_of(&refused).0, "enclave", "{refused:?}");
}
