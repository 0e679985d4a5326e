//! The bytes of everything that is signed, hashed or stored.

use paralith_chaincode_messages::state::{
    Committed, Position, committed_key, entry_key, revoked_key,
};
use paralith_chaincode_messages::*;
use paralith_policy::Policy;
use paralith_types::*;
use proptest::prelude::*;

fn terms() -> Terms {
    Terms {
        ledger: RuntimeId([1; 32]),
        endorsement: Policy::threshold(2, 3),
        issuers: vec![PublicKey([2; 32])],
        anchor_blocks: 50,
        commit_blocks: 100,
        max_gas: 1_000_000,
        max_response_bytes: 65_536,
        early_results: true,
    }
}

fn proposal() -> Proposal {
    Proposal {
        version: 1,
        chain_context: ChainContext([1; 32]),
        ledger: RuntimeId([2; 32]),
        application: RuntimeId([3; 32]),
        sequence: 4,
        anchor: Height(500),
        valid_until: Height(600),
        nonce: [5; 32],
        certificate: None,
        envelope: Envelope { epoch: Epoch(6), sealed: vec![7, 8] },
    }
}

fn response() -> Response {
    let version = Some(Version { round: 300, position: 2 });
    Response {
        version: 1,
        tx_id: Hash([1; 32]),
        ledger: RuntimeId([2; 32]),
        application: RuntimeId([3; 32]),
        sequence: 4,
        code_id: CodeId([5; 32]),
        anchor: Height(500),
        snapshot_round: Round(301),
        snapshot_root: Hash([6; 32]),
        valid_until: Height(600),
        commit_before: Height(0),
        reads: vec![
            Read { index: Hash([7; 32]), version },
            Read { index: Hash([8; 32]), version: None },
        ],
        writes: vec![
            Write { index: Hash([7; 32]), value: Some(vec![]) },
            Write { index: Hash([9; 32]), value: None },
        ],
        events: vec![Event { topic: "t".into(), data: vec![1] }],
        sealed_output: vec![10],
        output_commitment: Hash([11; 32]),
    }
}

/// Fields of 32 equal bytes in hexadecimal, to read the frozen bytes by.
fn h(byte: u8) -> String {
    hex::encode([byte; 32])
}

#[test]
fn a_proposal_is_frozen() {
    let bytes = proposal().encode();
    let (one, two, three, five) = (h(1), h(2), h(3), h(5));
    let frozen = format!(
        "08011220{one}1a20{two}2220{three}280430f40338d8044220{five}520608061202{}",
        "0708"
    );
    assert_eq!(hex::encode(&bytes), frozen);
    assert_eq!(Proposal::decode(&bytes), Ok(proposal()));
}

#[test]
fn a_response_is_frozen() {
    let bytes = response().encode();
    let scope = format!("08011220{}1a20{}2220{}28043220{}", h(1), h(2), h(3), h(5));
    let snapshot = format!("38f40340ad024a20{}50d804", h(6));
    let reads = format!("62290a20{}120508ac02100262220a20{}", h(7), h(8));
    let writes = format!("6a240a20{}12006a220a20{}", h(7), h(9));
    let rest = format!("72060a0174120101{}{}", "7a010a", format_args!("820120{}", h(11)));
    assert_eq!(hex::encode(&bytes), [scope, snapshot, reads, writes, rest].concat());
    assert_eq!(Response::decode(&bytes), Ok(response()));
}

#[test]
fn terms_are_frozen() {
    let bytes = terms().encode();
    let policy = hex::encode(Policy::threshold(2, 3).encode());
    let len = Policy::threshold(2, 3).encode().len();
    let frozen = format!("0a20{}12{len:02x}{policy}1a20{}2032286430c0843d388080044001", h(1), h(2));
    assert_eq!(hex::encode(&bytes), frozen);
    assert_eq!(Terms::read(&bytes, 3), Ok(terms()));
}

#[test]
fn a_commit_is_its_response_nested_and_its_endorsements() {
    let endorsement = Endorsement { rak: PublicKey([1; 32]), signature: Signature([2; 64]) };
    assert_eq!(hex::encode(endorsement.encode()), format!("0a20{}1240{}{}", h(1), h(2), h(2)));
    let response = response().encode();
    let commit = NewCommit { response: response.clone(), endorsements: vec![endorsement] };
    let bytes = commit.encode();
    let decoded = Commit::decode(&bytes).unwrap();
    assert_eq!(decoded.response().bytes(), response);
    assert_eq!(decoded.endorsements(), commit.endorsements);
    let (many, one) = (commit.endorsements[0].clone(), commit.response.clone());
    let many = NewCommit { response: one, endorsements: vec![many; MAX_ENDORSEMENTS + 1] };
    assert!(Commit::decode(&many.encode()).is_err());
}

#[test]
fn stored_forms_are_frozen() {
    let version = Version { round: 0x0102, position: 3 };
    assert_eq!(version.to_bytes(), [0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 3]);
    assert_eq!(Version::from_bytes(&version.to_bytes()), Some(version));
    assert_eq!(Version::from_bytes(&[0; 13]), None);
    let committed = Committed { version, application: RuntimeId([4; 32]), response: Hash([5; 32]) };
    let bytes = committed.to_bytes();
    assert_eq!(hex::encode(&bytes), format!("000000000000010200000003{}{}", h(4), h(5)));
    assert_eq!((bytes.len(), Committed::from_bytes(&bytes)), (Committed::LEN, Some(committed)));
    let (id, index) = (RuntimeId([6; 32]), Hash([7; 32]));
    assert_eq!(hex::encode(entry_key(&id, &index)), format!("65{}{}", h(6), h(7)));
    assert_eq!(hex::encode(committed_key(&index)), format!("74{}", h(7)));
    let key = revoked_key(&id, &PublicKey([8; 32]), 0x0102);
    assert_eq!(hex::encode(key), format!("72{}{}0000000000000102", h(6), h(8)));
    let position = Position { round: 9, next: 2 };
    assert_eq!(Position::from_bytes(&position.to_bytes()), Some(position));
}

#[test]
fn positions_count_the_commits_of_a_round_from_zero() {
    let (first, kept) = Position::take(None, 7).unwrap();
    let (second, kept) = Position::take(Some(kept), 7).unwrap();
    let (other, _) = Position::take(Some(kept), 8).unwrap();
    let version = |round, position| Version { round, position };
    assert_eq!([first, second, other], [version(7, 0), version(7, 1), version(8, 0)]);
    assert_eq!(Position::take(Some(Position { round: 7, next: u32::MAX }), 7), None);
}

#[test]
fn signed_and_hashed_bytes_are_framed() {
    let signed = Endorsement::signed_bytes(&ChainContext([3; 32]), b"ab");
    let domain = "paralith/chaincode/endorsement/v1";
    let by_hand = [&[33][..], domain.as_bytes(), &[3; 32], b"ab"].concat();
    assert_eq!(signed, by_hand);
    let hashed = Response::hash_preimage(b"ab");
    let domain = b"paralith/chaincode/response/v1";
    assert_eq!(hashed, [&[30][..], domain, &[0, 0, 0, 0, 0, 0, 0, 2], b"ab"].concat());
}

#[test]
fn lists_are_sorted_and_bounded() {
    let check = |change: fn(&mut Response)| {
        let mut response = response();
        change(&mut response);
        response.check().unwrap_err()
    };
    assert!(matches!(check(|r| r.reads.swap(0, 1)), Fault::Unsorted { list: "reads" }));
    assert!(matches!(check(|r| r.writes[1].index = r.writes[0].index), Fault::Unsorted { .. }));
    assert!(matches!(check(|r| r.version = 2), Fault::Version { got: 2 }));
    let many = |n: usize| {
        (0..n).map(|n| {
            let mut index = [0; 32];
            index[..8].copy_from_slice(&(n as u64).to_be_bytes());
            Read { index: Hash(index), version: None }
        })
    };
    let mut response = response();
    response.reads = many(MAX_ACCESSES).collect();
    assert_eq!(response.check(), Ok(()));
    response.reads = many(MAX_ACCESSES + 1).collect();
    assert!(matches!(response.check(), Err(Fault::TooMany { what: "reads", .. })));
    // The order comes first.
    response.reads.swap(0, 1);
    assert!(matches!(response.check(), Err(Fault::Unsorted { .. })));
}

#[test]
fn terms_out_of_range_are_refused() {
    let changes: [fn(&mut Terms); 10] = [
        |t| t.anchor_blocks = 0,
        |t| t.anchor_blocks = 101,
        |t| t.commit_blocks = 49,
        |t| t.commit_blocks = 100_001,
        |t| t.max_gas = 0,
        |t| t.max_response_bytes = 4095,
        |t| t.max_response_bytes = 262_145,
        |t| t.issuers = vec![PublicKey([2; 32]); 2],
        |t| t.endorsement = Policy::Member(3),
        |t| t.endorsement = Policy::AtLeast { weight: 0, of: vec![] },
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut terms = terms();
        change(&mut terms);
        assert!(terms.check(3).is_err(), "change {number}");
    }
    assert_eq!(terms().check(3), Ok(()));
}

proptest! {
    #[test]
    fn one_value_has_one_encoding(at in 0_usize..400, byte: u8) {
        let bytes = response().encode();
        let mut changed = bytes.clone();
        let at = at % changed.len();
        changed[at] = byte;
        if let Ok(value) = Response::decode(&changed) {
            prop_assert_eq!(value.encode(), changed);
        }
        for extra in [&[0x8a, 1, 0][..], &[0x08, 1], &[0x58, 0]] {
            prop_assert!(Response::decode(&[&bytes, extra].concat()).is_err());
        }
    }

    #[test]
    fn no_bytes_make_decoding_panic(bytes: Vec<u8>) {
        let _ = Response::decode(&bytes);
        let _ = Commit::decode(&bytes);
        let _ = SignedProposal::decode(&bytes);
        let _ = Receipt::decode(&bytes);
        let _ = Terms::decode(&bytes);
        let _ = Definition::read(&RuntimeId([0; 32]), &bytes);
        let _ = Enclave::read(&bytes);
    }
}
