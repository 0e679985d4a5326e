//! From nothing to a generation, restarts, replication, rotation.

use std::sync::Arc;

use paralith_consensus_api::keymanager::{
    PUBLIC_KEY_DOMAIN, RuntimePublicKey, SignedRuntimePublicKey,
};
use paralith_consensus_api::registry::RevokeEnclave;
use paralith_crypto::ed25519;
use paralith_harness::key;
use paralith_proto::Canonical;
use paralith_tee_channel::pb;
use paralith_tee_channel::pb::key_manager_call::Kind as Call;

use crate::chain::{Chain, KM, RT};
use crate::node::{KeyManager, born, pass_epoch, publish_epoch_secret, publish_master};

fn public_key(epoch: u64) -> Call {
    Call::PublicKeyGet(pb::PublicKeyGet { runtime_id: RT.as_bytes().to_vec(), epoch })
}

#[test]
fn two_enclaves_agree_on_a_first_generation_and_on_the_epochs_key() {
    let chain = Arc::new(Chain::new(0));
    let mut all = born(&chain, vec![]);
    let status = chain.status();
    assert!(status.initialised);
    assert_eq!((status.generation, status.nodes.len()), (0, 2));
    for node in &mut all {
        let synced = node.sync();
        assert!(synced.has_keys);
        assert_eq!((synced.height, synced.epoch), (chain.height().0, chain.epoch().0));
        assert_eq!(node.log(), Vec::<String>::new());
    }
    let epoch = chain.epoch().0;
    let signed = all[0].bytes(public_key(epoch));
    assert_eq!(signed, all[1].bytes(public_key(epoch)));
    let signed = SignedRuntimePublicKey::decode(&signed, 1000).unwrap();
    let signer = status.signing_key.unwrap();
    let context = chain.context();
    ed25519::verify(&signer, PUBLIC_KEY_DOMAIN, &context, &signed.public_key, &signed.signature)
        .unwrap();
    let public = RuntimePublicKey::decode(&signed.public_key, 1000).unwrap();
    assert_eq!((public.id, public.runtime_id, public.epoch.0), (KM, RT, epoch));
    assert_eq!(Some(public.checksum), status.checksum);

    // Nothing for an epoch without a secret, nor for a runtime that policy does not name.
    assert_eq!(all[0].refusal(public_key(epoch + 1)), ("keys".to_string(), 13));
    let other = Call::PublicKeyGet(pb::PublicKeyGet { runtime_id: vec![7; 32], epoch });
    assert_eq!(all[0].refusal(other), ("keys".to_string(), 11));
}

#[test]
fn a_restart_keeps_generations_and_loses_epoch_secrets() {
    let chain = Arc::new(Chain::new(0));
    let [first, mut second] = born(&chain, vec![]);
    let checksum = chain.status().checksum;
    let before = first.claims();
    let sealed = first.bytes(Call::Stop(pb::Stop {}));
    assert_eq!(first.refusal(Call::Init(pb::Init {})), ("keymanager-service".to_string(), 1));

    let mut first = KeyManager::start(1, &chain, sealed);
    assert!(!first.sync().has_keys);
    let done = first.initialised(Call::Init(pb::Init {}));
    assert_eq!(done.missing_generations, Vec::<u64>::new());
    assert!(done.missing_epochs.contains(&chain.epoch().0));
    let response = first.registration(done.response);
    assert_ne!((before.rak, before.rek), (first.claims().rak, first.claims().rek));
    let epoch = chain.epoch().0;
    assert_eq!(first.refusal(public_key(epoch)), ("keys".to_string(), 13));

    // The other one still has the epoch's secret.
    chain.block(vec![response]);
    second.sync();
    first.sync();
    second.prove_freshness();
    first.prove_freshness();
    second.sync();
    let request = first.bytes(Call::ReplicationRequest(pb::ReplicationRequest {}));
    let reply = second.bytes(Call::AnswerReplication(pb::AnswerReplication { request }));
    first.initialised(Call::ProvideReplica(pb::ProvideReplica { reply }));
    assert!(first.sync().has_keys);
    assert_eq!(first.bytes(public_key(epoch)), second.bytes(public_key(epoch)));
    assert_eq!(chain.status().checksum, checksum);
}

#[test]
fn after_a_restart_of_all_keys_come_back_with_the_next_epoch() {
    let chain = Arc::new(Chain::new(0));
    let all = born(&chain, vec![]);
    let mut all = all.map(|node| {
        let sealed = node.bytes(Call::Stop(pb::Stop {}));
        KeyManager::start(node.n, &chain, sealed)
    });
    assert!(!all[0].sync().has_keys);
    let txs = all.iter_mut().map(KeyManager::init).collect();
    chain.block(txs);
    pass_epoch(&mut all, false);
    for node in &mut all {
        assert!(node.sync().has_keys);
    }
    assert_eq!(chain.status().generation, 0);
}

#[test]
fn a_proposal_that_consensus_was_told_of_survives_a_restart() {
    let chain = Arc::new(Chain::new(1));
    let mut all = born(&chain, vec![]);
    chain.next_epoch();
    for node in &mut all {
        node.sync();
    }
    let (signer, body) = crate::node::publish_master(&all[0]);
    chain.block(vec![(signer, body)]);
    let txs = all.iter_mut().map(KeyManager::load).collect();
    chain.block(txs);
    // All crash, with what they were given to keep; and the epoch begins.
    let sealed: Vec<Vec<u8>> = all.iter().map(|node| node.sealed.clone()).collect();
    drop(all);
    chain.next_epoch();
    assert_eq!(chain.status().generation, 1);
    for (n, sealed) in (1..).zip(sealed) {
        let mut node = KeyManager::start(n, &chain, sealed);
        let done = node.initialised(Call::Init(pb::Init {}));
        assert_eq!(done.missing_generations, Vec::<u64>::new());
    }
}

#[test]
fn generations_rotate_and_a_newcomer_replicates_all_of_them() {
    let chain = Arc::new(Chain::new(1));
    let mut all = born(&chain, vec![]);
    pass_epoch(&mut all, true);
    assert_eq!(chain.status().generation, 1);

    let mut third = KeyManager::start(3, &chain, vec![]);
    let done = third.initialised(Call::Init(pb::Init {}));
    assert_eq!(done.missing_generations, [0, 1]);
    let register = third.registration(done.response);
    let not_ready = ("keys".to_string(), 12);
    let ask = || Call::ReplicationRequest(pb::ReplicationRequest {});
    assert_eq!(third.refusal(ask()), not_ready);
    chain.block(vec![register]);
    third.sync();
    third.prove_freshness();
    all[0].sync();
    let request = third.bytes(ask());
    let answer = || Call::AnswerReplication(pb::AnswerReplication { request: request.clone() });
    // Who has not proven freshness itself answers nobody.
    assert_eq!(all[0].refusal(answer()), not_ready);
    all[0].prove_freshness();
    let reply = all[0].bytes(answer());
    let done = third.initialised(Call::ProvideReplica(pb::ProvideReplica { reply: reply.clone() }));
    assert_eq!(done.missing_generations, Vec::<u64>::new());
    assert!(third.sync().has_keys);
    assert!(!third.sealed.is_empty());

    // The reply is of no use to anybody else.
    assert_eq!(
        all[1].refusal(Call::ProvideReplica(pb::ProvideReplica { reply })),
        ("secrets".to_string(), 9)
    );
    let registration = third.init();
    chain.block(vec![registration]);
    chain.next_epoch();
    assert!(chain.status().nodes.contains(&key(3).public()));
}

#[test]
fn nothing_is_published_or_replicated_to_a_revoked_key_manager() {
    let chain = Arc::new(Chain::new(0));
    let mut all = born(&chain, vec![]);
    for node in &mut all {
        node.prove_freshness();
    }
    let revoke = RevokeEnclave { runtime_id: KM, rak: all[1].claims().rak };
    chain.block(vec![(key(100), revoke.into())]);
    for node in &mut all {
        node.sync();
    }
    let request = all[1].bytes(Call::ReplicationRequest(pb::ReplicationRequest {}));
    let answer = Call::AnswerReplication(pb::AnswerReplication { request });
    assert_eq!(all[0].refusal(answer), ("keys".to_string(), 20));
    let epoch = chain.epoch().next().0;
    let make = Call::GenerateEpochSecret(pb::GenerateEpochSecret { epoch });
    assert_eq!(all[1].refusal(make), ("keymanager-service".to_string(), 12));

    chain.block(vec![publish_epoch_secret(&all[0]), publish_master(&all[0])]);
    all[1].load();
    let log = all[1].log();
    let closed = log.iter().filter(|line| line.contains("sealed to this enclave")).count();
    assert_eq!(closed, 2, "{log:?}");
    let opened = all[0].load();
    chain.block(vec![opened]);
    chain.next_epoch();
    let status = chain.status();
    assert_eq!((status.generation, status.nodes), (1, vec![key(1).public()]));
    all[0].init();
    assert!(all[0].sync().has_keys);
}

#[test]
fn secrets_are_made_for_the_next_epoch_and_when_they_are_due() {
    let chain = Arc::new(Chain::new(0));
    let mut all = born(&chain, vec![]);
    all[0].sync();
    let epoch = chain.epoch().0;
    for (asked, code) in [(epoch, 10), (epoch + 2, 10), (epoch + 1, 11)] {
        let refused = all[0].refusal(Call::GenerateMaster(pb::GenerateMaster { epoch: asked }));
        assert_eq!(refused, ("keymanager-service".to_string(), code), "epoch {asked}");
    }
    let stranger = KeyManager::start(3, &chain, vec![]);
    let ask = Call::GenerateEpochSecret(pb::GenerateEpochSecret { epoch: epoch + 1 });
    assert_eq!(stranger.refusal(ask), ("keymanager-service".to_string(), 12));
}
