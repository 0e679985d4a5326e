//! The enclave against a host that works, and against hosts that lie. Consensus state, headers,
//! proofs, the key manager's reply and the guest are real.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(missing_docs, unreachable_pub, missing_debug_implementations)]

mod block;
mod execute;
#[path = "../../../vm/tests/guest/mod.rs"]
mod guest;
mod hosts;
mod inbox;
mod limits;
mod outputs;
mod pinned;
mod public;
mod start;
mod timers;
mod waits;
mod world;

use paralith_proto::{Canonical, Wire};
use paralith_runtime_api::envelope::{Info, open_reply, seal_call};
use paralith_runtime_api::output::{OpenedOutput, Output, SealedReply};
use paralith_runtime_api::tx::{Body, Call, Envelope, Transaction, VERSION};
use paralith_tee_channel::Failure;
use paralith_types::{Amount, Epoch, Round};

use paralith_harness::key;
use world::{EPOCH, RUNTIME, World, enclave_key};

pub const REPLY_KEY: [u8; 32] = [44; 32];

/// `authenticate` counts under the key "n". `execute` writes "x" and answers with random bytes; the
/// last byte of its arguments says more: `t` traps after the write, `r` asks to reveal "h".
/// `query` answers the count, `reveal` random bytes.
pub fn code() -> Vec<u8> {
    let except = ["authenticate", "execute", "query", "reveal"];
    let text = guest::text(
        &except,
        r#"(data (i32.const 64) "nxh")
        (func $n (result i64) (local $place i64)
          (local.set $place (call $state_get (i32.const 64) (i32.const 1)))
          (if (result i64) (i64.eq (local.get $place) (i64.const -1))
            (then (i64.const 0))
            (else (i64.load (i32.wrap_i64 (i64.shr_u (local.get $place) (i64.const 32)))))))
        (func (export "authenticate") (param i32 i32) (result i64)
          (i64.store (i32.const 128) (i64.add (call $n) (i64.const 1)))
          (call $state_set (i32.const 64) (i32.const 1) (i32.const 128) (i32.const 8))
          (i64.const 2))
        (func (export "execute") (param $request i32) (param $len i32) (result i64)
          (local $mode i32)
          (local.set $mode (i32.load8_u
            (i32.sub (i32.add (local.get $request) (local.get $len)) (i32.const 1))))
          (call $state_set (i32.const 65) (i32.const 1) (i32.const 64) (i32.const 3))
          (if (i32.eq (local.get $mode) (i32.const 116)) (then unreachable))
          (if (i32.eq (local.get $mode) (i32.const 114))
            (then (call $request_reveal (i32.const 66) (i32.const 1))))
          (call $random (i32.const 136) (i32.const 8))
          (call $answer (i64.load (i32.const 136))))
        (func (export "query") (param i32 i32) (result i64) (call $answer (call $n)))
        (func (export "reveal") (param i32 i32) (result i64)
          (call $random (i32.const 136) (i32.const 8))
          (call $answer (i64.load (i32.const 136))))"#,
    );
    wat::parse_str(text).unwrap()
}

pub fn call(args: &str) -> Call {
    Call { method: "do".into(), args: args.as_bytes().to_vec() }
}

pub fn envelope(world: &World, sender: u8, nonce: u64, epoch: u64, args: &str) -> Envelope {
    let (chain, sender) = (world.chain.context, key(sender).public());
    let info = Info::transaction(chain, RUNTIME, Epoch(epoch), &sender, nonce);
    let runtime_key = enclave_key(epoch).public();
    seal_call(&runtime_key, &info, call(args), REPLY_KEY, [nonce as u8 + 1; 32]).unwrap()
}

pub fn transaction(world: &World, sender: u8, nonce: u64, body: Body) -> Vec<u8> {
    let transaction = Transaction {
        version: VERSION,
        chain_context: world.chain.context,
        runtime_id: RUNTIME,
        nonce,
        fee: Amount(0),
        gas_limit: 10_000_000,
        body,
    };
    transaction.sign(&key(sender)).encode()
}

/// An encrypted call of the running epoch.
pub fn secret(world: &World, sender: u8, nonce: u64, args: &str) -> Vec<u8> {
    let envelope = envelope(world, sender, nonce, EPOCH, args);
    transaction(world, sender, nonce, Body::Envelope(envelope))
}

pub fn code_of(failure: &Failure) -> (&str, u32) {
    (failure.module.as_str(), failure.code)
}

/// What the sender reads in a released output.
pub fn read(world: &World, opened: &paralith_proto::pb::paratime::v1::OpenedOutput) -> Output {
    let opened: OpenedOutput = Wire::from_pb(opened.clone()).unwrap();
    let header = &world.last.last_block;
    let Ok(reply) = SealedReply::decode(&opened.output, 10_000) else {
        return Output::decode(&opened.output, 10_000).unwrap();
    };
    let Round(round) = header.round;
    let (subject, place) = (&opened.tx_hash, &header.proposal_id);
    let plain = open_reply(&REPLY_KEY, subject, Round(round), place, &reply.sealed).unwrap();
    Output::decode(&plain, 10_000).unwrap()
}

/// Module and code of an error.
pub fn error_of(output: &Output) -> (String, u32) {
    match output {
        Output::Error(error) => (error.module.clone(), error.code),
        Output::Ok(value) => panic!("not an error: {value:?}"),
    }
}
