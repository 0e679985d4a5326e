//! One encoding for each point and scalar; secrets are not shown.

use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
use paralith_cosigner_core::nonce::NonceChain;
use paralith_cosigner_core::owner::{Blinding, JointKey, Request};
use paralith_cosigner_core::{
    CosignerError, Curve, CurveId, Ed25519, Federation, Member, Point, Scalar, Secp256k1, Secret,
    Share,
};
use paralith_crypto::Zeroizing;
use proptest::prelude::*;

use crate::lab::{polynomial, refused, secret};

const G: &str = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
const G_UNCOMPRESSED: &str = "0479be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8";
/// The field's prime, and the group's order.
const P: &str = "fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f";
const N: &str = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
/// The order of Ed25519's group, little-endian.
const L: &str = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";

fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}

fn array(text: &str) -> [u8; 32] {
    bytes(text).try_into().unwrap()
}

#[test]
fn points_of_secp256k1_have_one_encoding() {
    let generator = Point::<Secp256k1>::from_bytes(&bytes(G)).unwrap();
    assert_eq!(hex::encode(generator.to_bytes()), G);
    let x = &G[2..];
    // x = 5 is on no point; 1 is, and P + 1 would be the same.
    let above = "fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc30";
    let one = format!("{:064x}", 1);
    assert!(Point::<Secp256k1>::from_bytes(&bytes(&format!("02{one}"))).is_ok());
    for other in [
        String::new(),
        "00".to_string(),
        "00".repeat(33),
        G_UNCOMPRESSED.to_string(),
        x.to_string(),
        format!("{G}00"),
        format!("04{x}"),
        format!("05{x}"),
        format!("06{x}"),
        format!("02{:064x}", 5),
        format!("02{P}"),
        format!("03{above}"),
        format!("02{}", "ff".repeat(32)),
    ] {
        refused(Point::<Secp256k1>::from_bytes(&bytes(&other)), CosignerError::Point);
    }
}

#[test]
fn points_of_ed25519_have_one_encoding_and_no_torsion() {
    let base = ED25519_BASEPOINT_POINT.compress().to_bytes();
    assert_eq!(Point::<Ed25519>::from_bytes(&base).unwrap().to_bytes(), base);
    let mut refusals: Vec<Vec<u8>> = vec![vec![], base[..31].to_vec(), [&base[..], &[0]].concat()];
    for torsion in EIGHT_TORSION {
        // The identity is among these, and has no sum with torsion but the base point.
        refusals.push(torsion.compress().to_bytes().to_vec());
        if torsion != EIGHT_TORSION[0] {
            refusals.push((ED25519_BASEPOINT_POINT + torsion).compress().to_bytes().to_vec());
        }
    }
    // y = p + 3 to p + 18 where it is on the curve, and the identity with the sign of x set.
    for low in 0xed_u8..=0xff {
        let mut above = [0xff; 32];
        (above[0], above[31]) = (low, 0x7f);
        refusals.push(above.to_vec());
        above[31] = 0xff;
        refusals.push(above.to_vec());
    }
    let mut signed_identity = [0; 32];
    (signed_identity[0], signed_identity[31]) = (1, 0x80);
    refusals.push(signed_identity.to_vec());
    // No point has this y.
    let mut none = [0; 32];
    none[0] = 2;
    refusals.push(none.to_vec());
    for other in refusals {
        refused(Point::<Ed25519>::from_bytes(&other), CosignerError::Point);
    }
}

#[test]
fn scalars_are_from_one_to_the_order() {
    let mut last: [u8; 32] = array(N);
    refused(Scalar::<Secp256k1>::from_bytes(&last), CosignerError::Scalar);
    last[31] -= 1;
    assert_eq!(Scalar::<Secp256k1>::from_bytes(&last).unwrap().to_bytes(), last);
    let mut last: [u8; 32] = array(L);
    refused(Scalar::<Ed25519>::from_bytes(&last), CosignerError::Scalar);
    last[0] -= 1;
    assert_eq!(Scalar::<Ed25519>::from_bytes(&last).unwrap().to_bytes(), last);
    for other in [[0; 32], [0xff; 32]] {
        refused(Scalar::<Secp256k1>::from_bytes(&other), CosignerError::Scalar);
        refused(Scalar::<Ed25519>::from_bytes(&other), CosignerError::Scalar);
        refused(Secret::<Secp256k1>::from_bytes(&other), CosignerError::Scalar);
        refused(Secret::<Ed25519>::from_bytes(&other), CosignerError::Scalar);
    }
    refused(Secret::<Ed25519>::from_random(&Zeroizing::new([0; 64])), CosignerError::Degenerate);
    let one = |last: usize| {
        let mut bytes = [0; 32];
        bytes[last] = 1;
        bytes
    };
    let one_g = Secret::<Secp256k1>::from_bytes(&one(31)).unwrap().public();
    assert_eq!(hex::encode(one_g.to_bytes()), G);
    let base = ED25519_BASEPOINT_POINT.compress().to_bytes();
    assert_eq!(Secret::<Ed25519>::from_bytes(&one(0)).unwrap().public().to_bytes(), base);
}

#[test]
fn sums_that_cancel_are_refused() {
    let one: Secret<Secp256k1> = secret(1, "one", 0);
    let minus = Secp256k1::negate_scalar(&Secp256k1::scalar_from_bytes(&one.to_bytes()).unwrap());
    let minus = Secret::<Secp256k1>::from_bytes(&Secp256k1::scalar_to_bytes(&minus)).unwrap();
    refused(one.add(&minus), CosignerError::Degenerate);
    refused(one.public().add(&minus.public()), CosignerError::Degenerate);
    refused(Point::sum(&[one.public(), minus.public()]), CosignerError::Degenerate);
    refused(Point::<Secp256k1>::sum(&[]), CosignerError::Degenerate);
}

#[test]
fn a_byte_names_a_curve() {
    for curve in [CurveId::Secp256k1, CurveId::Ed25519] {
        assert_eq!(CurveId::from_byte(curve.byte()).unwrap(), curve);
    }
    assert_eq!([Secp256k1::ID.byte(), Ed25519::ID.byte()], [1, 2]);
    for byte in [0, 3, 255] {
        refused(CurveId::from_byte(byte), CosignerError::Point);
    }
}

fn secrets_are_not_shown<C: Curve>() {
    let value: Secret<C> = secret(3, "shown", 0);
    let blinding = Blinding::new(value.clone(), value.clone());
    let key = JointKey::plain(value.public());
    let nonce = secret::<C>(4, "nonce", 0).public();
    let seed = Zeroizing::new(*value.to_bytes());
    let mut chain = NonceChain::start(nonce, seed);
    let federation = Federation::new(2, 2).unwrap();
    let shown = [
        format!("{value:?}"),
        format!("{:?}", Share::new(Member::new(1).unwrap(), value.clone())),
        format!("{blinding:?}"),
        format!("{:?}", polynomial::<C>(federation, 3, 1)),
        format!("{chain:?}"),
        format!("{:?}", chain.take().unwrap()),
        format!("{:?}", Request::blind(&key, &nonce, &blinding, b"a secret message").unwrap()),
    ];
    let hidden = hex::encode(*value.to_bytes());
    let bytes = format!("{:?}", *value.to_bytes());
    for text in shown {
        assert!(!text.contains(&hidden) && !text.contains(&bytes), "{text}");
        assert!(!text.contains("message") && text.len() < 300, "{text}");
    }
}

#[test]
fn secrets_are_not_shown_on_both_curves() {
    secrets_are_not_shown::<Secp256k1>();
    secrets_are_not_shown::<Ed25519>();
}

fn any_bytes<C: Curve>(point: &[u8], scalar: [u8; 32]) {
    if let Ok(read) = Point::<C>::from_bytes(point) {
        assert_eq!(read.to_bytes().as_ref(), point);
    }
    if let Ok(read) = Scalar::<C>::from_bytes(&scalar) {
        assert_eq!(read.to_bytes(), scalar);
        assert_eq!(*Secret::<C>::from_bytes(&scalar).unwrap().to_bytes(), scalar);
    }
}

proptest! {
    #[test]
    fn what_is_read_is_written_the_same(
        point in proptest::collection::vec(any::<u8>(), 31..35),
        sign in 2_u8..4,
        scalar: [u8; 32],
    ) {
        let mut compressed = point.clone();
        compressed[0] = sign;
        any_bytes::<Secp256k1>(&compressed, scalar);
        any_bytes::<Ed25519>(&point, scalar);
        let mut below = scalar;
        below[31] &= 0x0f;
        any_bytes::<Ed25519>(&scalar, below);
    }
}

#[test]
fn codes_are_stable() {
    let member = Member::new(1).unwrap();
    let all = [
        CosignerError::Point,
        CosignerError::Scalar,
        CosignerError::Federation { members: 0, threshold: 0 },
        CosignerError::NoSuchMember { number: 0 },
        CosignerError::Set { threshold: 2 },
        CosignerError::Count { what: "", expected: 0, got: 0 },
        CosignerError::NoSuchKey { limit: 16, key: 16 },
        CosignerError::Possession { dealer: member },
        CosignerError::ShareDiffers,
        CosignerError::Dealers { threshold: 2 },
        CosignerError::Degenerate,
        CosignerError::Inconsistent,
        CosignerError::NotInSession { member },
        CosignerError::Partial { member },
        CosignerError::Answer,
        CosignerError::JointKey,
        CosignerError::Opening { number: 0 },
        CosignerError::OpenedTwice { first: 0, second: 1 },
        CosignerError::Authorisation,
        CosignerError::Released { member },
    ];
    let codes: Vec<u32> = all.iter().map(CosignerError::code).collect();
    assert_eq!(codes, (1..=20).collect::<Vec<u32>>());
}
