//! Evidence passes when it meets every demand, and any change makes it fail by name.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use paralith_attest::{
    AttestError, Claims, Evidence, Kind, MAX_EVIDENCE_LEN, MAX_POLICY_LEN, Measurement, Policy,
    SoftwarePlatform, SoftwareQuote, verify,
};
use paralith_crypto::SigningKey;
use paralith_types::{ChainContext, CodeId, Hash, Height, PublicKey, RuntimeId, X25519PublicKey};
use proptest::prelude::*;

const CHAIN: ChainContext = ChainContext([0xcc; 32]);
const NOW: Height = Height(150);

fn platform() -> SoftwarePlatform {
    SoftwarePlatform::new(SigningKey::from_seed([9; 32]))
}

fn claims() -> Claims {
    Claims {
        measurement: Measurement(Hash([1; 32])),
        rak: PublicKey([2; 32]),
        rek: X25519PublicKey([3; 32]),
        node: PublicKey([4; 32]),
        runtime: RuntimeId([5; 32]),
        code: Some(CodeId([6; 32])),
        height: Height(100),
        state_root: Hash([8; 32]),
    }
}

fn policy() -> Policy {
    Policy {
        platforms: vec![PublicKey([8; 32]), platform().public()],
        measurements: [Measurement(Hash([1; 32])), Measurement(Hash([7; 32]))].into(),
        max_age: 100,
    }
}

fn check(evidence: &[u8]) -> Result<Claims, AttestError> {
    verify(evidence, &policy(), &CHAIN, NOW)
}

fn code_of(result: Result<Claims, AttestError>) -> u32 {
    result.unwrap_err().code()
}

/// Reads the software quote, lets it be changed, and writes it again.
fn altered(change: impl FnOnce(&mut SoftwareQuote)) -> Vec<u8> {
    let Evidence::Software(mut quote) =
        Evidence::decode(&platform().quote(&claims(), &CHAIN)).unwrap();
    change(&mut quote);
    Evidence::Software(quote).encode()
}

#[test]
fn good_evidence_gives_its_claims() {
    assert_eq!(check(&platform().quote(&claims(), &CHAIN)), Ok(claims()));
    let key_manager = Claims { code: None, ..claims() };
    assert_eq!(check(&platform().quote(&key_manager, &CHAIN)), Ok(key_manager));
    let at_genesis = Claims { height: Height(0), ..claims() };
    let evidence = platform().quote(&at_genesis, &CHAIN);
    assert_eq!(verify(&evidence, &policy(), &CHAIN, Height(0)), Ok(at_genesis));
}

/// Built by hand: protobuf, SHA-256 and Ed25519 of Python.
#[test]
fn the_quote_is_frozen() {
    let report_data = claims().report_data(&CHAIN);
    assert_eq!(
        report_data.to_string(),
        "812c0623067391d5068b9ba890d924613403d304308a3656990cf8f2baa78445"
    );
    let quote = platform().quote(&claims(), &CHAIN);
    assert_eq!(hex::encode(&quote), include_str!("golden_quote.hex").trim_end());
    let decoded = Evidence::decode(&quote).unwrap();
    assert_eq!(decoded.encode(), quote);
    assert_eq!(decoded.kind().to_string(), "software (development only)");
}

#[test]
fn the_policy_is_frozen() {
    let by_hand = [
        &b"\x0a\x20"[..],
        &[8; 32],
        b"\x0a\x20",
        platform().public().as_bytes(),
        b"\x12\x20",
        &[1; 32],
        b"\x12\x20",
        &[7; 32],
        b"\x18\x64",
    ]
    .concat();
    assert_eq!(policy().encode(), by_hand);
    assert_eq!(Policy::decode(&by_hand), Ok(policy()));
    assert_eq!(Policy::decode(&[]), Ok(Policy::default()));
}

#[test]
fn a_policy_has_one_encoding() {
    let descending = [&b"\x12\x20"[..], &[7; 32], b"\x12\x20", &[1; 32]].concat();
    let twice = [&b"\x12\x20"[..], &[7; 32], b"\x12\x20", &[7; 32]].concat();
    let short_key = [&b"\x0a\x1f"[..], &[7; 31]].concat();
    let zero_age = b"\x18\x00".to_vec();
    let unknown = b"\x20\x01".to_vec();
    let long = vec![0; MAX_POLICY_LEN + 1];
    for bad in [descending, twice, short_key, zero_age, unknown, long] {
        assert!(matches!(Policy::decode(&bad), Err(AttestError::NotCanonical { .. })), "{bad:?}");
    }
}

#[test]
fn each_demand_has_an_error_of_its_own() {
    let good = platform().quote(&claims(), &CHAIN);
    let none_listed = Policy { platforms: vec![], ..policy() };
    assert_eq!(verify(&good, &none_listed, &CHAIN, NOW), Err(AttestError::SoftwareNotAllowed));
    let stranger = SoftwarePlatform::new(SigningKey::from_seed([10; 32]));
    assert_eq!(
        check(&stranger.quote(&claims(), &CHAIN)),
        Err(AttestError::UnknownPlatform { platform: stranger.public() })
    );
    let elsewhere = ChainContext([0xcd; 32]);
    assert_eq!(
        check(&platform().quote(&claims(), &elsewhere)),
        Err(AttestError::WrongChain { chain: elsewhere })
    );
    assert_eq!(check(&altered(|quote| quote.signature.0[0] ^= 1)), Err(AttestError::BadSignature));
    let measurement = Measurement(Hash([2; 32]));
    assert_eq!(
        check(&platform().quote(&Claims { measurement, ..claims() }, &CHAIN)),
        Err(AttestError::WrongMeasurement { measurement })
    );
    let no_enclaves = Policy { measurements: [].into(), ..policy() };
    assert_eq!(code_of(verify(&good, &no_enclaves, &CHAIN, NOW)), 5);
}

#[test]
fn evidence_lives_from_its_height_to_its_maximal_age() {
    let good = platform().quote(&claims(), &CHAIN);
    let cases = [
        (0, Some(7)),
        (99, Some(7)),
        (100, None),
        (101, None),
        (199, None),
        (200, None),
        (201, Some(6)),
        (u64::MAX, Some(6)),
    ];
    for (now, error) in cases {
        let result = verify(&good, &policy(), &CHAIN, Height(now));
        assert_eq!(result.err().map(|error| error.code()), error, "at height {now}");
    }
    let no_age = Policy { max_age: 0, ..policy() };
    assert!(verify(&good, &no_age, &CHAIN, Height(100)).is_ok());
    assert_eq!(code_of(verify(&good, &no_age, &CHAIN, Height(101))), 6);
    let forever = Policy { max_age: u64::MAX, ..policy() };
    assert!(verify(&good, &forever, &CHAIN, Height(u64::MAX)).is_ok());
    let last = platform().quote(&Claims { height: Height(u64::MAX), ..claims() }, &CHAIN);
    assert!(verify(&last, &forever, &CHAIN, Height(u64::MAX)).is_ok());
    assert_eq!(code_of(verify(&last, &forever, &CHAIN, Height(u64::MAX - 1))), 7);
}

#[test]
fn the_signature_binds_every_claim_and_the_chain() {
    // Written again canonically, so that only the signature can notice.
    type Change = fn(&mut SoftwareQuote);
    let changes: [(&str, Change); 10] = [
        ("measurement", |quote| quote.claims.measurement = Measurement(Hash([7; 32]))),
        ("rak", |quote| quote.claims.rak.0[0] ^= 1),
        ("rek", |quote| quote.claims.rek.0[0] ^= 1),
        ("node", |quote| quote.claims.node.0[0] ^= 1),
        ("runtime", |quote| quote.claims.runtime.0[0] ^= 1),
        ("code", |quote| quote.claims.code = Some(CodeId([7; 32]))),
        ("no code", |quote| quote.claims.code = None),
        ("height", |quote| quote.claims.height = Height(101)),
        ("state root", |quote| quote.claims.state_root.0[0] ^= 1),
        ("platform", |quote| quote.platform = PublicKey([8; 32])),
    ];
    for (what, change) in changes {
        assert_eq!(check(&altered(change)), Err(AttestError::BadSignature), "{what}");
    }
    let elsewhere = ChainContext([0xcd; 32]);
    let relabelled = altered(|quote| quote.chain = elsewhere);
    let result = verify(&relabelled, &policy(), &elsewhere, NOW);
    assert_eq!(result, Err(AttestError::BadSignature));
}

#[test]
fn kinds_that_this_build_cannot_verify_are_refused_by_name() {
    let cases = [
        (2, Kind::SgxDcap),
        (3, Kind::Tdx),
        (4, Kind::SevSnp),
        (5, Kind::Unknown(5)),
        (15, Kind::Unknown(15)),
    ];
    for (tag, kind) in cases {
        let evidence = [tag << 3 | 2, 3, b'a', b'b', b'c'];
        let error = check(&evidence).unwrap_err();
        assert_eq!(error, AttestError::UnsupportedKind { kind });
        assert_eq!(error.code(), 8);
        assert_eq!(error.to_string(), format!("this build cannot verify evidence of kind {kind}"));
    }
}

#[test]
fn what_is_not_the_one_encoding_is_refused() {
    let good = platform().quote(&claims(), &CHAIN);
    // The quote's own length is the two bytes after its tag.
    let (body, len) = (&good[3..], good.len() - 3);
    let non_minimal_len = [&[0x0a, good[1], good[2] | 0x80, 0][..], body].concat();
    let unknown_field = [good.as_slice(), &[0x7a, 0]].concat();
    let twice = [good.as_slice(), good.as_slice()].concat();
    let unknown_inside = {
        let inner = (len + 2) as u16;
        let len = [(inner & 0x7f) as u8 | 0x80, (inner >> 7) as u8];
        [&[0x0a][..], &len, body, &[0x7a, 0]].concat()
    };
    let empty_software = vec![0x0a, 0];
    let trailing = [good.as_slice(), &[0]].concat();
    let cases =
        [vec![], non_minimal_len, unknown_field, twice, unknown_inside, empty_software, trailing];
    for bad in cases {
        assert_eq!(code_of(check(&bad)), 1, "{}", hex::encode(&bad));
    }
}

#[test]
fn length_is_checked_before_anything_else() {
    let reason = |len: usize| match check(&vec![0xff; len]) {
        Err(AttestError::NotCanonical { reason }) => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(reason(MAX_EVIDENCE_LEN - 1), "malformed");
    assert_eq!(reason(MAX_EVIDENCE_LEN), "malformed");
    assert_eq!(reason(MAX_EVIDENCE_LEN + 1), "too long");
}

#[test]
fn no_single_bit_of_a_quote_can_be_flipped() {
    for claims in [claims(), Claims { code: None, ..claims() }] {
        let good = platform().quote(&claims, &CHAIN);
        assert!(check(&good).is_ok());
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(check(&bad).is_err(), "bit {bit} of {}", good.len() * 8);
        }
    }
}

#[test]
fn no_prefix_of_a_quote_passes() {
    let good = platform().quote(&claims(), &CHAIN);
    for len in 0..good.len() {
        assert_eq!(code_of(check(&good[..len])), 1, "{len}");
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_refused_or_are_their_own_encoding(
        bytes in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        prop_assert!(check(&bytes).is_err());
        if let Ok(claims) = Claims::decode(&bytes) {
            prop_assert_eq!(claims.encode(), bytes.clone());
        }
        if let Ok(policy) = Policy::decode(&bytes) {
            prop_assert_eq!(policy.encode(), bytes);
        }
    }

    #[test]
    fn claims_and_policies_read_back(
        keys: [u8; 32],
        code: Option<[u8; 32]>,
        height: u64,
        max_age: u64,
        many in prop::collection::btree_set(any::<[u8; 32]>(), 0..8),
    ) {
        let claims =
            Claims { rak: PublicKey(keys), code: code.map(CodeId), height: Height(height), ..claims() };
        prop_assert_eq!(Claims::decode(&claims.encode()), Ok(claims.clone()));
        let allowing = Policy { max_age: u64::MAX, ..policy() };
        let evidence = platform().quote(&claims, &CHAIN);
        prop_assert_eq!(verify(&evidence, &allowing, &CHAIN, Height(u64::MAX)), Ok(claims));
        let policy = Policy {
            platforms: many.iter().rev().copied().map(PublicKey).collect(),
            measurements: many.iter().copied().map(|one| Measurement(Hash(one))).collect(),
            max_age,
        };
        prop_assert_eq!(Policy::decode(&policy.encode()), Ok(policy));
    }
}
