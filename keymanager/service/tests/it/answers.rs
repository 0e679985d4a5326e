//! Requests of compute enclaves.

use std::sync::Arc;

use paralith_consensus_api::keymanager::{RuntimePublicKey, SignedRuntimePublicKey};
use paralith_consensus_api::registry::RevokeEnclave;
use paralith_crypto::HpkeSecret;
use paralith_harness::key;
use paralith_keymanager_core::SignedKeyReply;
use paralith_proto::Canonical;
use paralith_tee_channel::pb;
use paralith_tee_channel::pb::key_manager_call::Kind as Call;
use paralith_types::{Epoch, Hash, Height, RuntimeId, X25519PublicKey};

use crate::chain::{Chain, RT};
use crate::node::{Compute, KeyManager, born, pass_epoch};

pub(crate) const BLOB: Hash = Hash([0xb1; 32]);

/// An elected compute node, fresh, and two key managers, of which the first is fresh too.
pub(crate) fn ready() -> (Arc<Chain>, [KeyManager; 2], Compute) {
    let chain = Arc::new(Chain::new(0));
    chain.block(vec![]);
    let compute = Compute::new(4, &chain);
    let mut all = born(&chain, vec![compute.registration()]);
    compute.prove_freshness(BLOB);
    all[0].prove_freshness();
    (chain, all, compute)
}

#[test]
fn an_elected_enclave_gets_the_keys_that_clients_seal_to() {
    let (chain, all, compute) = ready();
    let request = compute.request(BLOB);
    let reply = all[0].bytes(compute.ask(&request));
    let reply = SignedKeyReply::decode(&reply, 10_000).unwrap();
    let rak = all[0].claims().rak;
    let secrets = reply.open(&request, &rak, &compute.reply_key, &chain.context()).unwrap();
    assert_eq!(secrets.height, chain.height());
    assert_eq!(secrets.state_root, chain.root(chain.height()));
    // The registered REK, which lives as long as the enclave, opens nothing.
    assert!(reply.open(&request, &rak, &compute.rek, &chain.context()).is_err());
    let keys = secrets.into_keys().unwrap();
    assert_eq!(keys.generation(), 0);

    let epoch = chain.epoch().0;
    let ask = pb::PublicKeyGet { runtime_id: RT.as_bytes().to_vec(), epoch };
    let signed = all[0].bytes(Call::PublicKeyGet(ask));
    let signed = SignedRuntimePublicKey::decode(&signed, 1000).unwrap();
    let public = RuntimePublicKey::decode(&signed.public_key, 1000).unwrap();
    assert_eq!(keys.epoch_key(chain.epoch()).unwrap().public(), public.key);

    let stranger = HpkeSecret::from_ikm(&[9; 32]);
    assert!(reply.open(&request, &rak, &stranger, &chain.context()).is_err());
}

#[test]
fn each_refusal_has_its_code() {
    let (chain, mut all, compute) = ready();
    let stranger = Compute::new(5, &chain);
    let good = compute.request(BLOB);
    let keys = |code| ("keys".to_string(), code);
    let change = |change: fn(&mut paralith_keymanager_core::KeyRequest)| {
        let mut request = good.clone();
        change(&mut request);
        compute.ask(&request)
    };
    for (what, ask, code) in [
        ("unknown node", stranger.ask(&stranger.request(BLOB)), 4),
        ("another's signature", stranger.ask(&good), 3),
        ("another blob", change(|r| r.freshness = Hash([0xb2; 32])), 7),
        ("another epoch", change(|r| r.epoch = Epoch(0)), 9),
        ("another runtime", change(|r| r.runtime_id = RuntimeId([6; 32])), 11),
        ("another key manager", change(|r| r.id = RuntimeId([6; 32])), 15),
        ("another version", change(|r| r.version = 2), 2),
        ("a height that is not proven", change(|r| r.height = Height(1_000)), 17),
        ("a root of another chain", change(|r| r.state_root = Hash([1; 32])), 18),
        (
            "a reply key that keeps no secret",
            change(|r| r.reply_key = X25519PublicKey([0; 32])),
            16,
        ),
        ("no request", Call::AnswerKeys(pb::AnswerKeys { request: vec![1, 2] }), 1),
    ] {
        assert_eq!(all[0].refusal(ask), keys(code), "{what}");
    }
    // The second key manager has not proven freshness.
    all[1].sync();
    assert_eq!(all[1].refusal(compute.ask(&good)), keys(12));

    // Registered, but too late for this epoch's election.
    chain.block(vec![stranger.registration()]);
    stranger.prove_freshness(BLOB);
    all[0].sync();
    assert_eq!(all[0].refusal(stranger.ask(&stranger.request(BLOB))), keys(6));
}

#[test]
fn a_revoked_enclave_gets_no_keys_and_none_of_the_next_generation() {
    let (chain, mut all, compute) = ready();
    let revoke = RevokeEnclave { runtime_id: RT, rak: compute.rak.public() };
    chain.block(vec![(key(100), revoke.into())]);
    all[0].sync();
    let refused = all[0].refusal(compute.ask(&compute.request(BLOB)));
    assert_eq!(refused, ("keys".to_string(), 20));
    // The policy wants no rotation; the revocation does.
    pass_epoch(&mut all, true);
    assert_eq!(chain.status().generation, 1);
    assert!(all.iter_mut().all(|node| node.sync().has_keys));
}

#[test]
fn what_was_fresh_is_stale_in_the_next_epoch() {
    let (chain, mut all, compute) = ready();
    chain.next_epoch();
    all[0].sync();
    let ask = compute.ask(&compute.request(BLOB));
    assert_eq!(all[0].refusal(ask.clone()), ("keys".to_string(), 12));
    all[0].prove_freshness();
    assert_eq!(all[0].refusal(ask.clone()), ("keys".to_string(), 7));
    // Both are fresh again, and no secret was made for this epoch.
    compute.prove_freshness(BLOB);
    all[0].sync();
    assert_eq!(all[0].refusal(ask), ("keys".to_string(), 13));
}

#[test]
fn a_blob_counts_only_for_the_enclave_that_made_it_and_once() {
    let (chain, mut all, _) = ready();
    let not_fresh = |node: &KeyManager| {
        let failure = node.confirm().unwrap_err();
        (failure.module, failure.code)
    };
    let refused = ("keymanager-service".to_string(), 13);
    // Confirmed already.
    assert_eq!(not_fresh(&all[0]), refused);
    // Not included.
    let (_, body) = all[0].blob();
    assert_eq!(not_fresh(&all[0]), refused);
    // Included by another node.
    chain.block(vec![(key(2), body)]);
    all[0].sync();
    assert_eq!(not_fresh(&all[0]), refused);
    // Included two epochs after it was made: a host could have kept it.
    let (_, kept) = all[0].blob();
    chain.next_epoch();
    chain.next_epoch();
    chain.block(vec![(key(1), kept)]);
    all[0].sync();
    assert_eq!(not_fresh(&all[0]), refused);
    // Included in an epoch that is over.
    let (_, body) = all[0].blob();
    chain.block(vec![(key(1), body)]);
    chain.next_epoch();
    all[0].sync();
    assert_eq!(not_fresh(&all[0]), refused);
}
