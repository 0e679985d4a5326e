//! The encodings are frozen.

use paralith_crypto::{Domain, SigningKey, ed25519};
use paralith_policy::{CERTIFICATE_DOMAIN, Certificate, Policy};
use paralith_types::{ChainContext, Height, PublicKey, Signature};

use crate::at_least;

/// `2 of (0, 3*1, any(2, 300))`, written out by hand.
#[test]
fn the_encoding_of_a_policy_is_frozen() {
    let nested = at_least(1, &[(1, Policy::Member(2)), (1, Policy::Member(300))]);
    let policy = at_least(2, &[(1, Policy::Member(0)), (3, Policy::Member(1)), (1, nested)]);
    let expected = [
        "122d",
        "0802", // at_least of 45 bytes: weight 2
        "1206",
        "0801",
        "12020800", // of: weight 1, policy: member 0, which is written
        "1206",
        "0803",
        "12020801", // of: weight 3, policy: member 1
        "1219",
        "0801",
        "1215", // of: weight 1, policy:
        "1213",
        "0801", //   at_least of 19 bytes: weight 1
        "1206",
        "0801",
        "12020802", //   of: weight 1, policy: member 2
        "1207",
        "0801",
        "120308ac02", // of: weight 1, policy: member 300
    ]
    .concat();
    assert_eq!(hex::encode(policy.encode()), expected);
    assert_eq!(Policy::decode(&hex::decode(expected).unwrap()), Ok(policy));
    assert_eq!(hex::encode(Policy::Member(0).encode()), "0800");
}

pub(crate) fn certificate() -> Certificate {
    Certificate {
        version: 1,
        issuer: SigningKey::from_seed([1; 32]).public(),
        subject: PublicKey([0xbb; 32]),
        scope: [0xcc; 32],
        attributes: "buyer".to_string(),
        serial: 300,
        not_before: Height(10),
        not_after: Height(20),
        signature: Signature([0xdd; 64]),
    }
}

#[test]
fn the_encoding_of_a_certificate_and_what_is_signed_are_frozen() {
    let certificate = certificate();
    let unsigned = [
        "0801",
        "1220",
        "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c",
        "1a20",
        &"bb".repeat(32),
        "2220",
        &"cc".repeat(32),
        "2a056275796572",
        "30ac02",
        "380a",
        "4014",
    ]
    .concat();
    let signed = ["17", &hex::encode("paralith/certificate/v1"), &"ee".repeat(32), &unsigned];
    assert_eq!(hex::encode(certificate.message()), unsigned);
    let bytes = certificate.signed_bytes(&ChainContext([0xee; 32]));
    assert_eq!(hex::encode(bytes), signed.concat());
    let encoded = [unsigned.as_str(), "4a40", &"dd".repeat(64)].concat();
    assert_eq!(hex::encode(certificate.encode()), encoded);
    assert_eq!(Certificate::decode(&hex::decode(encoded).unwrap()), Ok(certificate));
}

#[test]
fn what_is_signed_is_framed_as_every_signature_of_the_chain() {
    let (key, chain) = (SigningKey::from_seed([1; 32]), ChainContext([0xee; 32]));
    let mut certificate = certificate();
    let domain = Domain::new(CERTIFICATE_DOMAIN);
    certificate.signature = key.sign(domain, &chain, &certificate.message());
    let verify = |key: &PublicKey, bytes: &[u8], signature: &Signature| {
        ed25519::verify_raw(key, bytes, signature).is_ok()
    };
    assert_eq!(certificate.check_signature(&chain, verify), Ok(()));
    assert!(certificate.check_signature(&ChainContext([0xef; 32]), verify).is_err());
    let changed = Certificate { serial: 301, ..certificate };
    assert!(changed.check_signature(&chain, verify).is_err());
}
