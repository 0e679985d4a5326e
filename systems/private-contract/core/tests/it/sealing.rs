//! What a sender can get wrong, and what its recipients find.

use paralith_crypto::HpkeSecret;
use paralith_crypto::kem::{KemSecret, hpke_seal};
use paralith_crypto::wrap::ContentKey;
use paralith_private_contract_core::messages::{
    Canonical, Content, ContentHash, KeySet, Package, TransactionRecord,
};
use paralith_private_contract_core::sealing::{
    CallOf, KeySetRef, OpenedWraps, SealedCall, open_call, open_package, open_wraps, seal_call,
    seal_package, wraps_fit,
};
use paralith_private_contract_core::{class, domains, ids, terms};
use paralith_types::{Hash, PublicKey};

use crate::fixture::{self, PLACE, definition, key_set, record, secrets};

const OF: CallOf = CallOf { place: PLACE, sender: PublicKey([15; 32]), sender_seq: 7 };

fn seal(keys: &KeySet, sk: u8, uri: &str) -> (SealedCall, TransactionRecord) {
    let keys = KeySetRef { version: 2, set: keys };
    let sealed = seal_call(&OF, keys, &ContentKey::new([sk; 32]), uri, b"a call").unwrap();
    let record = record(sealed.content_hash, sealed.content.len(), sealed.key_commitment);
    (sealed, record)
}

fn open(keys: &KeySet, record: &TransactionRecord, wraps: &[Vec<u8>], index: u32) -> OpenedWraps {
    let secret = &secrets()[index as usize];
    open_wraps(&OF, KeySetRef { version: 2, set: keys }, record, wraps, secret, index)
}

#[test]
fn each_member_opens_the_call_and_finds_all_wraps_right() {
    let keys = key_set(&secrets());
    let (sealed, record) = seal(&keys, 5, "");
    assert!(wraps_fit(&keys, &sealed.wraps));
    for index in 0..3 {
        let OpenedWraps::Right { sk, uri } = open(&keys, &record, &sealed.wraps, index) else {
            panic!("member {index}")
        };
        assert_eq!(uri, "");
        assert_eq!(open_call(&OF, &record, &sk, &sealed.content).unwrap(), b"a call");
    }
}

#[test]
fn a_false_wrap_is_found_by_every_member_and_named_by_those_that_can_show_it() {
    let keys = key_set(&secrets());
    let (sealed, record) = seal(&keys, 5, "");
    let (other, _) = seal(&keys, 6, "");
    for bad in 0..3_u32 {
        let mut corrupted = sealed.wraps.clone();
        corrupted[bad as usize][40] ^= 1;
        let mut of_other_key = sealed.wraps.clone();
        of_other_key[bad as usize] = other.wraps[bad as usize].clone();
        for wraps in [corrupted, of_other_key] {
            for index in 0..3 {
                match open(&keys, &record, &wraps, index) {
                    OpenedWraps::Own => assert_eq!(index, bad),
                    OpenedWraps::Others { index: named, .. } => {
                        assert_eq!(named, bad);
                        assert_ne!(index, bad);
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
    }
    // Swapped wraps have the right lengths, and are false.
    let mut swapped = sealed.wraps;
    swapped.swap(0, 1);
    assert!(wraps_fit(&keys, &swapped));
    assert_eq!(open(&keys, &record, &swapped, 0), OpenedWraps::Own);
    assert!(matches!(open(&keys, &record, &swapped, 2), OpenedWraps::Others { index: 0, .. }));
}

#[test]
fn two_content_keys_for_one_ciphertext_are_found() {
    // The sender wraps one key for member 0 and another for the rest, under one commitment.
    let keys = key_set(&secrets());
    let (sealed, record) = seal(&keys, 5, "");
    let info = OF.wrap_info(2, 0, &record.content_hash, &record.key_commitment);
    let plain = [&[0x0a, 32][..], &[6; 32]].concat();
    let mut wraps = sealed.wraps;
    wraps[0] = hpke_seal(keys.keys[0].kem_id, &keys.keys[0].key, &info, &plain, &[9; 32]).unwrap();
    assert!(wraps_fit(&keys, &wraps));
    assert_eq!(open(&keys, &record, &wraps, 0), OpenedWraps::Own);
    assert!(matches!(open(&keys, &record, &wraps, 1), OpenedWraps::Others { index: 0, .. }));
}

#[test]
fn no_two_wraps_share_an_encapsulated_key() {
    let keys = key_set(&secrets());
    let sk = ContentKey::new([5; 32]);
    let mut seen = std::collections::BTreeSet::new();
    let mut check = |of: &CallOf, version: u64, uri: &str, call: &[u8]| {
        let sealed = seal_call(of, KeySetRef { version, set: &keys }, &sk, uri, call).unwrap();
        for wrap in sealed.wraps {
            assert!(seen.insert(wrap[..32].to_vec()));
        }
    };
    check(&OF, 2, "", b"a call");
    check(&OF, 2, "https://a.example/data/00", b"a call");
    check(&OF, 2, "", b"another call");
    check(&CallOf { sender_seq: 8, ..OF }, 2, "", b"a call");
    check(&CallOf { sender: PublicKey([16; 32]), ..OF }, 2, "", b"a call");
    check(&OF, 3, "", b"a call");
}

#[test]
fn a_member_that_is_gone_gets_no_wrap() {
    let keys = KeySet { gone: vec![0b010], ..key_set(&secrets()) };
    let (sealed, record) = seal(&keys, 5, "");
    assert!(sealed.wraps[1].is_empty() && wraps_fit(&keys, &sealed.wraps));
    assert!(matches!(open(&keys, &record, &sealed.wraps, 2), OpenedWraps::Right { .. }));
    assert_eq!(open(&keys, &record, &sealed.wraps, 1), OpenedWraps::ForeignKey);
    let mut filled = sealed.wraps.clone();
    filled[1] = filled[0].clone();
    assert!(!wraps_fit(&keys, &filled));
    // A false wrap after the gap is named by the member's index, not by its place among the wraps.
    let mut bad = sealed.wraps;
    bad[2][40] ^= 1;
    assert!(matches!(open(&keys, &record, &bad, 0), OpenedWraps::Others { index: 2, .. }));
}

#[test]
fn wraps_of_another_number_or_length_do_not_fit() {
    let keys = key_set(&secrets());
    let (sealed, _) = seal(&keys, 5, "https://a.example/data/00");
    assert!(wraps_fit(&keys, &sealed.wraps));
    assert!(!wraps_fit(&keys, &sealed.wraps[..2]));
    assert!(!wraps_fit(&keys, &[sealed.wraps.clone(), sealed.wraps.clone()].concat()));
    let mut uneven = sealed.wraps;
    uneven[1].push(0);
    assert!(!wraps_fit(&keys, &uneven));
    assert!(!wraps_fit(&keys, &vec![vec![0; 81]; 3]), "shorter than a content key");
    assert!(wraps_fit(&keys, &vec![vec![0; 82]; 3]));
    assert!(!wraps_fit(&keys, &vec![vec![0; 82 + 3 + 326]; 3]), "longer than any URI");
    assert!(!wraps_fit(&keys, &vec![vec![]; 3]));
}

#[test]
fn a_member_with_other_keys_than_the_published_ones_has_no_class_to_give() {
    let keys = key_set(&secrets());
    let (sealed, record) = seal(&keys, 5, "");
    let stranger = KemSecret::X25519(HpkeSecret::from_bytes([77; 32]));
    let set = KeySetRef { version: 2, set: &keys };
    let opened = open_wraps(&OF, set, &record, &sealed.wraps, &stranger, 0);
    assert_eq!(opened, OpenedWraps::ForeignKey);
}

#[test]
fn content_of_another_length_place_or_form_does_not_open() {
    let keys = key_set(&secrets());
    let (sealed, record) = seal(&keys, 5, "");
    let sk = ContentKey::new([5; 32]);
    assert!(open_call(&OF, &record, &sk, &sealed.content).is_ok());
    assert!(open_call(&CallOf { sender_seq: 8, ..OF }, &record, &sk, &sealed.content).is_err());
    assert!(open_call(&OF, &record, &ContentKey::new([6; 32]), &sealed.content).is_err());
    let longer = TransactionRecord { content_bytes: record.content_bytes + 1, ..record };
    assert!(open_call(&OF, &longer, &sk, &sealed.content).is_err());
    // Sealed rightly, and not a content: an unknown field.
    let plain = [Content { call: b"x".to_vec() }.encode(), vec![0x18, 1]].concat();
    let bad =
        paralith_crypto::wrap::seal_content(&domains::SEALING, &sk, "", &OF.content_info(), &plain);
    let record =
        fixture::record(ContentHash(bad.content_hash), bad.content.len(), bad.key_commitment);
    assert!(open_call(&OF, &record, &sk, &bad.content).is_err());
    assert_eq!(class::Class::of(true, class::ContentFound::Bad, true), class::Class::Malformed);
}

#[test]
fn a_package_opens_for_its_member_only_and_only_with_its_hash() {
    let secrets = secrets();
    let keys = key_set(&secrets);
    let owner = PublicKey([9; 32]);
    let package = Package {
        module: b"module".to_vec(),
        init_argument: vec![],
        derive_secret: Hash([21; 32]),
        group_secret: Hash([22; 32]),
    };
    let hash = ids::package_hash(&package);
    let sealed = seal_package(&PLACE, &owner, &package, 0, &keys.keys[0], &[1; 32]).unwrap();
    let open = |hash: &Hash, index: u32, secret: &KemSecret| {
        open_package(&PLACE, &owner, hash, index, secret, &sealed)
    };
    assert_eq!(open(&hash, 0, &secrets[0]), Ok(package.clone()));
    assert!(open(&Hash([0; 32]), 0, &secrets[0]).is_err());
    assert!(open(&hash, 1, &secrets[0]).is_err());
    assert!(open(&hash, 0, &secrets[1]).is_err());
    for other in [
        Package { derive_secret: Hash([20; 32]), ..package.clone() },
        Package { group_secret: Hash([20; 32]), ..package.clone() },
        Package { module: b"other".to_vec(), ..package.clone() },
        Package { init_argument: vec![1], ..package },
    ] {
        assert_ne!(ids::package_hash(&other), hash);
    }
}

#[test]
fn only_origins_of_the_terms_are_contacted() {
    let content = ContentHash([0xab; 32]);
    let terms = fixture::terms();
    let good = terms::uri("https://a.example", &content);
    assert_eq!(good, format!("https://a.example/data/{}", "ab".repeat(32)));
    assert!(terms::uri_allowed(&terms, &content, &good));
    for bad in [
        "",
        "http://127.0.0.1:22",
        "https://a.example/data/",
        &good.replace("https", "http"),
        &format!("{good}?x"),
        &good.to_uppercase(),
        &good.replace("a.example", "a.example@b.example"),
    ] {
        assert!(!terms::uri_allowed(&terms, &content, bad), "{bad}");
    }
}

#[test]
fn a_definition_that_is_none_is_refused() {
    let good = definition();
    assert_eq!(terms::fault(&good), None);
    let with = |change: fn(&mut paralith_private_contract_core::messages::Definition)| {
        let mut changed = definition();
        change(&mut changed);
        terms::fault(&changed)
    };
    for (number, fault) in [
        with(|d| d.members.clear()),
        with(|d| d.members[1] = d.members[0]),
        with(|d| d.issuers.push(d.issuers[0])),
        with(|d| d.policy = paralith_policy::Policy::Member(3)),
        with(|d| d.terms.fetch_blocks = 0),
        with(|d| d.terms.vote_blocks = 7),
        with(|d| d.terms.max_batch = 65),
        with(|d| d.terms.max_batch = 0),
        with(|d| d.terms.max_content_bytes = 1024 * 1024 + 1),
        with(|d| d.terms.slash = paralith_types::Amount(1001)),
        with(|d| d.terms.min_receipts = 4),
        with(|d| d.terms.retention_blocks = 11),
        with(|d| d.terms.dormant_blocks = u32::MAX),
        with(|d| d.terms.origins = vec!["ftp://a".into()]),
        with(|d| d.terms.origins = vec!["https://".into()]),
        with(|d| d.terms.origins = vec!["https://a/".into()]),
        with(|d| d.terms.origins = vec!["https://a".into(); 17]),
    ]
    .into_iter()
    .enumerate()
    {
        assert!(fault.is_some(), "case {number}");
    }
}
