//! Secrets that are too old are gone, whichever call comes.

use std::sync::Arc;

use paralith_consensus_api::keymanager::{
    EncryptedEpochSecret, PublishEpochSecret, keys as keymanager_keys,
};
use paralith_keymanager_core::SignedReplicationRequest;
use paralith_proto::Canonical;
use paralith_tee_channel::pb;
use paralith_tee_channel::pb::key_manager_call::Kind as Call;

use crate::chain::{Chain, KM, RT};
use crate::node::{KeyManager, born, pass_epoch};

fn public_key(epoch: u64) -> Call {
    Call::PublicKeyGet(pb::PublicKeyGet { runtime_id: RT.as_bytes().to_vec(), epoch })
}

#[test]
fn a_call_that_is_no_sync_erases_the_secrets_of_old_epochs() {
    let chain = Arc::new(Chain::new(0));
    let all = born(&chain, vec![]);
    let epoch = chain.epoch().0;
    all[0].bytes(public_key(epoch));
    let blob = all[0].blob();
    // The policy keeps secrets for two epochs.
    for _ in 0..3 {
        chain.next_epoch();
    }
    chain.block(vec![blob]);
    // This follows the chain to where the blob is, and refuses it: it is too old. No `Sync` comes.
    all[0].confirm().unwrap_err();
    assert_eq!(all[0].refusal(public_key(epoch)), ("keys".to_string(), 13));
}

#[test]
fn each_epoch_has_its_own_rek_and_secrets_sealed_to_an_old_one_open_no_more() {
    let chain = Arc::new(Chain::new(0));
    let mut all = born(&chain, vec![]);
    let reks = |all: &[KeyManager]| all.iter().map(|one| one.claims().rek).collect::<Vec<_>>();
    let first = reks(&all);
    let raks: Vec<_> = all.iter().map(|one| one.claims().rak).collect();
    pass_epoch(&mut all, false);
    let second = reks(&all);
    assert!(first.iter().zip(&second).all(|(one, other)| one != other));
    pass_epoch(&mut all, false);
    assert!(second.iter().zip(&reks(&all)).all(|(one, other)| one != other));
    assert_eq!(raks, all.iter().map(|one| one.claims().rak).collect::<Vec<_>>());
    for node in &mut all {
        assert!(node.sync().has_keys, "{:?}", node.log());
        assert_eq!(node.log(), Vec::<String>::new());
    }
    // What is published is sealed to keys of its epoch or the one before, never older.
    pass_epoch(&mut all, false);
    let key = keymanager_keys::epoch_secret(&KM);
    let published: PublishEpochSecret = chain.read(&key).unwrap();
    let secret = EncryptedEpochSecret::decode(&published.secret, 10_000).unwrap();
    assert!(secret.ciphertexts.iter().all(|one| !first.contains(&one.rek)));
}

#[test]
fn a_secret_that_is_published_before_the_new_rek_is_registered_opens_too() {
    let chain = Arc::new(Chain::new(0));
    let mut all = born(&chain, vec![]);
    chain.next_epoch();
    for node in &mut all {
        node.sync();
    }
    // State still has the REKs of the epoch before.
    let publication = crate::node::publish_epoch_secret(&all[0]);
    chain.block(vec![publication]);
    let txs = all.iter_mut().map(KeyManager::load).collect();
    chain.block(txs);
    chain.next_epoch();
    for node in &mut all {
        assert!(node.sync().has_keys, "{:?}", node.log());
    }
}

/// Whoever breaks into the enclave later opens no reply with a key that it still holds.
#[test]
fn a_replica_is_sealed_to_a_key_that_was_made_for_its_request_and_is_of_no_use_to_a_later_epoch() {
    let chain = Arc::new(Chain::new(0));
    let [mut first, second] = born(&chain, vec![]);
    // It has restarted: it lacks the secrets of epochs.
    let mut second = KeyManager::start(2, &chain, second.bytes(Call::Stop(pb::Stop {})));
    let registration = second.init();
    chain.block(vec![registration]);
    for node in [&mut first, &mut second] {
        node.sync();
        node.prove_freshness();
    }
    let ask = || second.bytes(Call::ReplicationRequest(pb::ReplicationRequest {}));
    let requests = [ask(), ask()];
    let [one, other] = requests.each_ref().map(|request| {
        let signed = SignedReplicationRequest::decode(request, 10_000).unwrap();
        signed.unverified().unwrap().reply_key
    });
    assert_ne!(one, other);
    assert!(![one, other].contains(&second.claims().rek));

    first.sync();
    let [_, request] = requests;
    let reply = first.bytes(Call::AnswerReplication(pb::AnswerReplication { request }));
    chain.next_epoch();
    second.sync();
    let provide = Call::ProvideReplica(pb::ProvideReplica { reply });
    assert_eq!(second.refusal(provide), ("secrets".to_string(), 9));
}
