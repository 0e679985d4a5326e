//! What a published secret must satisfy.

use paralith_consensus_api::event::EventKind;
use paralith_consensus_api::keymanager::{Ciphertext, EncryptedMasterSecret, PublishMasterSecret};
use paralith_consensus_api::tx::Body;
use paralith_types::{Epoch, Hash, RuntimeId, Signature, X25519PublicKey};

use super::fixture::{FIRST_SECRET, Net, code, node_key, rak, signed_epoch, signed_master};
use crate::keymanager::query;

#[test]
fn each_refusal_of_a_master_secret_has_its_code() {
    type Case = (u32, fn(&mut EncryptedMasterSecret));
    let cases: Vec<Case> = vec![
        (2, |secret| secret.id = RuntimeId([9; 32])),
        (8, |secret| secret.generation = 1),
        (9, |secret| secret.epoch = Epoch(2)),
        (9, |secret| secret.epoch = Epoch(4)),
        (11, |secret| secret.ciphertexts.truncate(1)),
        (11, |secret| secret.ciphertexts.clear()),
        (12, |secret| secret.ciphertexts.reverse()),
        (12, |secret| {
            let first = secret.ciphertexts[0].clone();
            secret.ciphertexts.insert(0, first);
        }),
        (0, |secret| secret.ciphertexts.truncate(2)),
        // A ciphertext for a key that nobody has is ignored, but it is none for a member either.
        (0, |secret| secret.ciphertexts[2].rek.0 = [250; 32]),
        (11, |secret| {
            secret.ciphertexts[1].rek.0 = [240; 32];
            secret.ciphertexts[2].rek.0 = [250; 32];
        }),
        (12, |secret| many(secret, 29)),
        (0, |secret| many(secret, 28)),
    ];
    for (index, (expected, spoil)) in cases.into_iter().enumerate() {
        let mut net = Net::with_committee(3);
        let mut secret = net.master(0, FIRST_SECRET, &[0, 1, 2]);
        spoil(&mut secret);
        assert_eq!(code(&net.publish(0, &secret)), expected, "case {index}");
    }
}

/// Adds ciphertexts for strangers, sorted, up to a number.
fn many(secret: &mut EncryptedMasterSecret, count: usize) {
    let sealed = vec![1];
    let strangers =
        (0_u8..).map(|n| Ciphertext { rek: X25519PublicKey([n; 32]), sealed: sealed.clone() });
    let missing = count - secret.ciphertexts.len();
    secret.ciphertexts.extend(strangers.take(missing));
    secret.ciphertexts.sort_by_key(|one| one.rek);
}

#[test]
fn a_secret_is_of_an_enclave_of_the_committee() {
    let mut net = Net::with_committee(3);
    let secret = net.master(0, FIRST_SECRET, &[0, 1, 2]);
    let sender = node_key(99);
    let outsider = signed_master(7, &rak(7), &secret);
    assert_eq!(code(&net.deliver(&sender, &outsider)), 5);
    let others_key = signed_master(0, &rak(1), &secret);
    assert_eq!(code(&net.deliver(&sender, &others_key)), 7);
    // The domains keep a master secret's signature from being an epoch secret's.
    let epoch = net.epoch_secret(&[0, 1, 2]);
    let Body::PublishEpochSecret(mut confused) = signed_epoch(0, &rak(0), &epoch) else {
        panic!("it is an epoch secret")
    };
    confused.signature = Signature([0; 64]);
    assert_eq!(code(&net.deliver(&sender, &confused.into())), 7);
    let garbage = PublishMasterSecret {
        secret: vec![1, 2, 3],
        node: node_key(0).public(),
        signature: Signature([0; 64]),
    };
    assert_eq!(code(&net.deliver(&sender, &garbage.into())), 1);
    // Anybody may bring what an enclave of the committee has made.
    let good = signed_master(0, &rak(0), &secret);
    assert_eq!(code(&net.deliver(&sender, &good)), 0);
}

#[test]
fn one_generation_is_proposed_for_an_epoch() {
    let mut net = Net::with_committee(3);
    let secret = net.master(0, FIRST_SECRET, &[0, 1, 2]);
    net.publish(0, &secret).unwrap();
    let other = net.master(0, Hash([32; 32]), &[0, 1, 2]);
    assert_eq!(code(&net.publish(1, &other)), 10);
    net.begin_epoch();
    let later = net.master(0, Hash([32; 32]), &[0, 1, 2]);
    assert_eq!(code(&net.publish(1, &later)), 0);
}

#[test]
fn the_first_secret_of_an_epoch_wins() {
    let mut net = Net::with_committee(3);
    let (sender, all) = (node_key(99), [0, 1, 2]);
    let secret = net.epoch_secret(&all);
    let mut other = secret.clone();
    other.checksum = Hash([42; 32]);
    let (mut early, mut late) = (secret.clone(), secret.clone());
    early.epoch = Epoch(2);
    late.epoch = Epoch(4);
    for (expected, node, secret) in
        [(9, 0, &early), (9, 0, &late), (5, 7, &secret), (0, 0, &secret), (10, 1, &other)]
    {
        let body = signed_epoch(node, &rak(node), secret);
        assert_eq!(code(&net.deliver(&sender, &body)), expected);
    }
    let (stored, _) = net.run(|ctx| {
        ctx.get(&paralith_consensus_api::keymanager::keys::epoch_secret(&super::fixture::KM))
            .unwrap()
    });
    let Body::PublishEpochSecret(published) = signed_epoch(0, &rak(0), &secret) else {
        panic!("it is an epoch secret")
    };
    assert_eq!(stored, Some(published));

    net.begin_epoch();
    let next = net.epoch_secret(&all);
    let events = net.deliver(&sender, &signed_epoch(2, &rak(2), &next)).unwrap();
    assert!(matches!(&events[..], [EventKind::EpochSecretPublished(event)]
        if event.epoch == Epoch(4)));
}

#[test]
fn a_rotation_may_be_disabled() {
    let mut net = Net::initialised(3);
    let mut never = super::fixture::policy(2);
    never.rotation_epochs = 0;
    net.update_policy(&super::fixture::owner(), never).unwrap();
    for node in 0..3 {
        let registration = net.registration(node);
        net.register(&registration);
    }
    net.begin_epoch();
    let next = net.master(1, Hash([32; 32]), &[0, 1, 2]);
    let result = net.publish(0, &next);
    assert_eq!(code(&result), 13);
    assert!(result.unwrap_err().to_string().contains("disabled"));
}

#[test]
fn queries_read_what_was_published() {
    let mut net = Net::with_committee(3);
    let secret = net.master(0, FIRST_SECRET, &[0, 1, 2]);
    net.publish(0, &secret).unwrap();
    let state = net.snapshot();
    let id = super::fixture::KM;
    let Body::PublishMasterSecret(body) = signed_master(0, &rak(0), &secret) else {
        panic!("it is a master secret")
    };
    assert_eq!(query::master_secret(&state, &id).unwrap(), Some(body));
    assert_eq!(query::epoch_secret(&state, &id).unwrap(), None);
    assert_eq!(query::statuses(&state).unwrap(), [net.status()]);
    assert_eq!(query::params(&state).unwrap().replication_percent, 66);
}
