//! What a transaction must pay for its gas limit, and how many bytes a round gives.

use paralith_proto::{Canonical, Message as _, Wire};
use paralith_runtime_api::boundary::MAX_FRAME_BYTES;
use paralith_runtime_api::output::{OpenedOutput, Output};
use paralith_runtime_api::tx::{Body, Transaction, VERSION};
use paralith_runtime_enclave::{
    BLOCK_ERROR, MAX_BATCH_TRANSACTIONS, MAX_ROUND_BYTES, MAX_ROUND_LOG_BYTES, RECEIPT_BYTES,
};
use paralith_tee_channel::pb;
use paralith_types::Amount;
use pb::runtime_call::Kind as Call;

use crate::chain::key;
use crate::world::{RUNTIME, World};
use crate::{call, error_of, guest, read};

const BATCH_GAS: u64 = 1_000_000_000;
const TX_GAS: u64 = 400_000_000;

fn world(code: Vec<u8>) -> World {
    let mut world = World::new(code, false);
    world.runtime.batching.max_batch_gas = BATCH_GAS;
    world.runtime.max_tx_gas = TX_GAS;
    world.register();
    world
}

fn paying(world: &World, nonce: u64, gas_limit: u64, fee: u128) -> Vec<u8> {
    let transaction = Transaction {
        version: VERSION,
        chain_context: world.chain.context,
        runtime_id: RUNTIME,
        nonce,
        fee: Amount(fee),
        gas_limit,
        body: Body::Call(call("a")),
    };
    transaction.sign(&key(10)).encode()
}

/// A limit reserves room in the batch, so it is paid for whether it is used or not, and before the
/// runtime sees the transaction: in the pool and in the round alike.
#[test]
fn a_gas_limit_is_within_the_runtime_s_and_paid_for() {
    let mut world = world(crate::code());
    world.runtime.min_gas_price = Amount(3);
    world.register();
    let enclave = world.enclave_with(1, |_| {});
    let huge = u128::MAX;
    let cases = [
        (1_000_000, 3_000_000, None),
        (1_000_000, 2_999_999, Some(10)),
        (1_000_000, 0, Some(10)),
        (TX_GAS, huge, None),
        (TX_GAS + 1, huge, Some(9)),
        (u64::MAX, huge, Some(9)),
    ];
    for (round, (gas_limit, fee, code)) in (1..).zip(cases) {
        let raw = paying(&world, round, gas_limit, fee);
        let check = Call::Check(pb::Check { transactions: vec![raw.clone()] });
        let checked = pb::CheckResults::decode(enclave.bytes(check).as_slice()).unwrap();
        let checked = Output::from_pb(checked.results[0].clone()).unwrap();
        let batch = std::slice::from_ref(&raw);
        let call = world.execute_call(&world.proposal(batch), batch);
        if gas_limit > BATCH_GAS {
            // No proposal may have it at all.
            assert_eq!(crate::code_of(&enclave.call(call).unwrap_err()), ("enclave", 13));
            assert_eq!(error_of(&checked), ("paratime".to_string(), 9));
            continue;
        }
        let before = world.stored(b"n");
        let executed = world.round(&enclave, &[raw]);
        let released = enclave.release(round, &executed).unwrap();
        let output = Output::decode(&released.outputs[0].output, 10_000).unwrap();
        match code {
            None => assert!(matches!((output, checked), (Output::Ok(_), Output::Ok(_)))),
            Some(code) => {
                let expected = ("paratime".to_string(), code);
                assert_eq!((error_of(&output), error_of(&checked)), (expected.clone(), expected));
                assert_eq!(world.stored(b"n"), before, "`authenticate` was not called");
                assert_eq!(executed.leaves[0].gas_used, 0);
            }
        }
    }
}

#[test]
fn a_price_that_overflows_cannot_be_paid() {
    let mut world = world(crate::code());
    world.runtime.min_gas_price = Amount(u128::MAX / 2);
    world.register();
    let enclave = world.enclave_with(1, |_| {});
    let raw = paying(&world, 0, 3, u128::MAX - 1);
    let executed = world.round(&enclave, &[raw]);
    let released = enclave.release(1, &executed).unwrap();
    assert_eq!(error_of(&read(&world, &released.outputs[0])), ("paratime".to_string(), 10));
}

/// `execute` writes 6 MB, `end_block` 2 MB, each call under keys of its own.
fn writer() -> Vec<u8> {
    let write = |name: &str, count: u32| {
        format!(
            r#"(func (export "{name}") (param $p i32) (param $len i32) (result i64)
              (local $n i32)
              (call $sha256 (local.get $p) (local.get $len) (i32.const 64))
              (loop $next
                (i32.store (i32.const 96) (local.get $n))
                (call $state_set (i32.const 64) (i32.const 36) (i32.const 4096) (i32.const 100000))
                (local.set $n (i32.add (local.get $n) (i32.const 1)))
                (br_if $next (i32.lt_u (local.get $n) (i32.const {count}))))
              (i64.const 2))"#
        )
    };
    let text = [write("execute", 60), write("end_block", 20)].concat();
    wat::parse_str(guest::text(&["execute", "end_block"], &text)).unwrap()
}

/// A call that would make the round larger than it may be leaves nothing behind and says so; the
/// others, and `end_block`, go on.
#[test]
fn what_a_round_gives_is_bounded_call_by_call() {
    let mut world = world(writer());
    world.runtime.batching.max_batch_gas = 5 * TX_GAS;
    world.runtime.batching.max_batch_size = 5;
    world.register();
    let enclave = world.enclave_with(1, |_| {});
    let other = world.enclave_with(2, |_| {});
    let raws: Vec<_> = (0..5).map(|nonce| paying(&world, nonce, TX_GAS, 0)).collect();
    let executed = world.execute(&enclave, &raws).unwrap();
    assert!(executed.encoded_len() > MAX_ROUND_BYTES / 2);
    assert!(executed.encoded_len() < MAX_ROUND_BYTES + 6 * RECEIPT_BYTES);
    assert_eq!(executed.results, world.execute(&other, &raws).unwrap().results);
    world.finalise(&executed, &raws);
    enclave.sync(world.chain.height());
    let released = enclave.release(1, &executed).unwrap();
    let opened: Vec<OpenedOutput> = Wire::from_pb(released.outputs).unwrap();
    let outputs: Vec<Output> =
        opened.iter().map(|one| Output::decode(&one.output, 10_000).unwrap()).collect();
    assert!(outputs[..4].iter().all(|one| matches!(one, Output::Ok(_))));
    assert_eq!(error_of(&outputs[4]), ("host".to_string(), 3));
    assert_eq!(executed.changes.len(), 1 + 4 * 60 + 20, "nothing of the fifth");
    assert!(executed.leaves.iter().all(|leaf| leaf.events.iter().all(|e| e.topic != BLOCK_ERROR)));
}

#[test]
fn a_whole_round_fits_into_a_frame() {
    let receipts = MAX_BATCH_TRANSACTIONS as usize * RECEIPT_BYTES;
    let most = MAX_ROUND_BYTES + receipts + MAX_ROUND_LOG_BYTES;
    assert!(most + 1024 * 1024 < MAX_FRAME_BYTES, "{most}");
}
