//! What the host functions of ABI version 2 for cryptography do. The arithmetic has its tests in
//! `paralith-crypto`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod guest;

use guest::{Memory, env, trap, v2};
use paralith_crypto::groups::{Group, combine};
use paralith_crypto::sha3::{keccak256, sha3_256};
use paralith_runtime_abi::{
    CRYPTO_COMBINE_ED25519, CRYPTO_COMBINE_SECP256K1, CRYPTO_SCHNORR_VERIFY, CRYPTO_SHA3_256,
    MAX_GROUP_PAIRS,
};
use paralith_runtime_vm::{CallError, CallResult, Export, TrapKind, gas};

const PLENTY: u64 = 1 << 40;
/// The last byte of the memory.
const END: usize = 131_071;

const BIP340_KEY: &str = "dff1d77f2a671c5f36183726db2341be58feae1da2deced843240f7b502ba659";
const BIP340_SIGNATURE: &str = "6896bd60eeae296db48a229ff71dfe071bde413e6d43f917dc8dcf8c78de3341\
     8906d11ac976abccb20b091292bff4ea897efcb639ea871cfa95f6de339e4b0a";
const BIP340_MESSAGE: &str = "243f6a8885a308d313198a2e03707344a4093822299f31d0082efa98ec4e6c89";

fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}

fn call(body: &str, request: &[u8], gas: u64) -> Result<CallResult, CallError> {
    let module = v2(&["execute"], body, "");
    module.call(Export::Execute, request, env(&mut Memory::default()), gas)
}

/// `crypto` with this function on the whole request: an event with its result, or none.
fn on_request(function: u32) -> String {
    format!(
        "(local $place i64)
        (local.set $place
          (call $crypto (i32.const {function}) (local.get $request) (local.get $len)))
        (if (i64.eq (local.get $place) (i64.const -1)) (then (return (i64.const 2))))
        (call $emit_event (i32.const 0) (i32.const 0)
          (i32.wrap_i64 (i64.shr_u (local.get $place) (i64.const 32)))
          (i32.wrap_i64 (local.get $place)))
        (i64.const 2)"
    )
}

fn crypto(function: u32, input: &[u8]) -> Option<Vec<u8>> {
    let result = call(&on_request(function), input, PLENTY).unwrap();
    result.effects.events.first().map(|(_, data)| data.clone())
}

/// What a call costs that does the same but for `crypto`.
fn without(input: &[u8]) -> u64 {
    let body =
        "(drop (i32.const 48)) (drop (local.get $request)) (drop (local.get $len)) (i64.const 2)";
    call(body, input, PLENTY).unwrap().gas_used
}

#[test]
fn numbers_of_functions_never_change() {
    let numbers =
        [CRYPTO_SCHNORR_VERIFY, CRYPTO_COMBINE_SECP256K1, CRYPTO_COMBINE_ED25519, CRYPTO_SHA3_256];
    assert_eq!(numbers, [48, 49, 50, 60]);
}

#[test]
fn a_number_without_a_function_traps_and_costs_the_call_of_the_host_alone() {
    let has = [48, 49, 50, 60];
    let lacks = (0..=64).filter(|number| !has.contains(number)).chain([u32::MAX, 1 << 31]);
    for number in lacks {
        let got = trap(call(&on_request(number), b"", PLENTY));
        assert_eq!(got.kind, TrapKind::UnknownFunction, "{number}");
        assert_eq!(got.kind.code(), 33);
        // A few operators more or less.
        let beside = got.gas_used.abs_diff(without(b"") + gas::HOST_CALL);
        assert!(beside < 100, "{number}: {beside}");
    }
}

#[test]
fn hashes_are_those_of_the_library_and_cost_their_length() {
    for length in [0_usize, 1, 135, 136, 137, 5000] {
        let data: Vec<u8> = (0..length).map(|at| at as u8).collect();
        assert_eq!(crypto(60, &data), Some(sha3_256(&data).to_vec()));
        let body = "(call $keccak256 (local.get $request) (local.get $len) (i32.const 64))
            (call $emit_event (i32.const 0) (i32.const 0) (i32.const 64) (i32.const 32))
            (i64.const 2)";
        let result = call(body, &data, PLENTY).unwrap();
        assert_eq!(result.effects.events[0].1, keccak256(&data));
    }
    let keccak = |length: usize| {
        let body = format!(
            "(call $keccak256 (i32.const 0) (i32.const {length}) (i32.const 64)) (i64.const 2)"
        );
        call(&body, b"", PLENTY).unwrap().gas_used
    };
    assert_eq!(keccak(6400) - keccak(0), 100 * gas::HASH_BLOCK);
    let sha3 = |length: usize| {
        let body = format!(
            "(drop (call $crypto (i32.const 60) (i32.const 0) (i32.const {length}))) (i64.const 2)"
        );
        call(&body, b"", PLENTY).unwrap().gas_used
    };
    assert_eq!(sha3(6400) - sha3(0), 100 * gas::HASH_BLOCK);
}

#[test]
fn a_signature_of_bip340_is_valid_or_absent() {
    let input = [BIP340_KEY, BIP340_SIGNATURE, BIP340_MESSAGE].map(bytes).concat();
    assert_eq!(crypto(48, &input), Some(Vec::new()));
    for place in [0, 40, 80, 100] {
        let mut other = input.clone();
        other[place] ^= 1;
        assert_eq!(crypto(48, &other), None, "{place}");
    }
    assert_eq!(crypto(48, &input[..96]), None, "another message");
    for length in [0, 31, 32, 95] {
        assert_eq!(crypto(48, &input[..length]), None, "{length} bytes");
    }
}

#[test]
fn sums_are_those_of_the_library() {
    for (function, group) in [(49, Group::Secp256k1), (50, Group::Ed25519)] {
        let mut one = vec![0; group.pair_len()];
        one[if function == 49 { 31 } else { 0 }] = 1;
        let most = one.repeat(MAX_GROUP_PAIRS);
        for input in [&one, &most, &one[1..].to_vec(), &vec![], &vec![0; group.pair_len()]] {
            assert_eq!(crypto(function, input), combine(group, input));
        }
        assert_eq!(crypto(function, &one).unwrap().len(), group.point_len());
        assert!(crypto(function, &most).is_some());
        let got = trap(call(&on_request(function), &one.repeat(MAX_GROUP_PAIRS + 1), PLENTY));
        assert_eq!(got.kind, TrapKind::TooLong);
        assert!(got.gas_used < gas::GROUP_COMBINE, "nothing is done");
        let longer = [&most[..], &[0]].concat();
        assert_eq!(trap(call(&on_request(function), &longer, PLENTY)).kind, TrapKind::TooLong);
    }
}

#[test]
fn each_pair_costs_and_a_part_of_one_as_a_whole() {
    for (function, group) in [(49, Group::Secp256k1), (50, Group::Ed25519)] {
        // Nothing comes back, so that nothing else differs.
        let used = |length: usize| {
            let body = format!(
                "(drop (call $crypto (i32.const {function}) (i32.const 8192) (i32.const {length})))
                (i64.const 2)"
            );
            call(&body, b"", PLENTY).unwrap().gas_used
        };
        let one = group.pair_len();
        assert_eq!(used(one) - used(0), gas::GROUP_COMBINE_PAIR);
        assert_eq!(used(1), used(one));
        assert_eq!(used(one * 64) - used(one), 63 * gas::GROUP_COMBINE_PAIR);
        assert!(used(0) > gas::GROUP_COMBINE + gas::HOST_CALL);
    }
}

/// Digest, signature, and 64 bytes for the key, which are read back whatever came out.
fn recover(digest: &[u8], signature: &[u8], parity: i32) -> (u64, Vec<u8>) {
    let body = format!(
        "(local $result i32)
        (local.set $result (call $secp256k1_recover (local.get $request)
          (i32.add (local.get $request) (i32.const 32)) (i32.const {parity})
          (i32.add (local.get $request) (i32.const 96))))
        (call $emit_event (i32.const 0) (i32.const 0)
          (i32.add (local.get $request) (i32.const 96)) (i32.const 64))
        (call $answer (i64.extend_i32_u (local.get $result)))"
    );
    let request = [digest, signature, &[0xaa; 64]].concat();
    let result = call(&body, &request, PLENTY).unwrap();
    let key = result.effects.events[0].1.clone();
    (guest::answer(Ok(result)), key)
}

#[test]
fn a_key_is_recovered_or_nothing_is_written() {
    // From go-ethereum's `secp256_test.go`.
    let digest = bytes("ce0677bb30baa8cf067c88db9811f4333d131bf8bcf12fe7065d211dce971008");
    let signature = bytes(
        "90f27b8b488db00b00606796d2987f6a5f59ae62ea05effe84fef5b8b0e54998\
         4a691139ad57a3f0b906637673aa2f63d1f55cb1a69199d4009eea23ceaddc93",
    );
    let key = "e32df42865e97135acfb65f3bae71bdc86f4d49150ad6a440b6f15878109880a\
               0a2b2667f7e725ceea70c673093bf67663e0312623c8e091b13cf2c0f11ef652";
    assert_eq!(recover(&digest, &signature, 1), (1, bytes(key)));
    let (found, other) = recover(&digest, &signature, 0);
    assert!(found == 1 && other != bytes(key));
    for parity in [2, 3, 27, 28, -1] {
        assert_eq!(recover(&digest, &signature, parity), (0, vec![0xaa; 64]), "{parity}");
    }
    assert_eq!(recover(&digest, &[0xff; 64], 1), (0, vec![0xaa; 64]));
}

#[test]
fn every_place_is_checked() {
    let places = [
        format!("(call $keccak256 (i32.const {END}) (i32.const 2) (i32.const 0))"),
        format!("(call $keccak256 (i32.const 0) (i32.const 2) (i32.const {}))", END - 30),
        format!("(drop (call $crypto (i32.const 60) (i32.const {END}) (i32.const 2)))"),
        "(drop (call $crypto (i32.const 60) (i32.const -1) (i32.const 1)))".into(),
        "(drop (call $crypto (i32.const 60) (i32.const 1) (i32.const -1)))".into(),
        "(drop (call $crypto (i32.const 48) (i32.const 1) (i32.const -1)))".into(),
        format!("(drop (call $crypto (i32.const 48) (i32.const {END}) (i32.const 96)))"),
        format!("(drop (call $crypto (i32.const 49) (i32.const {END}) (i32.const 65)))"),
        format!("(drop (call $crypto (i32.const 50) (i32.const {END}) (i32.const 64)))"),
    ];
    let recover = [(END - 30, 0, 0), (0, END - 62, 0), (0, 0, END - 62)].map(|(a, b, out)| {
        format!(
            "(drop (call $secp256k1_recover (i32.const {a}) (i32.const {b}) (i32.const 0)
                (i32.const {out})))"
        )
    });
    for body in places.iter().chain(&recover) {
        let got = trap(call(&format!("{body} (i64.const 2)"), b"", PLENTY));
        assert_eq!(got.kind, TrapKind::BadPointer, "{body}");
    }
}

/// The price is taken before the places are looked at: a call that cannot pay is out of gas, not out of
/// bounds, so no work was done for it.
#[test]
fn a_call_pays_before_anything_is_done() {
    let bodies = [
        (
            gas::SECP256K1_RECOVER,
            "(drop (call $secp256k1_recover (i32.const -1) (i32.const -1)
            (i32.const 0) (i32.const -1)))",
        ),
        (gas::HASH_BLOCK, "(call $keccak256 (i32.const -1) (i32.const 9) (i32.const -1))"),
        (gas::HASH_BLOCK, "(drop (call $crypto (i32.const 60) (i32.const -1) (i32.const 9)))"),
        (gas::SCHNORR_VERIFY, "(drop (call $crypto (i32.const 48) (i32.const -1) (i32.const 96)))"),
        (
            gas::GROUP_COMBINE + 64 * gas::GROUP_COMBINE_PAIR,
            "(drop (call $crypto (i32.const 49) (i32.const -1) (i32.const 4160)))",
        ),
        (
            gas::GROUP_COMBINE + 64 * gas::GROUP_COMBINE_PAIR,
            "(drop (call $crypto (i32.const 50) (i32.const -1) (i32.const 4096)))",
        ),
    ];
    for (price, body) in bodies {
        let body = format!("{body} (i64.const 2)");
        let enough = trap(call(&body, b"", PLENTY));
        assert_eq!(enough.kind, TrapKind::BadPointer);
        assert!(enough.gas_used >= price, "{body}");
        let got = trap(call(&body, b"", enough.gas_used - 1));
        assert_eq!(got.kind, TrapKind::OutOfGas, "{body}");
    }
}

/// An allocator that calls `crypto` would be asked for memory while it is asked for memory.
#[test]
fn the_allocator_cannot_call_what_needs_it() {
    let text = guest::v2_text(&[("execute", "(i64.const 2)")], "");
    let text = text.replace(
        r#"(func $alloc (export "paralith_alloc") (param $len i32) (result i32)"#,
        r#"(func $alloc (export "paralith_alloc") (param $len i32) (result i32)
            (drop (call $crypto (i32.const 60) (i32.const 0) (i32.const 0)))"#,
    );
    let got = guest::compile(&text).call(Export::Execute, b"", env(&mut Memory::default()), PLENTY);
    assert_eq!(trap(got).kind, TrapKind::Reentrancy);
}
