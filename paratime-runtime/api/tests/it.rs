//! What users and enclaves share, from the outside.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use paralith_crypto::{HpkeSecret, SigningKey, sha256};
use paralith_proto::Canonical;
use paralith_runtime_api::boundary::{FrameError, MAX_FRAME_BYTES, pb, read_frame, write_frame};
use paralith_runtime_api::envelope::{Info, open_call, open_reply, seal_call, seal_reply};
use paralith_runtime_api::output::{IoLeaf, OpenedOutput, Output, commitment, io_root};
use paralith_runtime_api::query::Query;
use paralith_runtime_api::tx::{self, Body, Call, Transaction, VERSION};
use paralith_runtime_api::{EnvelopeError, TxError};
use paralith_types::{Amount, ChainContext, Epoch, Hash, PublicKey, Round, RuntimeId};

const CHAIN: ChainContext = ChainContext([1; 32]);
const RUNTIME: RuntimeId = RuntimeId([2; 32]);
const LIMIT: usize = 4096;

fn sender() -> SigningKey {
    SigningKey::from_seed([3; 32])
}

fn call() -> Call {
    Call { method: "transfer".to_string(), args: b"{}".to_vec() }
}

fn transaction() -> Transaction {
    Transaction {
        version: VERSION,
        chain_context: CHAIN,
        runtime_id: RUNTIME,
        nonce: 4,
        fee: Amount(5),
        gas_limit: 6,
        body: Body::Call(call()),
    }
}

fn info(sender: &PublicKey, nonce: u64) -> Info {
    Info::transaction(CHAIN, RUNTIME, Epoch(7), sender, nonce)
}

#[test]
fn the_encodings_that_are_signed_are_frozen() {
    let frozen = [
        (transaction().encode(), "f197cd61abe95fcd"),
        (transaction().sign(&sender()).encode(), "a607ee10936c88df"),
        (info(&sender().public(), 4).encode(), "827edea7678974a9"),
    ];
    for (index, (bytes, expected)) in frozen.into_iter().enumerate() {
        let got = hex(&sha256(&bytes)[..8]);
        assert_eq!(got, expected, "encoding {index} changed: {}", hex(&bytes));
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_signed_transaction_opens_where_it_belongs_and_nowhere_else() {
    let raw = transaction().sign(&sender()).encode();
    let opened = tx::read(&raw, &CHAIN, &RUNTIME, LIMIT).unwrap().verify().unwrap();
    assert_eq!((opened.transaction, opened.sender), (transaction(), sender().public()));

    let mut flipped = raw.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let other_version = Transaction { version: 2, ..transaction() }.sign(&sender()).encode();
    let with_tail = [raw.as_slice(), &[0x28, 1]].concat();
    for (raw, chain, runtime, limit, code) in [
        (raw.clone(), CHAIN, RUNTIME, raw.len() - 1, 1),
        (raw[1..].to_vec(), CHAIN, RUNTIME, LIMIT, 2),
        (with_tail, CHAIN, RUNTIME, LIMIT, 2),
        (other_version, CHAIN, RUNTIME, LIMIT, 3),
        (raw.clone(), ChainContext([9; 32]), RUNTIME, LIMIT, 4),
        (raw.clone(), CHAIN, RuntimeId([9; 32]), LIMIT, 5),
        (flipped, CHAIN, RUNTIME, LIMIT, 6),
    ] {
        let opened = tx::read(&raw, &chain, &runtime, limit).and_then(tx::Unverified::verify);
        let error: TxError = opened.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
    }
}

#[test]
fn an_envelope_opens_only_for_its_key_sender_nonce_runtime_and_epoch() {
    let secret = HpkeSecret::from_ikm(&[8; 32]);
    let sender = sender().public();
    let envelope =
        seal_call(&secret.public(), &info(&sender, 4), call(), [5; 32], [6; 32]).unwrap();
    let opened = open_call(&secret, &info(&sender, 4), &envelope).unwrap();
    assert_eq!((opened.call, opened.reply_key), (call(), vec![5; 32]));

    let other_sender = SigningKey::from_seed([9; 32]).public();
    let base = info(&sender, 4);
    for (what, wrong) in [
        ("sender", info(&other_sender, 4)),
        ("nonce", info(&sender, 5)),
        ("epoch", Info { epoch: Epoch(8), ..base.clone() }),
        ("runtime", Info { runtime_id: RuntimeId([9; 32]), ..base.clone() }),
        ("chain", Info { chain_context: ChainContext([9; 32]), ..base.clone() }),
        ("purpose", Info { purpose: "query".to_string(), ..base }),
    ] {
        assert_eq!(open_call(&secret, &wrong, &envelope), Err(EnvelopeError::CannotOpen), "{what}");
    }
    let other_key = HpkeSecret::from_ikm(&[7; 32]);
    let refused = open_call(&other_key, &info(&sender, 4), &envelope);
    assert_eq!(refused, Err(EnvelopeError::CannotOpen));
}

#[test]
fn a_reply_opens_only_at_its_place() {
    let (key, subject, place) = ([1; 32], Hash([2; 32]), Hash([3; 32]));
    let sealed = seal_reply(&key, &subject, Round(4), &place, b"reply");
    assert_eq!(&open_reply(&key, &subject, Round(4), &place, &sealed).unwrap()[..], b"reply");
    assert!(open_reply(&key, &subject, Round(5), &place, &sealed).is_err());
    assert!(open_reply(&key, &place, Round(4), &place, &sealed).is_err());
    assert!(open_reply(&key, &subject, Round(4), &subject, &sealed).is_err());
    assert!(open_reply(&[0; 32], &subject, Round(4), &place, &sealed).is_err());
}

#[test]
fn an_output_matches_its_leaf_and_no_other() {
    let output = Output::Ok(b"42".to_vec()).encode();
    let opened = OpenedOutput { tx_hash: Hash([1; 32]), blinding: Hash([2; 32]), output };
    let leaf = IoLeaf {
        tx_hash: opened.tx_hash,
        gas_used: 3,
        output_commitment: commitment(&opened.blinding, &opened.output),
        events: Vec::new(),
    };
    assert!(opened.matches(&leaf));
    assert!(!OpenedOutput { blinding: Hash([3; 32]), ..opened.clone() }.matches(&leaf));
    assert!(!OpenedOutput { tx_hash: Hash([3; 32]), ..opened.clone() }.matches(&leaf));
    assert!(!OpenedOutput { output: Vec::new(), ..opened }.matches(&leaf));
    assert_ne!(io_root(&[]), io_root(std::slice::from_ref(&leaf)));
    assert_ne!(io_root(std::slice::from_ref(&leaf)), io_root(&[leaf.clone(), leaf]));
}

#[test]
fn a_query_is_signed_over_all_of_itself() {
    let unsigned =
        Query { chain_context: CHAIN, runtime_id: RUNTIME, body: Body::Call(call()), signed: None };
    assert_eq!(unsigned.verified_sender(), Ok(None));
    let signed = unsigned.sign(&sender());
    assert_eq!(signed.verified_sender(), Ok(Some(sender().public())));
    assert_eq!(Query::decode(&signed.encode(), LIMIT), Ok(signed.clone()));
    for changed in [
        Query { runtime_id: RuntimeId([9; 32]), ..signed.clone() },
        Query { chain_context: ChainContext([9; 32]), ..signed.clone() },
        Query { body: Body::Call(Call { args: vec![1], ..call() }), ..signed },
    ] {
        assert_eq!(changed.verified_sender(), Err(TxError::InvalidSignature));
    }
}

#[test]
fn a_frame_reads_back_and_a_bad_one_ends_the_stream() {
    let body = Some(pb::frame::Body::Log("hello".to_string()));
    let frame = pb::Frame { id: 7, body };
    let mut stream = Vec::new();
    write_frame(&mut stream, &frame).unwrap();
    assert_eq!(read_frame(&mut stream.as_slice()).unwrap(), frame);

    let endless = u32::MAX.to_be_bytes();
    let refused = read_frame(&mut endless.as_slice());
    assert!(
        matches!(refused, Err(FrameError::TooLarge { limit, .. }) if limit == MAX_FRAME_BYTES),
        "the length is checked before anything is read"
    );
    let cut = read_frame(&mut &stream[..stream.len() - 1]);
    assert!(matches!(cut, Err(FrameError::Closed)));
    assert!(matches!(read_frame(&mut [].as_slice()), Err(FrameError::Closed)));
    let garbage = [0, 0, 0, 2, 0xff, 0xff];
    assert!(matches!(read_frame(&mut garbage.as_slice()), Err(FrameError::Malformed(_))));
}
