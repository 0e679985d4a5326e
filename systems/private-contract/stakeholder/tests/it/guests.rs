//! Contracts for tests.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use paralith_runtime_vm::Engine;

pub(crate) fn engine() -> Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| Engine::new().unwrap()).clone()
}

/// A module as it was recorded for `tests/replay`: `counter`, `tokens`.
pub(crate) fn recorded(name: &str) -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(3).unwrap();
    let path = root.join(format!("tests/replay/recorded/{name}.wasm.gz"));
    let output = Command::new("gzip").arg("-dc").arg(path).output().unwrap();
    assert!(output.status.success());
    output.stdout
}

const NAMES: [&str; 9] = [
    "init",
    "begin_block",
    "authenticate",
    "execute",
    "end_block",
    "check",
    "query",
    "reveal",
    "migrate",
];

/// A small guest: each entry point that is not given answers with an empty success. `$ok` is that success,
/// `$answer(v)` one of eight bytes, `$fail` a refusal.
pub(crate) fn guest(entries: &[(&str, &str)], rest: &str) -> Vec<u8> {
    let body = |name: &str| {
        let given = entries.iter().find(|(given, _)| *given == name);
        given.map_or("(i64.const 2)", |(_, body)| *body).to_owned()
    };
    let entries: String = NAMES
        .iter()
        .map(|name| {
            let body = body(name);
            format!(
                "(func (export \"{name}\") (param $at i32) (param $len i32) (result i64) {body})\n"
            )
        })
        .collect();
    let text = format!(
        r#"(module
        (import "paralith_v1" "state_get" (func $get (param i32 i32) (result i64)))
        (import "paralith_v1" "state_set" (func $set (param i32 i32 i32 i32)))
        (import "paralith_v1" "random" (func $random (param i32 i32)))
        (import "paralith_v1" "derive_key" (func $derive (param i32 i32 i32)))
        (import "paralith_v1" "emit_message" (func $emit (param i32 i32) (result i32)))
        (import "paralith_v1" "emit_event" (func $event (param i32 i32 i32 i32)))
        (import "paralith_v1" "request_reveal" (func $reveal (param i32 i32)))
        (import "paralith_v2" "wake_at" (func $wake (param i64)))
        (import "paralith_v2" "consensus_get" (func $consensus (param i32 i32) (result i64)))
        (memory (export "memory") 2)
        (global $heap (mut i32) (i32.const 8192))
        (func (export "paralith_alloc") (param $len i32) (result i32)
          (global.get $heap)
          (global.set $heap (i32.add (global.get $heap) (local.get $len))))
        (data (i32.const 0) "\0a\00")
        (data (i32.const 16) "\0a\08")
        (data (i32.const 64) "n")
        (data (i32.const 80) "\12\00")
        (func $ok (result i64) (i64.const 2))
        (func $fail (result i64) (i64.const 0x5000000002))
        (func $answer (param i64) (result i64)
          (i64.store (i32.const 18) (local.get 0))
          (i64.const 0x100000000a))
        (func $read (result i64) (local $place i64)
          (local.set $place (call $get (i32.const 64) (i32.const 1)))
          (if (result i64) (i64.eq (local.get $place) (i64.const -1))
            (then (i64.const 0))
            (else (i64.load (i32.wrap_i64 (i64.shr_u (local.get $place) (i64.const 32)))))))
        (func $write (param i64)
          (i64.store (i32.const 72) (local.get 0))
          (call $set (i32.const 64) (i32.const 1) (i32.const 72) (i32.const 8)))
        {rest}
        {entries})"#
    );
    wat::parse_str(text).unwrap()
}

/// Adds one to the number under `n` with each transaction.
pub(crate) fn adder() -> Vec<u8> {
    guest(
        &[(
            "execute",
            "(call $write (i64.add (call $read) (i64.const 1))) (call $answer (call $read))",
        )],
        "",
    )
}
