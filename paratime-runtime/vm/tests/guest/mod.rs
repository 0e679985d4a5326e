//! Guests in text form, and what they run in.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

use std::collections::BTreeMap;
use std::sync::OnceLock;

use paralith_runtime_vm::{
    CallEnv, CallError, CallResult, ConsensusRead, Engine, Export, Module, State, StateError, Trap,
    TrapKind,
};

/// Enough for every guest here that ends.
pub const GAS: u64 = 50_000_000;

/// Every import, under its own name.
pub const IMPORTS: &str = r#"
  (import "paralith_v1" "state_get" (func $state_get (param i32 i32) (result i64)))
  (import "paralith_v1" "state_set" (func $state_set (param i32 i32 i32 i32)))
  (import "paralith_v1" "state_remove" (func $state_remove (param i32 i32)))
  (import "paralith_v1" "random" (func $random (param i32 i32)))
  (import "paralith_v1" "derive_key" (func $derive_key (param i32 i32 i32)))
  (import "paralith_v1" "emit_message" (func $emit_message (param i32 i32) (result i32)))
  (import "paralith_v1" "emit_event" (func $emit_event (param i32 i32 i32 i32)))
  (import "paralith_v1" "request_reveal" (func $request_reveal (param i32 i32)))
  (import "paralith_v1" "log" (func $log (param i32 i32)))
  (import "paralith_v1" "sha256" (func $sha256 (param i32 i32 i32)))
  (import "paralith_v1" "ed25519_verify" (func $ed25519_verify (param i32 i32 i32 i32) (result i32)))
"#;

pub const MEMORY: &str = r#"(memory (export "memory") 2)"#;

/// A bump allocator that starts at 4096.
pub const ALLOC: &str = r#"
  (global $heap (mut i32) (i32.const 4096))
  (func $alloc (export "paralith_alloc") (param $len i32) (result i32)
    (global.get $heap)
    (global.set $heap (i32.add (global.get $heap) (local.get $len))))
"#;

/// Entry points that answer nothing, but for those in `except`.
pub fn entry_points(except: &[&str]) -> String {
    let names = paralith_runtime_abi::EXPORTS.iter().filter(|name| !except.contains(name));
    names
        .map(|name| {
            // Bytes 0 and 1 are an empty success.
            format!("(func (export \"{name}\") (param i32 i32) (result i64) (i64.const 2))\n")
        })
        .collect()
}

/// A whole guest. `rest` may use every import, `$len`, and these:
/// `$ok`, an empty success, and `$answer(v)`, a success of eight bytes.
pub fn text(except: &[&str], rest: &str) -> String {
    format!(
        r#"(module {IMPORTS} {MEMORY} {ALLOC}
        (data (i32.const 0) "\0a\00")
        (data (i32.const 16) "\0a\08")
        (func $answer (param i64) (result i64)
          (i64.store (i32.const 18) (local.get 0))
          (i64.const 0x100000000a))
        {} {rest})"#,
        entry_points(except)
    )
}

/// A guest whose `execute` has this body. `functions` come beside it.
pub fn executes(body: &str, functions: &str) -> Module {
    let execute = format!(
        r#"(func $execute (export "execute") (param $request i32) (param $len i32) (result i64)
          {body})"#
    );
    compile(&text(&["execute"], &format!("{functions} {execute}")))
}

pub fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| Engine::new().unwrap())
}

pub fn compile(text: &str) -> Module {
    engine().compile(&wat::parse_str(text).unwrap()).unwrap()
}

/// State in memory, which fails on demand.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Memory {
    pub entries: BTreeMap<Vec<u8>, Vec<u8>>,
    pub broken: bool,
}

impl State for Memory {
    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        if self.broken {
            return Err(StateError { reason: "a node is missing".into() });
        }
        Ok(self.entries.get(key).cloned())
    }

    fn set(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) -> Result<(), StateError> {
        if self.broken {
            return Err(StateError { reason: "a node is missing".into() });
        }
        match value {
            Some(value) => self.entries.insert(key, value),
            None => self.entries.remove(&key),
        };
        Ok(())
    }
}

/// The surroundings of most tests.
pub fn env(state: &mut Memory) -> CallEnv<'_> {
    CallEnv {
        state,
        consensus: None,
        pinned_height: Some(40),
        timers: true,
        randomness: [7; 32],
        secret: Some([9; 32]),
        round: 5,
        log_allowed: true,
        max_messages: 2,
        messages_before: 0,
        messages: None,
    }
}

pub fn call(module: &Module, export: Export, gas: u64) -> Result<CallResult, CallError> {
    module.call(export, b"request", env(&mut Memory::default()), gas)
}

/// Calls `execute` on fresh state.
pub fn execute(module: &Module) -> Result<CallResult, CallError> {
    call(module, Export::Execute, GAS)
}

/// The eight bytes that `$answer` gave.
pub fn answer(result: Result<CallResult, CallError>) -> u64 {
    u64::from_le_bytes(result.unwrap().outcome.unwrap().try_into().unwrap())
}

/// The trap that a call ended with.
pub fn trap(result: Result<CallResult, CallError>) -> Trap {
    match result {
        Err(CallError::Guest(trap)) => trap,
        other => panic!("no trap: {other:?}"),
    }
}

/// The kind of trap that `execute` with this body ends with.
pub fn trap_of(body: &str, functions: &str) -> TrapKind {
    trap(execute(&executes(body, functions))).kind
}

/// Every import of version 2, under its own name.
pub const IMPORTS_V2: &str = r#"
  (import "paralith_v2" "consensus_get" (func $consensus_get (param i32 i32) (result i64)))
  (import "paralith_v2" "wake_at" (func $wake_at (param i64)))
  (import "paralith_v2" "commit_before" (func $commit_before (param i64)))
  (import "paralith_v2" "bls_possession" (func $bls_possession (param i32 i32 i32 i32) (result i32)))
  (import "paralith_v2" "bls_verify" (func $bls_verify (param i32 i32 i32 i32 i32) (result i32)))
  (import "paralith_v2" "keccak256" (func $keccak256 (param i32 i32 i32)))
  (import "paralith_v2" "secp256k1_recover" (func $secp256k1_recover (param i32 i32 i32 i32) (result i32)))
  (import "paralith_v2" "crypto" (func $crypto (param i32 i32 i32) (result i64)))
  (import "paralith_v2" "hpke_seal" (func $hpke_seal (param i32 i32 i32 i32 i32 i32 i32 i32) (result i64)))
"#;

/// A guest of version 2, in text form, with these entry points. `functions` come beside them.
pub fn v2_text(entries: &[(&str, &str)], functions: &str) -> String {
    let names: Vec<&str> = entries.iter().map(|(name, _)| *name).collect();
    let entries: String = entries
        .iter()
        .map(|(name, body)| {
            format!(
                r#"(func (export "{name}") (param $request i32) (param $len i32) (result i64)
                  {body})"#
            )
        })
        .collect();
    let text = text(&names, &format!("{functions} {entries}"));
    text.replacen("(module", &format!("(module {IMPORTS_V2}"), 1)
}

/// A guest of version 2 whose entry points `names` have this body. `functions` come beside them.
pub fn v2(names: &[&str], body: &str, functions: &str) -> Module {
    let entries: Vec<(&str, &str)> = names.iter().map(|name| (*name, body)).collect();
    compile(&v2_text(&entries, functions))
}

/// Consensus state in memory, which fails on demand.
#[derive(Debug, Default)]
pub struct Consensus(pub Memory);

impl ConsensusRead for Consensus {
    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        State::get(&mut self.0, key)
    }
}
