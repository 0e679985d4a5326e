//! What the host functions of ABI version 2 do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod guest;

use guest::{Consensus, GAS, Memory, answer, compile, engine, env, text, trap, v2};
use paralith_bls::BlsSecret;
use paralith_crypto::HpkeSecret;
use paralith_crypto::kem::{self, KemSecret};
use paralith_runtime_abi::{IMPORTS_V2, MAX_VALUE_BYTES, RESERVED_IMPORTS};
use paralith_runtime_vm::{CallEnv, CallError, Export, NodeFault, TrapKind, UploadError, gas};

/// Reads the key of three bytes at 64 and answers with the first eight bytes of its value, or with
/// all bits set if it is absent.
const READ: &str = "(local $place i64)
    (local.set $place (call $consensus_get (i32.const 64) (i32.const 3)))
    (if (i64.eq (local.get $place) (i64.const -1)) (then (return (call $answer (i64.const -1)))))
    (call $answer (i64.load (i32.wrap_i64 (i64.shr_u (local.get $place) (i64.const 32)))))";
const KEY: &str = r#"(data (i32.const 64) "key")"#;

#[test]
fn a_module_needs_the_version_of_its_newest_import() {
    assert_eq!(compile(&text(&[], "")).abi_version(), 1);
    assert_eq!(v2(&[], "", "").abi_version(), 2);
}

#[test]
fn imports_of_version_2_have_their_types_and_reserved_ones_are_refused() {
    let refusal = |module: &str, name: &str, import: &str| {
        let text = format!("(module (import \"{module}\" \"{name}\" {import}))");
        engine().compile(&wat::parse_str(text).unwrap()).unwrap_err()
    };
    let names = |module: &str, name: &str| (module.to_owned(), name.to_owned());
    for name in IMPORTS_V2 {
        for import in ["(func)", "(func (param f32))", "(global i32)", "(memory 1)"] {
            let (module, name) = names("paralith_v2", name);
            let got = refusal("paralith_v2", &name, import);
            assert_eq!(got, UploadError::WrongImportType { module, name });
        }
        let (module, name) = names("paralith_v1", name);
        let got = refusal("paralith_v1", &name, "(func)");
        assert_eq!(got, UploadError::UnknownImport { module, name });
    }
    for (reserved, _) in RESERVED_IMPORTS {
        let (module, name) = names("paralith_v2", reserved);
        let got = refusal("paralith_v2", reserved, "(func)");
        assert_eq!(got, UploadError::UnknownImport { module, name });
    }
}

#[test]
fn consensus_state_is_read_or_proven_absent_in_every_call_but_without_it() {
    let names = ["execute", "query", "check", "begin_block", "reveal"];
    let module = v2(&names, READ, KEY);
    for export in [Export::Execute, Export::Query, Export::Check, Export::BeginBlock] {
        let mut consensus = Consensus::default();
        let mut state = Memory::default();
        let env = CallEnv { consensus: Some(&mut consensus), ..env(&mut state) };
        assert_eq!(answer(module.call(export, b"", env, GAS)), u64::MAX);

        consensus.0.entries.insert(b"key".to_vec(), 0x0102_0304_u64.to_le_bytes().to_vec());
        let mut state = Memory::default();
        let env = CallEnv { consensus: Some(&mut consensus), ..guest::env(&mut state) };
        assert_eq!(answer(module.call(export, b"", env, GAS)), 0x0102_0304);
    }
    let got = module.call(Export::Reveal, b"", env(&mut Memory::default()), GAS);
    assert_eq!(trap(got).kind, TrapKind::Unavailable);
}

#[test]
fn what_a_host_withholds_is_no_result() {
    let module = v2(&["execute"], READ, KEY);
    let mut consensus = Consensus(Memory { broken: true, ..Memory::default() });
    let mut state = Memory::default();
    let env = CallEnv { consensus: Some(&mut consensus), ..env(&mut state) };
    let got = module.call(Export::Execute, b"", env, GAS);
    assert!(matches!(got, Err(CallError::Node(NodeFault::State(_)))), "{got:?}");
}

#[test]
fn a_read_of_consensus_state_costs_its_bytes_and_a_value_that_is_too_long_traps() {
    let module = v2(&["execute"], READ, KEY);
    let used = |bytes: usize| {
        let mut consensus = Consensus::default();
        consensus.0.entries.insert(b"key".to_vec(), vec![1; bytes]);
        let mut state = Memory::default();
        let env = CallEnv { consensus: Some(&mut consensus), ..env(&mut state) };
        module.call(Export::Execute, b"", env, 1 << 40)
    };
    let difference = used(1000).unwrap().gas_used - used(10).unwrap().gas_used;
    assert_eq!(difference, 990 * gas::CONSENSUS_READ_BYTE);
    assert!(used(10).unwrap().gas_used > gas::CONSENSUS_READ);
    let got = trap(used(MAX_VALUE_BYTES + 1));
    assert_eq!(got.kind, TrapKind::TooLong);
    assert!(got.gas_used > MAX_VALUE_BYTES as u64 * gas::CONSENSUS_READ_BYTE);
}

#[test]
fn the_lowest_height_of_a_call_is_its_wish_and_none_of_a_call_that_fails() {
    let body = "(call $wake_at (i64.const 90)) (call $wake_at (i64.const 70))
        (call $wake_at (i64.const 80))";
    let call = |end: &str| {
        let module = v2(&["execute"], &format!("{body} {end}"), "");
        module.call(Export::Execute, b"", env(&mut Memory::default()), GAS)
    };
    assert_eq!(call("(i64.const 2)").unwrap().effects.wake_height, Some(70));
    // A refusal: tag 2, of length 0.
    let refused = r#"(i32.store16 (i32.const 200) (i32.const 0x0012)) (i64.const 0xc800000002)"#;
    let got = call(refused).unwrap();
    assert!(got.outcome.is_err());
    assert_eq!(got.effects.wake_height, None);
    assert_eq!(trap(call("unreachable")).kind, TrapKind::Unreachable);
}

#[test]
fn heights_beyond_two_to_the_63_are_heights() {
    let module = v2(&["execute"], "(call $wake_at (i64.const -1)) (i64.const 2)", "");
    let got = module.call(Export::Execute, b"", env(&mut Memory::default()), GAS).unwrap();
    assert_eq!(got.effects.wake_height, Some(u64::MAX));
}

#[test]
fn no_call_asks_to_be_woken_that_may_only_read_or_has_no_timers() {
    let names = ["execute", "query", "check", "reveal"];
    let module = v2(&names, "(call $wake_at (i64.const 70)) (i64.const 2)", "");
    for export in [Export::Query, Export::Check, Export::Reveal] {
        let got = module.call(export, b"", env(&mut Memory::default()), GAS);
        assert_eq!(trap(got).kind, TrapKind::ReadOnly);
    }
    let mut state = Memory::default();
    let without = CallEnv { timers: false, ..env(&mut state) };
    let got = module.call(Export::Execute, b"", without, GAS);
    assert_eq!(trap(got).kind, TrapKind::Unavailable);
}

#[test]
fn a_deadline_that_the_pinned_height_has_reached_traps() {
    for (deadline, reached) in [(0, true), (39, true), (40, true), (41, false), (-1, false)] {
        let body = format!("(call $commit_before (i64.const {deadline})) (i64.const 2)");
        let module = v2(&["execute"], &body, "");
        let got = module.call(Export::Execute, b"", env(&mut Memory::default()), GAS);
        if reached {
            assert_eq!(trap(got).kind, TrapKind::TooLate, "{deadline}");
        } else {
            assert_eq!(got.unwrap().effects.commit_before, Some(deadline as u64));
        }
    }
}

#[test]
fn without_a_pinned_height_the_lowest_deadline_is_recorded() {
    let body = "(call $commit_before (i64.const 9)) (call $commit_before (i64.const 3))
        (call $commit_before (i64.const 5)) (i64.const 2)";
    let module = v2(&["execute"], body, "");
    let mut state = Memory::default();
    let unpinned = CallEnv { pinned_height: None, ..env(&mut state) };
    let got = module.call(Export::Execute, b"", unpinned, GAS).unwrap();
    assert_eq!(got.effects.commit_before, Some(3));
}

/// Calls a function with what the request holds, and answers its result.
fn on_request(call: &str, request: &[u8]) -> u64 {
    let body = format!("(call $answer (i64.extend_i32_u {call}))");
    let module = v2(&["execute"], &body, "");
    let mut state = Memory::default();
    answer(module.call(Export::Execute, request, env(&mut state), 1 << 40))
}

#[test]
fn possession_and_aggregates_verify_as_the_library_says() {
    let secrets: Vec<BlsSecret> = (1..4).map(|seed| BlsSecret::from_ikm(&[seed; 32])).collect();
    let proof = secrets[0].prove_possession(b"mine");
    let request = [secrets[0].public().as_slice(), b"mine", &proof].concat();
    let call = "(call $bls_possession (local.get $request)
        (i32.add (local.get $request) (i32.const 96)) (i32.const 4)
        (i32.add (local.get $request) (i32.const 100)))";
    assert_eq!(on_request(call, &request), 1);
    let other = [secrets[1].public().as_slice(), b"mine", &proof].concat();
    assert_eq!(on_request(call, &other), 0);

    let signatures: Vec<_> = secrets.iter().map(|secret| secret.sign(b"vote")).collect();
    let aggregate = paralith_bls::aggregate(&signatures).unwrap();
    let keys: Vec<u8> = secrets.iter().flat_map(BlsSecret::public).collect();
    let request = [keys.as_slice(), b"vote", &aggregate].concat();
    let call = "(call $bls_verify (local.get $request) (i32.const 288)
        (i32.add (local.get $request) (i32.const 288)) (i32.const 4)
        (i32.add (local.get $request) (i32.const 292)))";
    assert_eq!(on_request(call, &request), 1);
    let two = call.replacen("(i32.const 288)", "(i32.const 192)", 1);
    assert_eq!(on_request(&two, &request), 0, "a signature of three is none of two");
    let none = call.replacen("(i32.const 288)", "(i32.const 0)", 1);
    assert_eq!(on_request(&none, &request), 0, "no keys have signed nothing");
}

#[test]
fn each_key_of_an_aggregate_costs_and_parts_of_keys_trap() {
    let used = |bytes: usize| {
        let body = format!(
            "(call $answer (i64.extend_i32_u (call $bls_verify (i32.const 0) (i32.const {bytes})
                (i32.const 0) (i32.const 0) (i32.const 0))))"
        );
        let module = v2(&["execute"], &body, "");
        module.call(Export::Execute, b"", env(&mut Memory::default()), 1 << 40)
    };
    let difference = used(96 * 3).unwrap().gas_used - used(96).unwrap().gas_used;
    assert_eq!(difference, 2 * gas::BLS_VERIFY_KEY);
    assert!(used(96 * 512).is_ok());
    for bytes in [95, 97, 96 * 513] {
        assert_eq!(trap(used(bytes)).kind, TrapKind::TooLong, "{bytes}");
    }
}

#[test]
fn sealing_is_hpke_with_the_given_randomness_or_absent_for_an_unusable_key() {
    // Key, info "i", plaintext "plain", randomness.
    let body = "(local $place i64)
        (local.set $place (call $hpke_seal (i32.const 0x20)
          (local.get $request) (i32.const 32)
          (i32.add (local.get $request) (i32.const 32)) (i32.const 1)
          (i32.add (local.get $request) (i32.const 33)) (i32.const 5)
          (i32.add (local.get $request) (i32.const 38))))
        (if (i64.eq (local.get $place) (i64.const -1)) (then (return (i64.const 2))))
        (call $emit_event (i32.const 0) (i32.const 0)
          (i32.wrap_i64 (i64.shr_u (local.get $place) (i64.const 32)))
          (i32.wrap_i64 (local.get $place)))
        (i64.const 2)";
    let module = v2(&["execute"], body, "");
    let sealed = |key: &[u8; 32]| {
        let request = [key.as_slice(), b"iplain", &[9; 32]].concat();
        let mut state = Memory::default();
        let result = module.call(Export::Execute, &request, env(&mut state), GAS).unwrap();
        result.effects.events.first().map(|(_, data)| data.clone())
    };
    let secret = KemSecret::X25519(HpkeSecret::from_ikm(&[5; 32]));
    let key: [u8; 32] = secret.public().try_into().unwrap();
    let got = sealed(&key).unwrap();
    assert_eq!(kem::hpke_open(&secret, b"i", &got).unwrap().as_slice(), b"plain");
    assert_eq!(Some(got), kem::hpke_seal(0x20, &key, b"i", b"plain", &[9; 32]));
    assert_eq!(sealed(&[0; 32]), None, "a key of small order");
}
