//! Authorisations, digests and seals bind everything that they are about.

use paralith_cosigner_core::auth::{self, Action};
use paralith_cosigner_core::seal::{self, Purpose};
use paralith_cosigner_core::{CosignerError, Curve, Ed25519, Member, Point, Secp256k1, digest};
use paralith_types::{ChainContext, Hash, RuntimeId};

use crate::lab::{CHAIN, RUNTIME, refused, secret};

fn different(all: &[Hash]) {
    for (index, one) in all.iter().enumerate() {
        assert!(!all[..index].contains(one), "case {index}");
    }
}

fn name<C: Curve>(number: u64) -> Point<C> {
    secret::<C>(1, "name", number).public()
}

#[test]
fn an_authorisation_is_for_one_action() {
    let (key, other) = (name::<Secp256k1>(0), name::<Secp256k1>(1));
    let (chain, runtime) = (ChainContext([9; 32]), RuntimeId([9; 32]));
    let (seq, body) = (4, b"body".as_slice());
    let action = Action {
        action: "statechain.sign",
        chain: &CHAIN,
        runtime: &RUNTIME,
        key: &key,
        seq,
        body,
    };
    let same_on_ed25519 = Action::<Ed25519> {
        action: action.action,
        chain: &CHAIN,
        runtime: &RUNTIME,
        key: &name(0),
        seq,
        body,
    };
    let digests = [
        action.digest(),
        Action { action: "statechain.close", ..action }.digest(),
        Action { chain: &chain, ..action }.digest(),
        Action { runtime: &runtime, ..action }.digest(),
        Action { key: &other, ..action }.digest(),
        Action { seq: 5, ..action }.digest(),
        Action { body: b"", ..action }.digest(),
        same_on_ed25519.digest(),
    ];
    different(&digests);

    let auth = secret::<Secp256k1>(1, "auth", 0);
    let x = auth.public().signed_form();
    let signature = auth::sign(&auth, &digests[0], &[3; 32]).unwrap();
    auth::verify(&x, &digests[0], &signature).unwrap();
    for digest in &digests[1..] {
        refused(auth::verify(&x, digest, &signature), CosignerError::Authorisation);
    }
    let stranger = secret::<Secp256k1>(1, "auth", 1).public().signed_form();
    for key in [stranger, [0; 32], [0xff; 32]] {
        refused(auth::verify(&key, &digests[0], &signature), CosignerError::Authorisation);
    }
    for at in 0..64 {
        let mut changed = signature;
        changed[at] ^= 1;
        refused(auth::verify(&x, &digests[0], &changed), CosignerError::Authorisation);
    }
    for bad in [[0; 64], [0xff; 64]] {
        refused(auth::verify(&x, &digests[0], &bad), CosignerError::Authorisation);
    }
}

#[test]
fn digests_are_of_one_place() {
    let (key, other) = (name::<Secp256k1>(0), name::<Secp256k1>(1));
    different(&[
        digest::erased(&key, 1),
        digest::erased(&key, 2),
        digest::erased(&other, 1),
        digest::erased(&name::<Ed25519>(0), 1),
        digest::keygen(&[]),
        digest::keygen(&[b"a", b"b"]),
        digest::keygen(&[b"b", b"a"]),
        digest::keygen(&[b"ab"]),
        digest::order(b"a"),
        digest::order(b"b"),
        digest::keygen(&[b"a"]),
    ]);
}

#[test]
fn a_seal_is_for_one_place_member_and_purpose() {
    let (key, other) = (name::<Secp256k1>(0), name::<Secp256k1>(1));
    let (first, second) = (Member::new(1).unwrap(), Member::new(2).unwrap());
    let (one, two) = (Hash([1; 32]), Hash([2; 32]));
    let chain = ChainContext([9; 32]);
    let runtime = RuntimeId([9; 32]);
    let update = Purpose::Update { key, update: 1 };
    different(&[
        seal::info(&CHAIN, &RUNTIME, &update, first, &one),
        seal::info(&chain, &RUNTIME, &update, first, &one),
        seal::info(&CHAIN, &runtime, &update, first, &one),
        seal::info(&CHAIN, &RUNTIME, &update, second, &one),
        seal::info(&CHAIN, &RUNTIME, &update, first, &two),
        seal::info(&CHAIN, &RUNTIME, &Purpose::Update { key, update: 2 }, first, &one),
        seal::info(&CHAIN, &RUNTIME, &Purpose::Update { key: other, update: 1 }, first, &one),
        seal::info(&CHAIN, &RUNTIME, &Purpose::Resend { key, update: 1 }, first, &one),
        seal::info(&CHAIN, &RUNTIME, &Purpose::Release { key }, first, &one),
        seal::info::<Secp256k1>(&CHAIN, &RUNTIME, &Purpose::Deal { batch: 1 }, first, &one),
        seal::info::<Secp256k1>(&CHAIN, &RUNTIME, &Purpose::Deal { batch: 2 }, first, &one),
    ]);
}

#[test]
fn a_plaintext_is_its_scalars() {
    let scalars: Vec<_> = (0..3).map(|n| secret::<Ed25519>(1, "sealed", n)).collect();
    let bytes = seal::plaintext(&scalars);
    assert_eq!(bytes.len(), 96);
    assert_eq!(seal::read_plaintext::<Ed25519>(&bytes, 3).unwrap(), scalars);
    for (length, count) in [(96, 2), (95, 3), (0, 1)] {
        let refusal =
            CosignerError::Count { what: "sealed bytes", expected: count * 32, got: length };
        refused(seal::read_plaintext::<Ed25519>(&bytes[..length], count), refusal);
    }
    let mut spoiled = bytes.to_vec();
    spoiled[32..64].fill(0xff);
    refused(seal::read_plaintext::<Ed25519>(&spoiled, 3), CosignerError::Scalar);
}
