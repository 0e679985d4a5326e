//! What host functions do, and that a call is the same every time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod guest;

use std::fmt::Write as _;

use guest::{GAS, Memory, answer, call, compile, env, execute, executes, text, trap, trap_of};
use paralith_runtime_abi::{ConsensusMessage, ConsensusMessageKind, TransferMessage};
use paralith_runtime_vm::{CallEnv, Export, MessageSink, TrapKind};
use prost::Message as _;

/// Bytes as a string of the text format.
fn literal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "\\{byte:02x}").unwrap();
        text
    })
}

/// Returns 32 bytes at 1026 as the answer.
const ANSWER_32: &str =
    "(i32.store16 (i32.const 1024) (i32.const 0x200a)) (i64.const 0x0000040000000022)";

#[test]
fn what_is_written_is_read_back_and_what_is_removed_is_absent() {
    let module = executes(
        "(local $place i64)
        (if (i64.ne (call $state_get (i32.const 64) (i32.const 3)) (i64.const -1)) (then unreachable))
        (call $state_set (i32.const 64) (i32.const 3) (i32.const 70) (i32.const 8))
        (local.set $place (call $state_get (i32.const 64) (i32.const 3)))
        (if (i64.ne (i64.and (local.get $place) (i64.const 0xffffffff)) (i64.const 8)) (then unreachable))
        (call $state_set (i32.const 65) (i32.const 2) (i32.const 70) (i32.const 0))
        (call $state_remove (i32.const 64) (i32.const 3))
        (if (i64.ne (call $state_get (i32.const 64) (i32.const 3)) (i64.const -1)) (then unreachable))
        (call $answer (i64.load (i32.wrap_i64 (i64.shr_u (local.get $place) (i64.const 32)))))",
        r#"(data (i32.const 64) "key...\01\02\03\04\05\06\07\08")"#,
    );
    let mut state = Memory::default();
    let result = module.call(Export::Execute, b"request", env(&mut state), GAS);
    assert_eq!(answer(result), 0x0807_0605_0403_0201);
    assert_eq!(state.entries, [(b"ey".to_vec(), vec![])].into());
}

#[test]
fn the_request_arrives_as_it_was_sent() {
    let module = executes(
        "(if (i32.ne (local.get $len) (i32.const 8)) (then unreachable))
        (call $answer (i64.load (local.get $request)))",
        "",
    );
    let result = module.call(
        Export::Execute,
        b"\x01\x02\x03\x04\x05\x06\x07\x08",
        env(&mut Memory::default()),
        GAS,
    );
    assert_eq!(answer(result), 0x0807_0605_0403_0201);
}

#[test]
fn nothing_survives_between_calls() {
    let module = executes(
        "(call $answer (i64.add (i64.extend_i32_u (global.get $g)) (i64.load (i32.const 100000))))
        (global.set $g (i32.const 1)) (i64.store (i32.const 100000) (i64.const 1))
        (drop (memory.grow (i32.const 3))) (memory.fill (i32.const 200000) (i32.const 1) (i32.const 9))",
        "(global $g (mut i32) (i32.const 0))",
    );
    let first = execute(&module).unwrap();
    for _ in 0..40 {
        assert_eq!(execute(&module).unwrap(), first);
    }
    assert_eq!(answer(Ok(first)), 0);
}

#[test]
fn calls_are_the_same_on_every_thread() {
    let module = executes(
        "(call $random (i32.const 1024) (i32.const 32))
        (call $emit_event (i32.const 0) (i32.const 2) (i32.const 1024) (i32.const 32))
        (call $answer (i64.load (i32.const 1024)))",
        "",
    );
    let first = execute(&module).unwrap();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let module = module.clone();
            std::thread::spawn(move || {
                (0..50).map(|_| execute(&module).unwrap()).collect::<Vec<_>>()
            })
        })
        .collect();
    for thread in threads {
        assert!(thread.join().unwrap().into_iter().all(|result| result == first));
    }
}

#[test]
fn random_bytes_come_from_the_seed_and_do_not_repeat() {
    let module = executes(
        "(call $random (i32.const 1024) (i32.const 40))
        (call $random (i32.const 1064) (i32.const 24))
        (call $emit_event (i32.const 0) (i32.const 0) (i32.const 1024) (i32.const 64)) (i64.const 2)",
        "",
    );
    let drawn = |seed: u8| {
        let mut state = Memory::default();
        let env = CallEnv { randomness: [seed; 32], ..env(&mut state) };
        module.call(Export::Execute, b"", env, GAS).unwrap().effects.events[0].1.clone()
    };
    assert_eq!(drawn(7), drawn(7));
    assert_ne!(drawn(7), drawn(8));
    let bytes = drawn(7);
    assert_ne!(bytes[..24], bytes[40..]);
    assert_eq!(
        hex::encode(&bytes),
        "8a07f5937fcb5a02eff3ee4622e8b6fe7df13f1eb972a1c79cade770cf6e4541ce92379c6fed157a55998612f48f82b65b922b95e842e15678677a8301336482"
    );
}

#[test]
fn keys_are_hmac_sha256_of_the_purpose() {
    // RFC 4231, test case 2, with the key padded to its block as HMAC does itself.
    let module = executes(
        &format!("(call $derive_key (i32.const 64) (i32.const 28) (i32.const 1026)) {ANSWER_32}"),
        r#"(data (i32.const 64) "what do ya want for nothing?")"#,
    );
    let mut secret = [0; 32];
    secret[..4].copy_from_slice(b"Jefe");
    let mut state = Memory::default();
    let with_secret = CallEnv { secret: Some(secret), ..env(&mut state) };
    let key = module.call(Export::Execute, b"", with_secret, GAS).unwrap().outcome.unwrap();
    assert_eq!(
        hex::encode(key),
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    );
    let mut state = Memory::default();
    let public = CallEnv { secret: None, ..env(&mut state) };
    let result = module.call(Export::Execute, b"", public, GAS);
    assert_eq!(trap(result).kind, TrapKind::PublicRuntime);
}

#[test]
fn sha256_is_sha256() {
    let module = executes(
        &format!("(call $sha256 (i32.const 64) (i32.const 3) (i32.const 1026)) {ANSWER_32}"),
        r#"(data (i32.const 64) "abc")"#,
    );
    assert_eq!(
        hex::encode(execute(&module).unwrap().outcome.unwrap()),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
}

#[test]
fn signatures_are_judged_by_zip_215() {
    // RFC 8032, test 2; and the identity as key and commitment, which only ZIP-215 accepts.
    let key = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
    let signature = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
                     085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";
    let identity = format!("01{}", "00".repeat(31));
    let small_order = format!("{identity}{}", "00".repeat(32));
    for (key, signature, message, valid) in [
        (key, signature, 0x72, 1),
        (key, signature, 0x73, 0),
        (&identity, &small_order, 0x72, 1),
        (&"ff".repeat(32), signature, 0x72, 0),
    ] {
        let bytes = hex::decode(format!("{key}{signature}{message:02x}")).unwrap();
        let module = executes(
            "(call $answer (i64.extend_i32_u (call $ed25519_verify (i32.const 64) (i32.const 96)
              (i32.const 160) (i32.const 1))))",
            &format!("(data (i32.const 64) \"{}\")", literal(&bytes)),
        );
        assert_eq!(answer(execute(&module)), valid);
    }
}

#[test]
fn messages_are_counted_and_refused_when_the_round_is_full() {
    let transfer = TransferMessage { to: vec![1; 21], amount: vec![5] };
    let message = ConsensusMessage { kind: Some(ConsensusMessageKind::Transfer(transfer)) };
    let bytes = message.encode_to_vec();
    let emit = format!("(call $emit_message (i32.const 64) (i32.const {}))", bytes.len());
    let data = format!("(data (i32.const 64) \"{}\")", literal(&bytes));
    let body = format!(
        "(if {emit} (then unreachable))
        (if (i32.ne {emit} (i32.const 1)) (then unreachable))
        (call $answer (i64.extend_i32_s {emit}))"
    );
    let result = execute(&executes(&body, &data)).unwrap();
    assert_eq!(result.effects.messages, vec![message; 2]);
    assert_eq!(answer(Ok(result)), u64::MAX);
    for (ptr, len) in [(64, 0), (64, bytes.len() - 1), (65, 3)] {
        let body = format!(
            "(drop (call $emit_message (i32.const {ptr}) (i32.const {len}))) (i64.const 2)"
        );
        assert_eq!(trap_of(&body, &data), TrapKind::BadMessage);
    }
}

/// Takes up to two messages.
#[derive(Default)]
struct Two(u32);

impl MessageSink for Two {
    fn take(&mut self, _: &ConsensusMessage) -> bool {
        let room = self.0 < 2;
        self.0 += u32::from(room);
        room
    }

    fn take_back(&mut self, count: u32) {
        self.0 -= count;
    }
}

#[test]
fn a_sink_refuses_messages_and_takes_back_those_of_a_call_that_is_undone() {
    let transfer = TransferMessage { to: vec![1; 21], amount: vec![5] };
    let message = ConsensusMessage { kind: Some(ConsensusMessageKind::Transfer(transfer)) };
    let bytes = message.encode_to_vec();
    let emit = format!("(call $emit_message (i32.const 64) (i32.const {}))", bytes.len());
    let data = format!("(data (i32.const 64) \"{}\")", literal(&bytes));
    let mut sink = Two::default();
    let mut run = |body: &str| {
        let mut state = Memory::default();
        let env = CallEnv { messages: Some(&mut sink), max_messages: 9, ..env(&mut state) };
        let module = executes(body, &data);
        let result = module.call(Export::Execute, b"", env, GAS);
        (result, sink.0)
    };
    let (undone, taken) = run(&format!("(drop {emit}) (drop {emit}) (drop {emit}) unreachable"));
    assert_eq!((trap(undone).kind, taken), (TrapKind::Unreachable, 0));
    // A refusal: tag 2, of length 0.
    let refuse = "(i32.store16 (i32.const 200) (i32.const 0x0012)) (i64.const 0xc800000002)";
    let (refused, taken) = run(&format!("(drop {emit}) {refuse}"));
    assert!(refused.unwrap().outcome.is_err());
    assert_eq!(taken, 0);
    let (kept, taken) = run(&format!("(drop {emit}) (i64.const 2)"));
    assert_eq!((kept.unwrap().effects.messages.len(), taken), (1, 1));
    // One more fits; the next is answered with -1, and the call goes on.
    let (kept, taken) = run(&format!("(drop {emit}) (call $answer (i64.extend_i32_s {emit}))"));
    assert_eq!(kept.as_ref().unwrap().effects.messages.len(), 1);
    assert_eq!((answer(kept), taken), (u64::MAX, 2));
}

#[test]
fn events_reveals_and_logs_come_out_in_order() {
    let module = executes(
        "(call $log (i32.const 64) (i32.const 2))
        (call $emit_event (i32.const 64) (i32.const 1) (i32.const 65) (i32.const 1))
        (call $emit_event (i32.const 66) (i32.const 1) (i32.const 67) (i32.const 0))
        (call $request_reveal (i32.const 64) (i32.const 3))
        (i64.const 2)",
        r#"(data (i32.const 64) "abcdef")"#,
    );
    let mut state = Memory::default();
    let result = module.call(Export::Execute, b"", env(&mut state), GAS).unwrap();
    assert_eq!(result.effects.logs, ["ab"]);
    assert_eq!(
        result.effects.events,
        [(b"a".to_vec(), b"b".to_vec()), (b"c".to_vec(), b"".to_vec())]
    );
    assert_eq!(result.effects.reveals, [b"abc"]);
    assert_eq!(state.entries, [(b"\xffreveal/abc".to_vec(), 5_u64.to_be_bytes().to_vec())].into());

    let mut state = Memory::default();
    let silent = CallEnv { log_allowed: false, ..env(&mut state) };
    let silent = module.call(Export::Execute, b"", silent, GAS).unwrap();
    assert!(silent.effects.logs.is_empty());
    assert_eq!(silent.gas_used, result.gas_used);
}

#[test]
fn an_answer_that_is_an_error_has_no_effects_but_its_logs() {
    let error = paralith_runtime_abi::Outcome::error("m", 7, "no").encode_to_vec();
    let module = executes(
        &format!(
            "(call $log (i32.const 64) (i32.const 2))
            (call $emit_event (i32.const 64) (i32.const 1) (i32.const 65) (i32.const 1))
            (call $request_reveal (i32.const 64) (i32.const 3))
            (i64.const {})",
            paralith_runtime_abi::pack(64, error.len() as u32)
        ),
        &format!("(data (i32.const 64) \"{}\")", literal(&error)),
    );
    let result = execute(&module).unwrap();
    let refusal = result.outcome.unwrap_err();
    assert_eq!((refusal.module.as_str(), refusal.code, refusal.message.as_str()), ("m", 7, "no"));
    assert_eq!(result.effects.logs.len(), 1);
    assert!(result.effects.events.is_empty() && result.effects.reveals.is_empty());
}

#[test]
fn a_panic_keeps_the_lines_that_explain_it() {
    let module = executes("(call $log (i32.const 0) (i32.const 0)) (unreachable)", "");
    assert_eq!(trap(execute(&module)).logs, [""]);
}

#[test]
fn every_place_and_length_is_checked() {
    use TrapKind::{BadPointer, ReservedKey, TooLong};
    let end = 131_071; // the last byte
    for (expected, body) in [
        (BadPointer, format!("(drop (call $state_get (i32.const {end}) (i32.const 2)))")),
        (BadPointer, "(drop (call $state_get (i32.const -1) (i32.const 1)))".into()),
        (TooLong, "(drop (call $state_get (i32.const 0) (i32.const 1025)))".into()),
        (ReservedKey, "(drop (call $state_get (i32.const 64) (i32.const 1)))".into()),
        (
            ReservedKey,
            "(call $state_set (i32.const 64) (i32.const 1) (i32.const 0) (i32.const 1))".into(),
        ),
        (ReservedKey, "(call $state_remove (i32.const 64) (i32.const 1))".into()),
        (
            BadPointer,
            format!(
                "(call $state_set (i32.const 0) (i32.const 1) (i32.const {end}) (i32.const 2))"
            ),
        ),
        (
            TooLong,
            "(call $state_set (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 262145))".into(),
        ),
        (TooLong, "(call $random (i32.const 0) (i32.const 65537))".into()),
        (BadPointer, format!("(call $random (i32.const {end}) (i32.const 2))")),
        (TooLong, "(call $derive_key (i32.const 0) (i32.const 1025) (i32.const 0))".into()),
        (
            BadPointer,
            format!("(call $derive_key (i32.const 0) (i32.const 1) (i32.const {}))", end - 30),
        ),
        (TooLong, "(drop (call $emit_message (i32.const 0) (i32.const 4097)))".into()),
        (
            TooLong,
            "(call $emit_event (i32.const 0) (i32.const 257) (i32.const 0) (i32.const 0))".into(),
        ),
        (
            TooLong,
            "(call $emit_event (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 65537))".into(),
        ),
        (TooLong, "(call $request_reveal (i32.const 0) (i32.const 129))".into()),
        (BadPointer, format!("(call $log (i32.const {end}) (i32.const 2))")),
        (BadPointer, format!("(call $sha256 (i32.const {end}) (i32.const 2) (i32.const 0))")),
        (
            BadPointer,
            format!("(call $sha256 (i32.const 0) (i32.const 2) (i32.const {}))", end - 30),
        ),
        (
            BadPointer,
            format!(
                "(drop (call $ed25519_verify (i32.const {}) (i32.const 0) (i32.const 0) (i32.const 0)))",
                end - 30
            ),
        ),
        (
            BadPointer,
            format!(
                "(drop (call $ed25519_verify (i32.const 0) (i32.const {}) (i32.const 0) (i32.const 0)))",
                end - 62
            ),
        ),
        (
            BadPointer,
            format!(
                "(drop (call $ed25519_verify (i32.const 0) (i32.const 0) (i32.const {end}) (i32.const 2)))"
            ),
        ),
    ] {
        let data = r#"(data (i32.const 64) "\ff")"#;
        assert_eq!(trap_of(&format!("{body} (i64.const 2)"), data), expected, "{body}");
    }
}

#[test]
fn a_length_of_four_gigabytes_is_refused_by_every_import() {
    for body in [
        "(drop (call $state_get (i32.const 0) (i32.const -1)))",
        "(call $state_set (i32.const 0) (i32.const 1) (i32.const 0) (i32.const -1))",
        "(call $random (i32.const 0) (i32.const -1))",
        "(call $derive_key (i32.const 0) (i32.const -1) (i32.const 0))",
        "(drop (call $emit_message (i32.const 0) (i32.const -1)))",
        "(call $emit_event (i32.const 0) (i32.const 0) (i32.const 0) (i32.const -1))",
        "(call $request_reveal (i32.const 0) (i32.const -1))",
        "(call $log (i32.const 0) (i32.const -1))",
        "(call $sha256 (i32.const 0) (i32.const -1) (i32.const 0))",
        "(drop (call $ed25519_verify (i32.const 0) (i32.const 0) (i32.const 0) (i32.const -1)))",
    ] {
        let module = executes(&format!("{body} (i64.const 2)"), "");
        assert_eq!(trap(execute(&module)).kind, TrapKind::OutOfGas, "{body}");
        let kind = trap(call(&module, Export::Execute, u64::MAX)).kind;
        assert!(matches!(kind, TrapKind::TooLong | TrapKind::BadPointer), "{body}: {kind}");
    }
}

#[test]
fn effects_of_one_call_have_an_end() {
    for body in [
        "(call $emit_event (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))",
        "(call $emit_event (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 65536))",
        "(call $request_reveal (i32.const 0) (i32.const 1))",
    ] {
        let module = executes(&format!("(loop $l {body} (br $l)) (unreachable)"), "");
        let kind = trap(call(&module, Export::Execute, 1 << 50)).kind;
        assert_eq!(kind, TrapKind::TooManyEffects, "{body}");
    }
}

#[test]
fn logs_of_one_call_have_an_end_that_the_guest_does_not_notice() {
    let module = executes(
        "(local $i i32) (loop $l (call $log (i32.const 0) (i32.const 65536))
          (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))
            (i32.const 100)))) (i64.const 2)",
        "",
    );
    let logs = execute(&module).unwrap().effects.logs;
    assert_eq!(logs.len(), 16);
    assert!(logs.iter().all(|line| line.len() == 4096));
}

#[test]
fn every_nan_has_the_same_bits() {
    for (what, value) in [
        ("0/0", "(f64.div (local.get $zero) (local.get $zero))"),
        ("sqrt(-1)", "(f64.sqrt (f64.sub (local.get $zero) (f64.const 1)))"),
        ("inf-inf", "(f64.sub (f64.const inf) (f64.add (f64.const inf) (local.get $zero)))"),
        ("nan+1", "(f64.add (f64.reinterpret_i64 (i64.const 0xfff0123456789abc)) (f64.const 1))"),
        ("promote", "(f64.promote_f32 (f32.reinterpret_i32 (i32.const 0xffa12345)))"),
        ("min", "(f64.min (f64.reinterpret_i64 (i64.const 0xfff8000000000001)) (local.get $zero))"),
    ] {
        let body = format!("(local $zero f64) (call $answer (i64.reinterpret_f64 {value}))");
        assert_eq!(answer(execute(&executes(&body, ""))), 0x7ff8_0000_0000_0000, "{what}");
    }
}

#[test]
fn every_entry_point_is_called_by_its_name() {
    let names: String = (0_u64..)
        .zip(Export::ALL)
        .map(|(i, export)| {
            let name = export.name();
            format!("(func (export \"{name}\") (param i32 i32) (result i64) (call $answer (i64.const {i})))")
        })
        .collect();
    let module = compile(&text(&paralith_runtime_abi::EXPORTS, &names));
    for (i, export) in (0_u64..).zip(Export::ALL) {
        assert_eq!(answer(call(&module, export, GAS)), i);
    }
}
