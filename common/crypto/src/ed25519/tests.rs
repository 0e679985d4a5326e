use proptest::prelude::*;

use super::*;

const TEST: Domain = Domain::new("paralith/test");
const OTHER: Domain = Domain::new("paralith/other");
const CHAIN: ChainContext = ChainContext([3; 32]);

/// RFC 8032, section 7.1: seed, public key, message, signature.
const RFC_8032: [[&str; 4]; 3] = [
    [
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ],
    [
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ],
    [
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ],
];

fn batch_of_one(
    key: &PublicKey,
    message: &[u8],
    signature: &Signature,
) -> Result<(), BadSignature> {
    let mut batch = Batch::new();
    batch.push_raw(key, message, signature);
    batch.verify([0; 32])
}

/// What one verification says; fails the test when a batch of one says something else.
fn judge(key: &PublicKey, message: &[u8], signature: &Signature) -> Result<(), BadSignature> {
    let single = verify_raw(key, message, signature);
    assert_eq!(single, batch_of_one(key, message, signature), "single and batch disagree");
    single
}

/// The 14 encodings that decode to one of the eight points of small order: seven `y`, each with
/// both signs of `x`. Six of them are not canonical.
fn small_order_encodings() -> Vec<[u8; 32]> {
    let little = |low: u8, rest: u8, high: u8| {
        let mut bytes = [rest; 32];
        (bytes[0], bytes[31]) = (low, high);
        bytes
    };
    let order_8: [[u8; 32]; 2] = [
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    ]
    .map(|text| hex::decode(text).unwrap().try_into().unwrap());
    let ys = [
        little(0, 0, 0),          // 0: order 4
        little(1, 0, 0),          // 1: the neutral element
        little(0xec, 0xff, 0x7f), // -1: order 2
        little(0xed, 0xff, 0x7f), // p, that is 0, not canonical
        little(0xee, 0xff, 0x7f), // p + 1, that is 1, not canonical
        order_8[0],
        order_8[1],
    ];
    let with_sign = |mut y: [u8; 32]| {
        y[31] |= 0x80;
        y
    };
    ys.iter().flat_map(|y| [*y, with_sign(*y)]).collect()
}

#[test]
fn the_vectors_of_rfc_8032() {
    for [seed, public, message, signature] in RFC_8032 {
        let seed: [u8; 32] = hex::decode(seed).unwrap().try_into().unwrap();
        let key = SigningKey::from_seed(seed);
        let message = hex::decode(message).unwrap();
        assert_eq!(key.public().to_string(), public);
        assert_eq!(key.sign_raw(&message).to_string(), signature);
        assert_eq!(*key.seed(), seed);
        assert_eq!(judge(&key.public(), &message, &signature.parse().unwrap()), Ok(()));
    }
}

#[test]
fn all_196_small_order_signatures_pass_as_zip_215_demands() {
    let encodings = small_order_encodings();
    let mut all = Batch::new();
    for key in &encodings {
        for r in &encodings {
            let mut signature = [0; 64];
            signature[..32].copy_from_slice(r);
            let (key, signature) = (PublicKey(*key), Signature(signature));
            assert_eq!(judge(&key, b"Zcash", &signature), Ok(()), "{key} {signature}");
            all.push_raw(&key, b"Zcash", &signature);
        }
    }
    assert_eq!(all.len(), 196);
    assert_eq!(all.verify([5; 32]), Ok(()));
}

#[test]
fn a_small_order_part_does_not_split_single_from_batch() {
    // An honest R and s with a torsion key: [8][s]B = [8]R + [8][k]A holds only for s = r.
    let honest = SigningKey::from_seed([1; 32]).sign_raw(b"message");
    for encoding in small_order_encodings() {
        assert_eq!(judge(&PublicKey(encoding), b"message", &honest), Err(BadSignature));
        let mut mixed = honest;
        mixed.0[..32].copy_from_slice(&encoding);
        let key = SigningKey::from_seed([1; 32]).public();
        assert_eq!(judge(&key, b"message", &mixed), Err(BadSignature));
    }
}

#[test]
fn an_s_that_is_not_reduced_is_refused() {
    // s = L, the order of the base point: equal to 0, but not canonical.
    let order = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";
    for encoding in small_order_encodings() {
        let mut signature = Signature([0; 64]);
        signature.0[..32].copy_from_slice(&encoding);
        signature.0[32..].copy_from_slice(&hex::decode(order).unwrap());
        assert_eq!(judge(&PublicKey(encoding), b"Zcash", &signature), Err(BadSignature));
    }
}

#[test]
fn a_key_that_is_no_point_is_refused() {
    // y = 2 is on no point of the curve.
    let mut no_point = [0; 32];
    no_point[0] = 2;
    assert_eq!(judge(&PublicKey(no_point), b"", &Signature([0; 64])), Err(BadSignature));
    let mut signature = Signature([0; 64]);
    signature.0[..32].copy_from_slice(&no_point);
    let key = SigningKey::from_seed([1; 32]).public();
    assert_eq!(judge(&key, b"", &signature), Err(BadSignature));
}

#[test]
fn the_signed_bytes_are_frozen() {
    let key = SigningKey::from_seed([1; 32]);
    let by_hand = [b"\x0dparalith/test".as_slice(), &[3; 32], b"message"].concat();
    let signature = key.sign(TEST, &CHAIN, b"message");
    assert_eq!(framed(TEST, &CHAIN, b"message"), by_hand);
    assert_eq!(signature, key.sign_raw(&by_hand));
    assert_eq!(
        signature.to_string(),
        "e71bfddf97346dc91dc9c61dd5bc27f8ed515e861456abf9fc8736ef38dcfbeb667d424d9ad1cd81e79eec22e0a880104c56f88c9955c0580694c12a97c0300f"
    );
}

#[test]
fn a_signature_holds_for_its_own_purpose_only() {
    let key = SigningKey::from_seed([1; 32]);
    let signature = key.sign(TEST, &CHAIN, b"message");
    let public = key.public();
    let other_key = SigningKey::from_seed([2; 32]).public();
    let other_chain = ChainContext([4; 32]);
    assert_eq!(verify(&public, TEST, &CHAIN, b"message", &signature), Ok(()));
    for (key, domain, chain, message) in [
        (&other_key, TEST, &CHAIN, &b"message"[..]),
        (&public, OTHER, &CHAIN, b"message"),
        (&public, TEST, &other_chain, b"message"),
        (&public, TEST, &CHAIN, b"massage"),
        (&public, TEST, &CHAIN, b""),
    ] {
        assert_eq!(verify(key, domain, chain, message, &signature), Err(BadSignature));
    }
    assert_eq!(verify_raw(&public, b"message", &signature), Err(BadSignature));
}

#[test]
fn debug_does_not_show_the_seed() {
    let key = SigningKey::from_seed([0xa7; 32]);
    let text = format!("{key:?}");
    assert_eq!(text, format!("SigningKey(public {})", key.public()));
    assert!(!text.contains("a7a7"));
}

#[test]
fn an_empty_batch_passes() {
    assert!(Batch::new().is_empty());
    assert_eq!(Batch::new().verify([0; 32]), Ok(()));
}

#[test]
fn two_wrong_signatures_do_not_cancel_out() {
    // s1 + 1 and s2 - 1: the unweighted sum of the two equations still holds.
    let (first, second) = (SigningKey::from_seed([1; 32]), SigningKey::from_seed([2; 32]));
    let (mut a, mut b) = (first.sign(TEST, &CHAIN, b"a"), second.sign(TEST, &CHAIN, b"b"));
    assert!(a.0[32] < 0xff && b.0[32] > 0, "no carry in this example");
    a.0[32] += 1;
    b.0[32] -= 1;
    for seed in 0..16 {
        let mut batch = Batch::new();
        batch.push(&first.public(), TEST, &CHAIN, b"a", &a);
        batch.push(&second.public(), TEST, &CHAIN, b"b", &b);
        assert_eq!(batch.verify([seed; 32]), Err(BadSignature));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_flipped_bit_is_noticed(seed: [u8; 32], message: Vec<u8>, bit in 0usize..512) {
        let key = SigningKey::from_seed(seed);
        let mut signature = key.sign(TEST, &CHAIN, &message);
        prop_assert!(verify(&key.public(), TEST, &CHAIN, &message, &signature).is_ok());
        signature.0[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(judge(&key.public(), &framed(TEST, &CHAIN, &message), &signature).is_err());
    }

    #[test]
    fn a_batch_passes_exactly_when_each_signature_does(
        seed: [u8; 32],
        // One signer's number and whether the signature is spoiled, for each signature.
        members in prop::collection::vec((0u8..4, prop::bool::weighted(0.05)), 0..24),
    ) {
        let mut batch = Batch::new();
        let mut each = Ok(());
        for (index, (signer, spoiled)) in members.iter().enumerate() {
            let key = SigningKey::from_seed([*signer; 32]);
            let message = index.to_be_bytes();
            let mut signature = key.sign(TEST, &CHAIN, &message);
            signature.0[40] ^= u8::from(*spoiled);
            each = each.and(verify(&key.public(), TEST, &CHAIN, &message, &signature));
            batch.push(&key.public(), TEST, &CHAIN, &message, &signature);
        }
        prop_assert_eq!(each.is_err(), members.iter().any(|(_, spoiled)| *spoiled));
        prop_assert_eq!(batch.verify(seed), each);
    }
}
