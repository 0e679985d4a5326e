use super::*;

const KM: RuntimeId = RuntimeId([9; 32]);
const CHAIN: ChainContext = ChainContext([7; 32]);

fn key_request() -> KeyRequest {
    KeyRequest {
        version: 1,
        id: KM,
        runtime_id: RuntimeId([5; 32]),
        node: PublicKey([4; 32]),
        epoch: Epoch(3),
        freshness: Hash([2; 32]),
        nonce: Hash([1; 32]),
        height: Height(70),
        state_root: Hash([10; 32]),
        reply_key: X25519PublicKey([11; 32]),
    }
}

fn replication_request() -> ReplicationRequest {
    ReplicationRequest {
        version: 1,
        id: KM,
        node: PublicKey([4; 32]),
        epoch: Epoch(3),
        freshness: Hash([2; 32]),
        nonce: Hash([1; 32]),
        first_generation: 2,
        epochs: vec![Epoch(2), Epoch(300)],
        height: Height(70),
        state_root: Hash([10; 32]),
        reply_key: X25519PublicKey([11; 32]),
    }
}

fn epoch_secrets() -> Vec<EpochSecret> {
    vec![EpochSecret { epoch: Epoch(2), secret: Secret::new([8; 32]) }]
}

fn key_secrets() -> KeyReplySecrets {
    KeyReplySecrets {
        request_hash: key_request().hash(),
        height: Height(77),
        state_root: Hash([12; 32]),
        generation_secrets: vec![Secret::new([6; 32]), Secret::new([7; 32])],
        epoch_secrets: epoch_secrets(),
    }
}

fn replication_secrets() -> ReplicationSecrets {
    ReplicationSecrets {
        request_hash: replication_request().hash(),
        height: Height(77),
        state_root: Hash([12; 32]),
        first_generation: 2,
        master_secrets: vec![Secret::new([6; 32])],
        epoch_secrets: epoch_secrets(),
    }
}

/// `n` bytes of `byte` as field `tag`, in hexadecimal.
fn field(tag: u8, byte: u8) -> String {
    format!("{:02x}20{}", (tag << 3) | 2, hex::encode([byte; 32]))
}

/// Written out by hand from the protobuf tree.
#[test]
fn every_encoding_is_frozen() {
    let request = [
        "0801",
        &field(2, 9),
        &field(3, 5),
        &field(4, 4),
        "2803",
        &field(6, 2),
        &field(7, 1),
        "4046",
        &field(9, 10),
        &field(10, 11),
    ];
    assert_eq!(hex::encode(key_request().encode()), request.concat());

    let request = [
        "0801",
        &field(2, 9),
        &field(3, 4),
        "2003",
        &field(5, 2),
        &field(6, 1),
        "3802",
        "420302ac02",
        "4846",
        &field(10, 10),
        &field(11, 11),
    ];
    assert_eq!(hex::encode(replication_request().encode()), request.concat());

    let mut secrets = key_secrets();
    secrets.request_hash = Hash([3; 32]);
    let epoch = ["22240802", &field(2, 8)].concat();
    let frozen = [&field(1, 3), "104d", &field(3, 6), &field(3, 7), &epoch, &field(5, 12)];
    assert_eq!(hex::encode(secrets.encode()), frozen.concat());

    let mut secrets = replication_secrets();
    secrets.request_hash = Hash([3; 32]);
    let epoch = ["2a240802", &field(2, 8)].concat();
    let frozen = [&field(1, 3), "104d", "1802", &field(4, 6), &epoch, &field(6, 12)];
    assert_eq!(hex::encode(secrets.encode()), frozen.concat());

    let reply = KeyReply {
        id: KM,
        node: PublicKey([4; 32]),
        request_hash: Hash([3; 32]),
        sealed: vec![0xab, 0xcd],
    };
    let frozen = [&field(1, 9), &field(2, 4), &field(3, 3), "2202abcd"].concat();
    assert_eq!(hex::encode(reply.encode()), frozen);
    let KeyReply { id, node, request_hash, sealed } = reply;
    let reply = ReplicationReply { id, node, request_hash, sealed };
    assert_eq!(hex::encode(reply.encode()), frozen);

    let signed = SignedKeyRequest { request: vec![1], signature: Signature([2; 64]) };
    assert_eq!(hex::encode(signed.encode()), format!("0a01011240{}", "02".repeat(64)));

    let kept = Kept {
        master_secrets: vec![Secret::new([1; 32]), Secret::new([2; 32])],
        pending: Some(PendingSecret {
            generation: 2,
            epoch: Epoch(5),
            secret: Secret::new([3; 32]),
        }),
        trusted_header: vec![0xee],
        policy: None,
    };
    let frozen = [&field(1, 1), &field(1, 2), "122608021005", &field(3, 3), "1a01ee"].concat();
    assert_eq!(hex::encode(kept.encode()), frozen);
    assert_eq!(Kept::decode(&kept.encode(), 1000), Ok(kept));
}

#[test]
fn every_other_encoding_is_refused() {
    let good = key_request().encode();
    assert_eq!(KeyRequest::decode(&good, 1000), Ok(key_request()));
    let unknown_field = [good.as_slice(), &[0x7a, 0]].concat();
    let twice = [good.as_slice(), &good[good.len() - 34..]].concat();
    let long_number = [&[0x08, 0x81, 0x00], &good[2..]].concat();
    let short_field = [&good[..good.len() - 33], &[31], &[1; 31]].concat();
    for bytes in [unknown_field, twice, long_number, short_field, good[2..].to_vec(), vec![]] {
        let decoded = KeyRequest::decode(&bytes, 1000);
        let missing_version = bytes == good[2..];
        assert_eq!(decoded.is_ok(), missing_version, "{}", hex::encode(&bytes));
    }
    assert!(KeyRequest::decode(&good, good.len() - 1).is_err());
}

#[test]
fn a_reply_opens_for_its_request_its_signer_and_its_reader_only() {
    let (rak, reply_key) = (SigningKey::from_seed([1; 32]), HpkeSecret::from_ikm(&[2; 32]));
    let place = (&KM, &PublicKey([3; 32]));
    let seal = |secrets: &KeyReplySecrets| {
        SignedKeyReply::seal(place, secrets, &reply_key.public(), &rak, &CHAIN, [5; 32]).unwrap()
    };
    let reply = seal(&key_secrets());
    let (request, public) = (key_request(), rak.public());
    let opened = reply.open(&request, &public, &reply_key, &CHAIN);
    assert_eq!(opened, Ok(key_secrets()));
    let keys = opened.unwrap().into_keys().unwrap();
    assert_eq!((keys.generation(), keys.epochs().collect()), (1, vec![Epoch(2)]));

    let mut other_request = request.clone();
    other_request.nonce = Hash([0xee; 32]);
    let other_key = HpkeSecret::from_ikm(&[3; 32]);
    let other_chain = ChainContext([8; 32]);
    let code = |result: Result<KeyReplySecrets, SecretError>| result.unwrap_err().code();
    assert_eq!(code(reply.open(&other_request, &public, &reply_key, &CHAIN)), 9);
    assert_eq!(code(reply.open(&request, &PublicKey([3; 32]), &reply_key, &CHAIN)), 8);
    assert_eq!(code(reply.open(&request, &public, &other_key, &CHAIN)), 6);
    assert_eq!(code(reply.open(&request, &public, &reply_key, &other_chain)), 8);
    // A key manager that names one request outside and another inside.
    let mut secrets = key_secrets();
    secrets.request_hash = other_request.hash();
    let mut lying = seal(&secrets);
    let mut open = lying.unverified().unwrap();
    open.request_hash = request.hash();
    lying.reply = open.encode();
    lying.signature = rak.sign(KEY_REPLY, &CHAIN, &lying.reply);
    assert_eq!(code(lying.open(&request, &public, &reply_key, &CHAIN)), 6);
}

#[test]
fn a_replica_opens_for_its_request_its_signer_and_its_reader_only() {
    let (rak, reply_key) = (SigningKey::from_seed([1; 32]), HpkeSecret::from_ikm(&[2; 32]));
    let place = (&KM, &PublicKey([3; 32]));
    let secrets = replication_secrets();
    let reply =
        SignedReplicationReply::seal(place, &secrets, &reply_key.public(), &rak, &CHAIN, [5; 32])
            .unwrap();
    let (request, public) = (replication_request(), rak.public());
    assert_eq!(reply.open(&request, &public, &reply_key, &CHAIN), Ok(secrets));
    let mut other_request = request.clone();
    other_request.first_generation = 0;
    let code = |result: Result<ReplicationSecrets, SecretError>| result.unwrap_err().code();
    assert_eq!(code(reply.open(&other_request, &public, &reply_key, &CHAIN)), 9);
    assert_eq!(code(reply.open(&request, &PublicKey([3; 32]), &reply_key, &CHAIN)), 8);
    let other_key = HpkeSecret::from_ikm(&[3; 32]);
    assert_eq!(code(reply.open(&request, &public, &other_key, &CHAIN)), 6);
}

#[test]
fn a_signature_of_one_purpose_serves_no_other() {
    let rak = SigningKey::from_seed([1; 32]);
    let signed = SignedKeyRequest::sign(&key_request(), &rak, &CHAIN);
    assert_eq!(signed.verify(&rak.public(), &CHAIN), Ok(()));
    assert!(signed.verify(&rak.public(), &ChainContext([8; 32])).is_err());
    let SignedKeyRequest { request, signature } = signed;
    let other = SignedReplicationRequest { request, signature };
    assert!(other.verify(&rak.public(), &CHAIN).is_err());
}

#[test]
fn nothing_that_holds_secrets_shows_them() {
    let shown = format!("{:?} {:?}", key_secrets(), replication_secrets());
    assert!(!shown.contains("6, 6") && !shown.contains("0606"), "{shown}");
}
