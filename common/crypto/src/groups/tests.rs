use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
use curve25519_dalek::edwards::EdwardsPoint;
use k256::elliptic_curve::sec1::ToSec1Point as _;
use k256::{ProjectivePoint, Scalar};
use proptest::prelude::*;

use super::*;

const ORDER_SECP256K1: &str = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
const ORDER_ED25519: &str = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";
const BOTH: [Group; 2] = [Group::Secp256k1, Group::Ed25519];

fn array<const N: usize>(text: &str) -> [u8; N] {
    hex::decode(text).unwrap().try_into().unwrap()
}

/// A small number in a group's encoding.
fn small(group: Group, number: u8) -> [u8; 32] {
    let mut scalar = [0; 32];
    let place = if group == Group::Ed25519 { 0 } else { 31 };
    scalar[place] = number;
    scalar
}

/// The order less one.
fn minus_one(group: Group) -> [u8; 32] {
    let (text, last) = match group {
        Group::Secp256k1 => (ORDER_SECP256K1, 31),
        Group::Ed25519 => (ORDER_ED25519, 0),
    };
    let mut scalar: [u8; 32] = array(text);
    scalar[last] -= 1;
    scalar
}

fn pair(scalar: &[u8; 32], point: &[u8]) -> Vec<u8> {
    [scalar, point].concat()
}

fn generator(group: Group) -> Vec<u8> {
    vec![0; group.point_len()]
}

/// x G
fn multiple(group: Group, scalar: &[u8; 32]) -> Vec<u8> {
    combine(group, &pair(scalar, &generator(group))).unwrap()
}

#[test]
fn signatures_verify_as_bip340_says() {
    let mut seen = [0, 0];
    for line in include_str!("bip340.csv").lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let [key, message, signature, valid] = fields[..] else { panic!("{line}") };
        let message = hex::decode(message).unwrap();
        let got = schnorr_verify(&array(key), &array(signature), &message);
        assert_eq!(got, valid == "true", "{line}");
        seen[usize::from(got)] += 1;
    }
    assert_eq!(seen, [10, 9]);
}

/// The first from go-ethereum's `secp256_test.go`, the second from its vectors of the precompile, which
/// give the address.
#[test]
fn keys_are_recovered_as_by_ethereum() {
    let digest = array("ce0677bb30baa8cf067c88db9811f4333d131bf8bcf12fe7065d211dce971008");
    let signature = array(
        "90f27b8b488db00b00606796d2987f6a5f59ae62ea05effe84fef5b8b0e54998\
         4a691139ad57a3f0b906637673aa2f63d1f55cb1a69199d4009eea23ceaddc93",
    );
    let key = "e32df42865e97135acfb65f3bae71bdc86f4d49150ad6a440b6f15878109880a\
               0a2b2667f7e725ceea70c673093bf67663e0312623c8e091b13cf2c0f11ef652";
    assert_eq!(recover(&digest, &signature, true), Some(array(key)));
    assert!(recover(&digest, &signature, false).is_some_and(|other| other != array(key)));

    // Its s is in the upper half.
    let digest = array("18c547e4f7b0f325ad1e56f57e26c745b09a3e503d86e00e5255ff7f715d3d1c");
    let signature = array(
        "73b1693892219d736caba55bdb67216e485557ea6b6af75f37096c9aa6a5a75f\
         eeb940b1d03b21e36b0e47e79769f095fe2ab855bd91e3a38756b7d75a9c4549",
    );
    let hash = crate::sha3::keccak256(&recover(&digest, &signature, true).unwrap());
    assert_eq!(hex::encode(&hash[12..]), "a94f5374fce5edbc8e2a8697c15331677e6ebf0b");

    // No point has this x.
    let digest = array("a8b53bdf3306a35a7103ab5504a0c9b492295564b6202b1942a84ef300107281");
    let signature = array(
        "3078356531653033663533636531386237373263636230303933666637316633\
         6635336635633735623734646362333161383561613862383839326234653862",
    );
    assert_eq!(recover(&digest, &signature, false), None);
    assert_eq!(recover(&digest, &signature, true), None);
}

#[test]
fn no_key_is_recovered_from_numbers_out_of_range_or_if_it_is_the_identity() {
    let one: [u8; 32] = small(Group::Secp256k1, 1);
    let order: [u8; 32] = array(ORDER_SECP256K1);
    let from = |r: &[u8; 32], s: &[u8; 32]| {
        recover(&[7; 32], &[*r, *s].concat().try_into().unwrap(), false)
    };
    assert!(from(&one, &one).is_some());
    for bad in [[0; 32], order, [0xff; 32]] {
        assert_eq!(from(&bad, &one), None);
        assert_eq!(from(&one, &bad), None);
    }
    // With R = G and a digest of s the key is (sR - sG)/r.
    let generator = ProjectivePoint::GENERATOR.to_affine().to_sec1_point(false);
    let r: [u8; 32] = generator.as_bytes()[1..33].try_into().unwrap();
    let odd = generator.as_bytes()[64] % 2 == 1;
    let signature = [r, [7; 32]].concat().try_into().unwrap();
    assert_eq!(recover(&[7; 32], &signature, odd), None);
    assert!(recover(&[8; 32], &signature, odd).is_some());
}

/// `tests/vectors/groups.json` has more.
#[test]
fn the_layout_of_pairs_is_frozen() {
    let golden = [
        (
            Group::Secp256k1,
            65,
            "02f9308a019258c31049344f85f89d5229b531c845836f99b08601f113bce036f9",
        ),
        (Group::Ed25519, 64, "d4b4f5784868c3020403246717ec169ff79e26608ea126a1ab69ee77d1b16712"),
    ];
    for (group, length, three) in golden {
        assert_eq!(group.pair_len(), length);
        let two = multiple(group, &small(group, 2));
        // 1 (2G) + 1 G
        let pairs =
            [pair(&small(group, 1), &two), pair(&small(group, 1), &generator(group))].concat();
        assert_eq!(combine(group, &pairs).map(hex::encode).as_deref(), Some(three));
    }
    assert_eq!(
        hex::encode(multiple(Group::Secp256k1, &small(Group::Secp256k1, 1))),
        "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
    );
    assert_eq!(
        hex::encode(multiple(Group::Ed25519, &small(Group::Ed25519, 1))),
        "5866666666666666666666666666666666666666666666666666666666666666"
    );
}

#[test]
fn no_pair_a_part_of_one_or_a_sum_that_is_the_identity_is_nothing() {
    for group in BOTH {
        let whole = pair(&small(group, 1), &generator(group));
        assert_eq!(combine(group, &[]), None);
        assert_eq!(combine(group, &whole[1..]), None);
        assert_eq!(combine(group, &[&whole[..], &[0]].concat()), None);
        assert_eq!(combine(group, &pair(&[0; 32], &generator(group))), None);
        let opposite = pair(&minus_one(group), &generator(group));
        assert_eq!(combine(group, &[whole, opposite].concat()), None);
    }
}

#[test]
fn only_one_encoding_of_a_scalar_is_taken() {
    for (group, order) in BOTH.into_iter().zip([ORDER_SECP256K1, ORDER_ED25519]) {
        assert!(combine(group, &pair(&minus_one(group), &generator(group))).is_some());
        for scalar in [array(order), [0xff; 32]] {
            assert_eq!(combine(group, &pair(&scalar, &generator(group))), None);
            // Nor beside pairs that are right.
            let beside = pair(&small(group, 1), &generator(group));
            assert_eq!(combine(group, &[beside, pair(&scalar, &generator(group))].concat()), None);
        }
    }
}

#[test]
fn only_one_encoding_of_a_point_of_secp256k1_is_taken() {
    let group = Group::Secp256k1;
    let one = small(group, 1);
    let taken = |point: &str| combine(group, &pair(&one, &hex::decode(point).unwrap())).is_some();
    let x = "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
    assert!(taken(&format!("02{x}")) && taken(&format!("03{x}")));
    // Hybrid, uncompressed, compact and unknown forms.
    for sign in ["00", "01", "04", "05", "06", "07", "82", "ff"] {
        assert!(!taken(&format!("{sign}{x}")), "{sign}");
    }
    // There is a point with x = 1; p + 1 is not its encoding. Nor is there one with x = 0 or 5.
    let number = |last: u8| hex::encode(small(group, last));
    assert!(taken(&format!("02{}", number(1))));
    assert!(!taken("02fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc30"));
    assert!(!taken(&format!("02{}", number(0))) && !taken(&format!("02{}", number(5))));
}

#[test]
fn only_one_encoding_of_a_point_of_ed25519_is_taken() {
    let group = Group::Ed25519;
    let one = small(group, 1);
    let beside = pair(&one, &generator(group));
    let taken =
        |point: [u8; 32]| combine(group, &[beside.clone(), pair(&one, &point)].concat()).is_some();
    // The identity, which adds nothing, but not with a sign, and not with y = p + 1.
    assert!(taken(small(group, 1)));
    let mut signed = small(group, 1);
    signed[31] = 0x80;
    assert!(!taken(signed));
    let mut unreduced = [0xff; 32];
    (unreduced[0], unreduced[31]) = (0xee, 0x7f);
    assert!(!taken(unreduced));
    assert_eq!(combine(group, &pair(&one, &small(group, 1))), None, "the sum is the identity");
    // No point has this y.
    assert!(!taken(small(group, 2)));
}

#[test]
fn points_of_ed25519_with_torsion_are_not_taken() {
    let group = Group::Ed25519;
    for (index, torsion) in EIGHT_TORSION.iter().enumerate().skip(1) {
        for point in [*torsion, ED25519_BASEPOINT_POINT + torsion] {
            let encoded = point.compress().to_bytes();
            // Zeros are an encoding of a point of order 4, and stand for the generator here.
            if encoded == [0; 32] {
                continue;
            }
            for scalar in [small(group, 1), small(group, 8), [0; 32]] {
                let beside = pair(&small(group, 1), &generator(group));
                let pairs = [beside, pair(&scalar, &encoded)].concat();
                assert_eq!(combine(group, &pairs), None, "torsion {index}");
            }
        }
    }
}

/// x, as every group takes it: less than both orders.
fn scalars() -> impl Strategy<Value = Vec<([u8; 32], [u8; 32])>> {
    let scalar = any::<[u8; 32]>().prop_map(|mut bytes| {
        (bytes[0], bytes[31]) = (bytes[0] & 0x0f, bytes[31] & 0x0f);
        bytes
    });
    let pair = (scalar.clone(), scalar);
    proptest::collection::vec(pair, 1..8)
}

/// The pairs x (y G), encoded.
fn encode(group: Group, scalars: &[([u8; 32], [u8; 32])]) -> Option<Vec<Vec<u8>>> {
    let encoded = scalars.iter().map(|(x, y)| {
        let point = combine(group, &pair(y, &generator(group)))?;
        Some(pair(x, &point))
    });
    encoded.collect()
}

/// The sum of x y G, one multiplication after another.
fn naive(group: Group, scalars: &[([u8; 32], [u8; 32])]) -> Vec<u8> {
    match group {
        Group::Secp256k1 => {
            let scalar = |bytes: &[u8; 32]| {
                use k256::elliptic_curve::PrimeField as _;
                Scalar::from_repr((*bytes).into()).unwrap()
            };
            let sum = scalars.iter().fold(ProjectivePoint::IDENTITY, |sum, (x, y)| {
                sum + ProjectivePoint::GENERATOR * scalar(y) * scalar(x)
            });
            sum.to_affine().to_sec1_point(true).as_bytes().to_vec()
        }
        Group::Ed25519 => {
            use curve25519_dalek::Scalar;
            let scalar = |bytes: &[u8; 32]| Scalar::from_canonical_bytes(*bytes).unwrap();
            let sum: EdwardsPoint =
                scalars.iter().map(|(x, y)| ED25519_BASEPOINT_POINT * scalar(y) * scalar(x)).sum();
            sum.compress().to_bytes().to_vec()
        }
    }
}

/// -x
fn negated(group: Group, scalar: &[u8; 32]) -> [u8; 32] {
    match group {
        Group::Secp256k1 => {
            use k256::elliptic_curve::PrimeField as _;
            (-Scalar::from_repr((*scalar).into()).unwrap()).to_bytes().into()
        }
        Group::Ed25519 => {
            (-curve25519_dalek::Scalar::from_canonical_bytes(*scalar).unwrap()).to_bytes()
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_sum_is_that_of_its_parts_in_any_order(scalars in scalars(), turn: usize) {
        for group in BOTH {
            let Some(pairs) = encode(group, &scalars) else { continue };
            let sum = combine(group, &pairs.concat());
            prop_assert_eq!(sum.as_ref(), Some(&naive(group, &scalars)));
            let mut turned = pairs;
            turned.reverse();
            let by = turn % turned.len();
            turned.rotate_left(by);
            prop_assert_eq!(combine(group, &turned.concat()), sum);
        }
    }

    #[test]
    fn a_multiple_and_its_opposite_are_nothing(scalars in scalars()) {
        for group in BOTH {
            let Some(pairs) = encode(group, &scalars) else { continue };
            let opposite: Vec<_> = scalars.iter().map(|(x, y)| (negated(group, x), *y)).collect();
            let opposite = encode(group, &opposite).unwrap();
            prop_assert_eq!(combine(group, &[pairs.concat(), opposite.concat()].concat()), None);
        }
    }

    #[test]
    fn any_bytes_give_a_sum_that_is_taken_again_or_nothing(bytes: Vec<u8>) {
        for group in BOTH {
            let mut pairs = bytes.clone();
            pairs.resize(group.pair_len() * 2, 0);
            if let Some(sum) = combine(group, &pairs) {
                prop_assert_eq!(combine(group, &pair(&small(group, 1), &sum)), Some(sum));
            }
        }
    }

    /// ECDSA by hand: r = x(kG), s = (z + r x) / k.
    #[test]
    fn the_key_of_a_signature_is_recovered(seeds in scalars(), digest: [u8; 32]) {
        use k256::FieldBytes;
        use k256::elliptic_curve::PrimeField as _;
        use k256::elliptic_curve::ops::Reduce as _;
        let (k, x) = seeds[0];
        let (k, x) = (Scalar::from_repr(k.into()).unwrap(), Scalar::from_repr(x.into()).unwrap());
        prop_assume!(!bool::from(k.is_zero() | x.is_zero()));
        let nonce = (ProjectivePoint::GENERATOR * k).to_affine().to_sec1_point(false);
        let (r_bytes, odd) = (&nonce.as_bytes()[1..33], nonce.as_bytes()[64] % 2 == 1);
        let r_bytes: [u8; 32] = r_bytes.try_into().unwrap();
        let r = Scalar::from_repr(r_bytes.into()).unwrap();
        let z = Scalar::reduce(&FieldBytes::from(digest));
        let s: [u8; 32] = ((z + r * x) * k.invert().unwrap()).to_bytes().into();
        let key = (ProjectivePoint::GENERATOR * x).to_affine().to_sec1_point(false);
        let signature = [r_bytes, s].concat().try_into().unwrap();
        let got = recover(&digest, &signature, odd);
        prop_assert_eq!(got.as_ref().map(<[u8; 64]>::as_slice), Some(&key.as_bytes()[1..]));
        let other = recover(&digest, &signature, !odd);
        prop_assert!(other != got);
    }
}
