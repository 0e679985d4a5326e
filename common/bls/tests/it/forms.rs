//! Points that are no keys and no signatures.

use blst::BLST_ERROR;
use blst::min_sig::{AggregateSignature, PublicKey, Signature};
use paralith_bls::{BlsSecret, CheckedKeys, SIGNATURE_SUITE, aggregate, verify, verify_possession};

use crate::secrets;

/// The field's modulus, big-endian.
const P: &str = "1a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab";

/// The number of 48 bytes, plus the modulus; `None` if it does not fit.
fn plus_p(bytes: &[u8; 48]) -> Option<[u8; 48]> {
    let p = hex::decode(P).unwrap();
    let (mut sum, mut carry) = ([0; 48], 0_u16);
    for at in (0..48).rev() {
        let digit = u16::from(bytes[at]) + u16::from(p[at]) + carry;
        sum[at] = (digit & 0xff) as u8;
        carry = digit >> 8;
    }
    (carry == 0).then_some(sum)
}

fn key_refused(key: &[u8; 96], why: &str) {
    let secret = &secrets()[0];
    let signature = secret.sign(b"m");
    assert!(!verify(&[*key], b"m", &signature), "{why}");
    assert!(!verify(&[secret.public(), *key], b"m", &signature), "{why}, beside a good one");
    assert!(!verify_possession(key, b"m", &secret.prove_possession(b"m")), "{why}");
    let mut known = CheckedKeys::new(1);
    assert!(!known.verify(&[*key], b"m", &signature) && known.is_empty(), "{why} is remembered");
}

fn signature_refused(signature: &[u8; 48], why: &str) {
    let secret = &secrets()[0];
    assert!(!verify(&[secret.public()], b"m", signature), "{why}");
    assert!(!verify_possession(&secret.public(), b"m", signature), "{why}");
    assert_eq!(aggregate(&[*signature]), None, "{why}");
    assert_eq!(aggregate(&[secret.sign(b"m"), *signature]), None, "{why}, beside a good one");
}

#[test]
fn the_identity_is_neither_key_nor_signature() {
    let (mut key, mut signature) = ([0; 96], [0; 48]);
    (key[0], signature[0]) = (0xc0, 0xc0);
    assert!(PublicKey::uncompress(&key).is_ok(), "the library reads the identity");
    assert!(Signature::uncompress(&signature).is_ok(), "the library reads the identity");
    key_refused(&key, "identity");
    signature_refused(&signature, "identity");
    // The identity as signature of the identity satisfies the equation for every message.
    assert!(!verify(&[key], b"m", &signature) && !verify_possession(&key, b"m", &signature));
}

#[test]
fn points_outside_the_group_of_prime_order_are_refused() {
    let (mut keys, mut signatures) = (0, 0);
    for x in 1..=u8::MAX {
        let (mut key, mut signature) = ([0; 96], [0; 48]);
        (key[0], key[95]) = (0x80, x);
        (signature[0], signature[47]) = (0x80, x);
        // Nearly all points of the curves are outside: the cofactors have 126 and 507 bits.
        if PublicKey::uncompress(&key).is_ok_and(|key| key.validate().is_err()) {
            keys += 1;
            key_refused(&key, "outside of the group");
        }
        if Signature::uncompress(&signature).is_ok_and(|s| s.validate(false).is_err()) {
            signatures += 1;
            signature_refused(&signature, "outside of the group");
        }
        if keys.min(signatures) >= 5 {
            return;
        }
    }
    panic!("only {keys} and {signatures} points of the curves were found");
}

/// The order of the groups, big-endian.
const R: &str = "73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001";

/// A point times the order of the groups: what is left of it is outside of them, and the pairing
/// does not see it.
fn torsion(point: &Signature) -> AggregateSignature {
    let point = AggregateSignature::from_signature(point);
    let mut sum: Option<AggregateSignature> = None;
    for bit in hex::decode(R).unwrap().iter().flat_map(|byte| (0..8).rev().map(move |b| byte >> b))
    {
        if let Some(sum) = &mut sum {
            let twin = *sum;
            sum.add_aggregate(&twin);
        }
        if bit & 1 == 1 {
            match &mut sum {
                Some(sum) => sum.add_aggregate(&point),
                None => sum = Some(point),
            }
        }
    }
    sum.unwrap()
}

/// Without the check of the group, one vote has as many forms as the cofactor allows.
#[test]
fn what_differs_only_outside_of_the_group_is_refused() {
    let secret = &secrets()[0];
    let (key, signature) = (secret.public(), secret.sign(b"m"));
    let outside = |x: &u8| {
        let mut signature = [0; 48];
        (signature[0], signature[47]) = (0x80, *x);
        Signature::uncompress(&signature).ok().filter(|s| s.validate(false).is_err())
    };
    let point = (1..=u8::MAX).find_map(|x| outside(&x)).unwrap();
    let mut other = torsion(&point);
    other.add_signature(&Signature::uncompress(&signature).unwrap(), true).unwrap();
    let other = other.to_signature();
    let read = PublicKey::uncompress(&key).unwrap();
    let unchecked = other.verify(false, b"m", SIGNATURE_SUITE.as_bytes(), &[], &read, false);
    assert_eq!(unchecked, BLST_ERROR::BLST_SUCCESS, "the pairing does not tell the two apart");
    assert_ne!(other.compress(), signature);
    signature_refused(&other.compress(), "a second form of the signature");
}

#[test]
fn coordinates_that_are_not_reduced_are_refused() {
    let secret = &secrets()[0];
    // A key's second coordinate has no flags, so that adding the modulus always fits.
    let key = secret.public();
    let mut long = key;
    long[48..].copy_from_slice(&plus_p(key[48..].try_into().unwrap()).unwrap());
    key_refused(&long, "second coordinate");
    // The first number shares its byte with three flags.
    let mut tried = 0;
    for number in 0..64_u8 {
        let mut signature = secret.sign(&[number]);
        let flags = signature[0] & 0xe0;
        signature[0] &= 0x1f;
        if let Some(mut long) = plus_p(&signature).filter(|long| long[0] & 0xe0 == 0) {
            long[0] |= flags;
            assert!(!verify(&[secret.public()], &[number], &long));
            assert_eq!(aggregate(&[long]), None);
            signature[0] |= flags;
            assert!(verify(&[secret.public()], &[number], &signature));
            tried += 1;
        }
    }
    assert!(tried > 3, "only {tried} signatures have a second form");
}

#[test]
fn other_flags_are_refused() {
    let secret = &secrets()[0];
    let (key, signature) = (secret.public(), secret.sign(b"m"));
    for flags in 0..8_u8 {
        let (mut other, mut forged) = (key, signature);
        other[0] = (other[0] & 0x1f) | (flags << 5);
        forged[0] = (forged[0] & 0x1f) | (flags << 5);
        // The negative of the point is a key, and a signature, but not these.
        if other != key {
            assert!(!verify(&[other], b"m", &signature), "{flags:03b}");
        }
        if forged != signature {
            assert!(!verify(&[key], b"m", &forged), "{flags:03b}");
        }
    }
    // The identity with a sign, and with something beside its flag.
    for first in [0xe0, 0x40, 0xc1] {
        let (mut key, mut signature) = ([0; 96], [0; 48]);
        (key[0], signature[0]) = (first, first);
        key_refused(&key, "a form of the identity");
        signature_refused(&signature, "a form of the identity");
    }
}

#[test]
fn keys_and_signatures_that_cancel_out_verify_nothing() {
    let secret = &secrets()[0];
    // The point's negative differs in the flag for its sign.
    let (key, mut minus_key) = (secret.public(), secret.public());
    minus_key[0] ^= 0x20;
    let (signature, mut minus) = (secret.sign(b"m"), secret.sign(b"m"));
    minus[0] ^= 0x20;
    assert!(verify(&[minus_key], b"m", &minus), "it is the key of the negative secret");
    assert_eq!(aggregate(&[signature, minus]), None);
    let mut identity = [0; 48];
    identity[0] = 0xc0;
    for forged in [identity, signature, minus] {
        assert!(!verify(&[key, minus_key], b"m", &forged));
    }
    // With a third signer beside them, only its signature is left.
    let third = BlsSecret::from_ikm(&[9; 32]);
    assert!(verify(&[key, minus_key, third.public()], b"m", &third.sign(b"m")));
}
