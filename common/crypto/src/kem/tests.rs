use proptest::prelude::*;

use super::*;

/// One secret of each KEM.
fn secrets(seed: [u8; 32]) -> Vec<KemSecret> {
    vec![
        KemSecret::X25519(HpkeSecret::from_bytes(seed)),
        #[cfg(feature = "x-wing")]
        KemSecret::XWing(Zeroizing::new(seed)),
    ]
}

/// RFC 9180, appendix A.2.1, whose first message has additional data: what it has without.
#[test]
fn the_keying_material_is_that_of_rfc_9180() {
    let bytes = |text: &str| hex::decode(text).unwrap();
    let key = bytes("4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a");
    let info = bytes("4f6465206f6e2061204772656369616e2055726e");
    let ikm = bytes("909a9b35d3dc4713a5e72a4da274b55d3d3821a37e5d099e74a647db583a904b");
    let encapsulated = bytes("1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a");
    let sealed = hpke_seal(KEM_X25519, &key, &info, b"x", &ikm.try_into().unwrap()).unwrap();
    assert_eq!(sealed[..32], encapsulated);
    let secret = bytes("8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb");
    let secret = KemSecret::X25519(HpkeSecret::from_bytes(secret.try_into().unwrap()));
    assert_eq!(hpke_open(&secret, &info, &sealed).unwrap().as_slice(), b"x");
}

#[test]
fn only_keys_to_which_something_can_be_sealed_are_usable() {
    for secret in secrets([7; 32]) {
        let (kem, key) = (secret.kem(), secret.public());
        assert!(is_usable_key(kem, &key), "{secret:?}");
        for len in [0, 1, key.len() - 1] {
            assert!(!is_usable_key(kem, &key[..len]), "{secret:?} of {len} bytes");
        }
        assert!(!is_usable_key(kem, &[key.as_slice(), &[0]].concat()));
        for other in [0, 0x0010, 0x0021, 0x647b, kem | 0x1_0000] {
            assert!(!is_usable_key(other, &key));
        }
    }
}

/// X25519 keys, as far as they are keys of X-Wing too: bad ones with the reason.
fn bad_x25519() -> Vec<([u8; 32], &'static str)> {
    let order_8 = "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800";
    let other_8 = "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157";
    let array = |text: &str| <[u8; 32]>::try_from(hex::decode(text).unwrap()).unwrap();
    let low = |first: u8| {
        let mut key = [0; 32];
        key[0] = first;
        key
    };
    let high = |first: u8| {
        let mut key = [0xff; 32];
        (key[0], key[31]) = (first, 0x7f);
        key
    };
    let mut with_top_bit = low(9);
    with_top_bit[31] = 0x80;
    vec![
        (low(0), "order 4"),
        (low(1), "order 1"),
        (high(0xec), "order 2"),
        (array(order_8), "order 8"),
        (array(other_8), "order 8"),
        (high(0xed), "0, not reduced"),
        (high(0xee), "1, not reduced"),
        (high(0xf6), "9, not reduced"),
        (high(0xff), "18, not reduced"),
        (with_top_bit, "9 with the bit that RFC 7748 ignores"),
    ]
}

#[test]
fn keys_of_small_order_and_keys_that_are_not_reduced_are_refused() {
    for (key, why) in bad_x25519() {
        assert!(!is_usable_key(KEM_X25519, &key), "{why}");
    }
    let mut nine = [0; 32];
    nine[0] = 9;
    assert!(is_usable_key(KEM_X25519, &nine));
    let mut largest = [0xff; 32];
    (largest[0], largest[31]) = (0xeb, 0x7f);
    assert!(
        is_usable_key(KEM_X25519, &largest),
        "the largest key that is reduced and has no small order"
    );
}

/// Why: the receiver's library binds the reduced key, the sender's the bytes that it was given.
#[test]
fn what_is_sealed_to_a_key_that_is_not_reduced_opens_for_nobody() {
    let secret = HpkeSecret::from_bytes([7; 32]);
    let mut key = secret.public();
    key.0[31] |= 0x80;
    let sealed = hpke::seal(&key, b"", b"", b"x", [1; 32]).unwrap();
    assert_eq!(hpke::open(&secret, b"", b"", &sealed), Err(CannotOpen));
}

#[cfg(feature = "x-wing")]
#[test]
fn both_halves_of_an_x_wing_key_are_checked() {
    let key = KemSecret::XWing(Zeroizing::new([7; 32])).public();
    assert_eq!(key.len(), 1216);
    for (half, why) in bad_x25519() {
        let mut bad = key.clone();
        bad[1184..].copy_from_slice(&half);
        assert!(!is_usable_key(KEM_X_WING, &bad), "{why}");
    }
    // The first coefficient of ML-KEM has the first 12 bits, little-endian; q is 3329.
    for (coefficient, usable) in [(0_u16, true), (3328, true), (3329, false), (4095, false)] {
        let mut other = key.clone();
        other[0] = (coefficient & 0xff) as u8;
        other[1] = (other[1] & 0xf0) | (coefficient >> 8) as u8;
        assert_eq!(is_usable_key(KEM_X_WING, &other), usable, "{coefficient}");
    }
}

#[test]
fn the_secret_is_not_shown() {
    for secret in secrets([0xa7; 32]) {
        let shown = format!("{secret:?}");
        assert!(shown.len() < 20 && !shown.contains("a7a7"), "{shown}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_flipped_bit_opens(
        seed: [u8; 32],
        ikm: [u8; 32],
        info in prop::collection::vec(any::<u8>(), 1..40),
        plaintext in prop::collection::vec(any::<u8>(), 0..100),
        pick: prop::sample::Index,
    ) {
        for secret in secrets(seed) {
            let (kem, key) = (secret.kem(), secret.public());
            let sealed = hpke_seal(kem, &key, &info, &plaintext, &ikm).unwrap();
            let again = hpke_seal(kem, &key, &info, &plaintext, &ikm);
            prop_assert_eq!(again.as_ref(), Some(&sealed));
            let opened = hpke_open(&secret, &info, &sealed).unwrap();
            prop_assert_eq!(opened.as_slice(), plaintext.as_slice());

            let mut all = [info.as_slice(), &sealed].concat();
            let bit = pick.index(all.len() * 8);
            all[bit / 8] ^= 1 << (bit % 8);
            let (info, sealed) = all.split_at(info.len());
            prop_assert_eq!(hpke_open(&secret, info, sealed), Err(CannotOpen));
        }
    }

    #[test]
    fn random_bytes_never_panic(
        seed: [u8; 32],
        kem in prop_oneof![Just(KEM_X25519), Just(KEM_X_WING), any::<u32>()],
        key in prop_oneof![
            prop::collection::vec(any::<u8>(), 32),
            prop::collection::vec(any::<u8>(), 1216),
            prop::collection::vec(any::<u8>(), 0..2000),
        ],
        sealed in prop::collection::vec(any::<u8>(), 0..1300),
    ) {
        let _ = hpke_seal(kem, &key, b"info", b"plaintext", &seed);
        for secret in secrets(seed) {
            prop_assert_eq!(hpke_open(&secret, b"info", &sealed), Err(CannotOpen));
        }
    }
}
