use proptest::prelude::*;

use super::*;
use crate::HpkeSecret;
use crate::kem::KEM_X25519;

const DOMAINS: WrapDomains = WrapDomains {
    content: Domain::new("paralith/test/content/v1"),
    commitment: Domain::new("paralith/test/commitment/v1"),
    wrap: Domain::new("paralith/test/wrap/v1"),
};

/// Two recipients of each KEM that this build has.
fn secrets(seed: u8) -> Vec<KemSecret> {
    let x25519 = |fill: u8| KemSecret::X25519(HpkeSecret::from_bytes([fill; 32]));
    vec![
        x25519(seed),
        #[cfg(feature = "x-wing")]
        KemSecret::XWing(Zeroizing::new([seed; 32])),
        x25519(seed.wrapping_add(1)),
        #[cfg(feature = "x-wing")]
        KemSecret::XWing(Zeroizing::new([seed.wrapping_add(1); 32])),
    ]
}

/// What names the place, the recipient and the content.
fn info(place: &str, index: usize, commitment: &Hash) -> Vec<u8> {
    [place.as_bytes(), &[index as u8], &commitment.0].concat()
}

/// Recipients with these keys, in one place.
fn recipients<'a>(
    secrets: &[KemSecret],
    keys: &'a [Vec<u8>],
    place: &'a str,
) -> Vec<Recipient<'a, impl Fn(&Hash) -> Vec<u8> + use<'a>>> {
    let each = secrets.iter().zip(keys).enumerate();
    each.map(|(index, (secret, key))| Recipient {
        kem: secret.kem(),
        key,
        info: move |commitment: &Hash| info(place, index, commitment),
    })
    .collect()
}

fn keys(secrets: &[KemSecret]) -> Vec<Vec<u8>> {
    secrets.iter().map(KemSecret::public).collect()
}

/// The encapsulated key of a wrap.
fn encapsulated(secret: &KemSecret, wrap: &[u8]) -> Vec<u8> {
    let len = if secret.kem() == KEM_X25519 { 32 } else { 1120 };
    wrap[..len].to_vec()
}

#[test]
fn the_plaintext_of_a_wrap_is_frozen_and_has_one_form() {
    let sk = ContentKey::new([0xab; 32]);
    let bytes = |uri: &str| hex::encode(plaintext(&sk, uri).as_slice());
    let start = format!("0a20{}", "ab".repeat(32));
    assert_eq!(bytes(""), start);
    assert_eq!(bytes("a"), format!("{start}120161"));
    let long = "x".repeat(300);
    assert_eq!(bytes(&long), format!("{start}12ac02{}", "78".repeat(300)));
    for uri in ["", "a", long.as_str(), &"é".repeat(64)] {
        assert_eq!(read(&plaintext(&sk, uri)), Some((sk.clone(), uri)));
    }
    for other in [
        "",                            // nothing
        "120161",                      // no key
        &format!("{start}1200"),       // an empty URI that is written
        &format!("{start}12810061"),   // a length that is written too long
        &format!("{start}120261"),     // cut off
        &format!("{start}12016162"),   // followed by something
        &format!("{start}1201611801"), // an unknown field
        &format!("{start}1201ff"),     // not UTF-8
        &format!("{start}128080"),     // a length without an end
        &format!("0a1f{}", "ab".repeat(31)),
        &format!("0a21{}", "ab".repeat(33)),
    ] {
        assert_eq!(read(&hex::decode(other).unwrap()), None, "{other}");
    }
}

#[test]
fn what_is_sealed_and_wrapped_is_opened_by_each_recipient() {
    let secrets = secrets(1);
    let keys = keys(&secrets);
    let sk = ContentKey::new([5; 32]);
    let sealed = seal_content(&DOMAINS, &sk, "https://a/data", b"content info", b"a call");
    let to = recipients(&secrets, &keys, "place");
    let wraps = wrap(&DOMAINS, &sk, "https://a/data", &to).unwrap();
    for (index, secret) in secrets.iter().enumerate() {
        let info = info("place", index, &sealed.key_commitment);
        let (opened, uri) =
            unwrap(&DOMAINS, secret, &info, &wraps[index], &sealed.key_commitment).unwrap();
        assert_eq!((&opened, uri.as_str()), (&sk, "https://a/data"));
        let content = open_content(&DOMAINS, &opened, b"content info", &sealed.content).unwrap();
        assert_eq!(content.as_slice(), b"a call");
        // Under another commitment, info or key it does not open.
        let other = key_commitment(&DOMAINS, &sk, "https://b/data");
        assert!(unwrap(&DOMAINS, secret, &info, &wraps[index], &other).is_err());
        assert!(unwrap(&DOMAINS, secret, b"info", &wraps[index], &other).is_err());
        let next = &secrets[(index + 1) % secrets.len()];
        let opened = unwrap(&DOMAINS, next, &info, &wraps[index], &sealed.key_commitment);
        assert!(opened.is_err());
    }
    assert!(open_content(&DOMAINS, &sk, b"other info", &sealed.content).is_err());
    assert_eq!(first_false_wrap(&DOMAINS, &sk, "https://a/data", &to, &wraps), None);
}

#[test]
fn a_wrap_that_holds_something_else_does_not_open() {
    // A sender that seals another key, or another URI, under the right info and any randomness.
    let secret = KemSecret::X25519(HpkeSecret::from_bytes([1; 32]));
    let sk = ContentKey::new([5; 32]);
    let commitment = key_commitment(&DOMAINS, &sk, "uri");
    for (held, opens) in [
        (plaintext(&sk, "uri"), true),
        (plaintext(&sk, "irc"), false),
        (plaintext(&ContentKey::new([6; 32]), "uri"), false),
        (Zeroizing::new(b"nothing of the kind".to_vec()), false),
    ] {
        let sealed = hpke_seal(KEM_X25519, &secret.public(), b"info", &held, &[9; 32]).unwrap();
        let opened = unwrap(&DOMAINS, &secret, b"info", &sealed, &commitment);
        assert_eq!(opened.is_ok(), opens);
    }
}

#[test]
fn missing_surplus_and_swapped_wraps_are_found() {
    let secrets = secrets(1);
    let keys = keys(&secrets);
    let sk = ContentKey::new([5; 32]);
    let to = recipients(&secrets, &keys, "place");
    let wraps = wrap(&DOMAINS, &sk, "", &to).unwrap();
    let first = |wraps: &[Vec<u8>]| first_false_wrap(&DOMAINS, &sk, "", &to, wraps);
    let last = wraps.len() - 1;
    assert_eq!(first(&wraps), None);
    assert_eq!(first(&wraps[..last]), Some(last as u32));
    assert_eq!(first(&[]), Some(0));
    let surplus = [wraps.as_slice(), &wraps[..1]].concat();
    assert_eq!(first(&surplus), Some(wraps.len() as u32));
    let mut swapped = wraps.clone();
    swapped.swap(0, last);
    assert_eq!(first(&swapped), Some(0));
    let mut both = wraps[..last].to_vec();
    both[0].push(0);
    assert_eq!(first(&both), Some(0), "the first of several");
    // Another key or URI would give other wraps.
    let other = ContentKey::new([6; 32]);
    assert_eq!(first_false_wrap(&DOMAINS, &other, "", &to, &wraps), Some(0));
    assert_eq!(first_false_wrap(&DOMAINS, &sk, "x", &to, &wraps), Some(0));
    assert_eq!(first_false_wrap(&DOMAINS, &sk, "", &to[..0], &[]), None);
}

#[test]
fn keys_and_infos_that_break_the_rule_are_refused() {
    let sk = ContentKey::new([5; 32]);
    let good = HpkeSecret::from_bytes([1; 32]).public().0;
    let fill = |fill: u8| move |commitment: &Hash| [&[fill][..], &commitment.0].concat();
    let to = |kem: u32, key, info| Recipient { kem, key, info };
    let wrap = |to: &[_]| super::wrap(&DOMAINS, &sk, "", to);
    assert!(wrap(&[to(KEM_X25519, &good[..], fill(0)), to(KEM_X25519, &good, fill(1))]).is_ok());
    for (kem, key) in [(KEM_X25519, &[0; 32][..]), (KEM_X25519, &good[..31]), (0x21, &good)] {
        let refused = wrap(&[to(KEM_X25519, &good, fill(0)), to(kem, key, fill(1))]);
        assert_eq!(refused, Err(CannotWrap::Key { index: 1 }));
    }
    let same = wrap(&[to(KEM_X25519, &good, fill(1)), to(KEM_X25519, &good, fill(1))]);
    assert_eq!(same, Err(CannotWrap::Repeated { index: 1 }));
    let constant = |_: &Hash| vec![7; 100];
    let to = Recipient { kem: KEM_X25519, key: &good, info: constant };
    let unbound = super::wrap(&DOMAINS, &sk, "", &[to]);
    assert_eq!(unbound, Err(CannotWrap::Unbound { index: 0 }));
    assert!(paralith_types::Error::from(CannotWrap::Unbound { index: 0 }).is("wrap", 2));
}

#[test]
fn the_secret_is_not_shown() {
    assert_eq!(format!("{:?}", ContentKey::new([7; 32])), "ContentKey(..)");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_change_of_one_wrap_is_found(
        sk: [u8; 32],
        seed: u8,
        uri in "[a-z]{0,12}",
        pick: prop::sample::Index,
        at: prop::sample::Index,
        by in 1_u8..,
    ) {
        let secrets = secrets(seed);
        let keys = keys(&secrets);
        let sk = ContentKey::new(sk);
        let to = recipients(&secrets, &keys, "place");
        let mut wraps = wrap(&DOMAINS, &sk, &uri, &to).unwrap();
        prop_assert_eq!(first_false_wrap(&DOMAINS, &sk, &uri, &to, &wraps), None);
        let changed = pick.index(wraps.len());
        let at = at.index(wraps[changed].len());
        wraps[changed][at] ^= by;
        let found = first_false_wrap(&DOMAINS, &sk, &uri, &to, &wraps);
        prop_assert_eq!(found, Some(changed as u32));
    }

    #[test]
    fn two_uris_places_or_keys_share_no_encapsulated_key(
        sk: [u8; 32],
        uris in prop::collection::btree_set("[a-z]{0,4}", 2..4),
        places in prop::collection::btree_set("[a-z]{0,4}", 2..4),
    ) {
        // The same owner stands in the list twice: only the index differs.
        let secrets: Vec<_> = secrets(1).into_iter().chain(secrets(1)).collect();
        let keys = keys(&secrets);
        let mut seen = BTreeSet::new();
        let mut other = sk;
        other[0] ^= 1;
        for sk in [sk, other].map(ContentKey::new) {
            for (uri, place) in uris.iter().flat_map(|uri| places.iter().map(move |p| (uri, p))) {
                let to = recipients(&secrets, &keys, place);
                for (secret, wrap) in secrets.iter().zip(wrap(&DOMAINS, &sk, uri, &to).unwrap()) {
                    prop_assert!(seen.insert(encapsulated(secret, &wrap)));
                }
            }
        }
    }

    #[test]
    fn random_bytes_never_panic(
        seed: u8,
        bytes in prop::collection::vec(any::<u8>(), 0..1300),
        commitment: [u8; 32],
    ) {
        for secret in secrets(seed) {
            let opened = unwrap(&DOMAINS, &secret, b"info", &bytes, &Hash(commitment));
            prop_assert!(opened.is_err());
        }
        prop_assert!(open_content(&DOMAINS, &ContentKey::new([seed; 32]), b"", &bytes).is_err());
        if let Some((sk, uri)) = read(&bytes) {
            prop_assert_eq!(plaintext(&sk, uri).to_vec(), bytes);
        }
    }
}

#[test]
fn the_parts_of_a_wrap_give_the_wrap() {
    let secrets = secrets(1);
    let keys = keys(&secrets);
    let sk = ContentKey::new([5; 32]);
    let to = recipients(&secrets, &keys, "place");
    let wraps = wrap(&DOMAINS, &sk, "uri", &to).unwrap();
    let commitment = key_commitment(&DOMAINS, &sk, "uri");
    for (to, wrap) in to.iter().zip(wraps) {
        let info = (to.info)(&commitment);
        let WrapParts { plaintext, ikm } = wrap_parts(&DOMAINS, &sk, "uri", &info);
        assert_eq!(hpke_seal(to.kem, to.key, &info, &plaintext, &ikm), Some(wrap));
    }
}
