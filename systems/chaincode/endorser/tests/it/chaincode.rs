//! A chaincode whose calls say in their last byte what they do.

use paralith_runtime_abi as abi;
use prost::Message as _;

use crate::guest;

/// The last three bytes of the arguments are a key, a value and what to do.
///
/// | | |
/// |---|---|
/// | `p` | writes the value |
/// | `b` | writes it, and answers what it then reads |
/// | `g` | answers the value, or -1 |
/// | `x` | removes it |
/// | `c` | reads it and writes it back as it is |
/// | `t` | writes it and traps |
/// | `r` | answers random bytes |
/// | `e` | emits an event, and writes the value |
/// | `m` | answers what `emit_message` answers |
/// | `v` | asks to reveal "h" |
/// | `d` | writes the value, to be ordered below height 500 |
/// | `w`, `q` | writes, or reads, 5000 entries |
pub fn code() -> Vec<u8> {
    let message = abi::ConsensusMessage {
        kind: Some(abi::ConsensusMessageKind::Transfer(abi::TransferMessage {
            to: vec![1; 21],
            amount: vec![1],
        })),
    };
    let bytes = message.encode_to_vec();
    let escaped: String = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
    let functions = format!(
        r#"(data (i32.const 64) "h")
        (data (i32.const 80) "{escaped}")
        (func $at (param i32 i32) (result i32)
          (i32.sub (i32.add (local.get 0) (local.get 1)) (i32.const 3)))
        (func $get (param $at i32) (result i64) (local $place i64)
          (local.set $place (call $state_get (local.get $at) (i32.const 1)))
          (if (result i64) (i64.eq (local.get $place) (i64.const -1))
            (then (i64.const -1))
            (else (i64.extend_i32_u
              (i32.load8_u (i32.wrap_i64 (i64.shr_u (local.get $place) (i64.const 32))))))))
        ;; The first byte of the keys is 0: keys that begin with 0xff are the host's.
        (func $many (param $read i32) (local $i i32)
          (loop $next
            (i32.store (i32.const 200) (local.get $i))
            (if (local.get $read)
              (then (drop (call $state_get (i32.const 199) (i32.const 5))))
              (else (call $state_set (i32.const 199) (i32.const 5) (i32.const 64) (i32.const 1))))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $next (i32.lt_u (local.get $i) (i32.const 5000)))))"#
    );
    let is = |mode: char, then: &str| {
        format!("(if (i32.eq (local.get $mode) (i32.const {})) (then {then}))", mode as u32)
    };
    let put = "(call $state_set (local.get $at) (i32.const 1)
        (i32.add (local.get $at) (i32.const 1)) (i32.const 1))";
    let execute = [
        "(local $at i32) (local $mode i32)
        (local.set $at (call $at (local.get $request) (local.get $len)))
        (local.set $mode (i32.load8_u offset=2 (local.get $at)))"
            .to_string(),
        is('g', "(return (call $answer (call $get (local.get $at))))"),
        is(
            'm',
            &format!(
                "(return (call $answer (i64.extend_i32_s
                (call $emit_message (i32.const 80) (i32.const {})))))",
                bytes.len()
            ),
        ),
        is(
            'r',
            "(call $random (i32.const 136) (i32.const 8))
            (return (call $answer (i64.load (i32.const 136))))",
        ),
        is('x', "(call $state_remove (local.get $at) (i32.const 1)) (return (i64.const 2))"),
        is('v', "(call $request_reveal (i32.const 64) (i32.const 1)) (return (i64.const 2))"),
        is('w', "(call $many (i32.const 0)) (return (i64.const 2))"),
        is('q', "(call $many (i32.const 1)) (return (i64.const 2))"),
        is(
            'c',
            "(i64.store (i32.const 160) (call $get (local.get $at)))
            (call $state_set (local.get $at) (i32.const 1) (i32.const 160) (i32.const 1))
            (return (i64.const 2))",
        ),
        is('d', "(call $commit_before (i64.const 500)) (call $commit_before (i64.const 900))"),
        put.to_string(),
        is('t', "unreachable"),
        is('e', "(call $emit_event (i32.const 64) (i32.const 1) (local.get $at) (i32.const 2))"),
        is('b', "(return (call $answer (call $get (local.get $at))))"),
        "(i64.const 2)".to_string(),
    ]
    .join("\n");
    let query = "(call $answer (call $get (call $at (local.get $request) (local.get $len))))";
    let reveal = "(call $random (i32.const 136) (i32.const 8))
        (call $answer (i64.load (i32.const 136)))";
    let entries = [("execute", execute.as_str()), ("query", query), ("reveal", reveal)];
    wat::parse_str(guest::v2_text(&entries, &functions)).unwrap()
}
