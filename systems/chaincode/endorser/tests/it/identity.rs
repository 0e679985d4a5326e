use paralith_attest::Claims;
use paralith_chaincode_messages::Message as _;
use paralith_harness::WrittenChain;
use paralith_storage::{Changes, Column, Kv};
use paralith_tee_channel::pb;
use pb::runtime_call::Kind as Call;

use crate::world::{APPLICATION, Endorser, REPLY_KEY, World, refusal};

fn stop(endorser: &Endorser) -> Vec<u8> {
    endorser.bytes(Call::Stop(pb::Stop {})).unwrap()
}

#[test]
fn a_restart_keeps_the_rak_needs_no_registration_and_still_decrypts() {
    let mut world = World::initialised();
    let endorser = world.endorser(1);
    let endorsed = endorser.endorse(&world.propose("k5b")).unwrap();
    world.commit(&[&endorsed.response]);
    let sealed = stop(&endorser);
    endorser.client.close();
    let again = world.start(world.start_call(1, sealed.clone())).unwrap();
    assert_eq!((again.claims.rak, again.claims.rek), (endorser.claims.rak, endorser.claims.rek));
    // Freshness and keys do not outlive the process.
    assert_eq!(crate::world::endorse_code(again.release(&endorsed.response)), 5);
    world.serve(&again).unwrap();
    let opened = again.release(&endorsed.response).unwrap();
    assert!(world.read(&endorsed.response, &opened, &REPLY_KEY).is_some());
    // Two copies of one blob can only give the same bytes twice.
    let copy = world.start(world.start_call(1, sealed)).unwrap();
    world.serve(&copy).unwrap();
    let proposed = world.propose("k5r");
    assert_eq!(again.endorse(&proposed).unwrap(), copy.endorse(&proposed).unwrap());
}

#[test]
fn without_a_blob_there_is_a_new_identity() {
    let world = World::with(|_| {});
    let [a, b] = [(); 2].map(|()| world.start(world.start_call(1, vec![])).unwrap());
    assert_ne!(a.claims.rak, b.claims.rak);
    assert_ne!(a.claims.rek, b.claims.rek);
}

#[test]
fn a_tampered_shortened_or_foreign_blob_starts_nothing() {
    let world = World::with(|_| {});
    let sealed = stop(&world.start(world.start_call(1, vec![])).unwrap());
    let start = world.start_call(1, sealed.clone());
    let refused = |start: pb::Start| refusal(world.start(start));
    let cannot = ("enclave".to_string(), 4);
    for at in [0, 12, sealed.len() / 2, sealed.len() - 1] {
        let mut changed = start.clone();
        changed.sealed[at] ^= 1;
        assert_eq!(refused(changed), cannot, "byte {at}");
        let mut short = start.clone();
        short.sealed.truncate(at);
        if at > 0 {
            assert_eq!(refused(short), cannot, "{at} bytes");
        }
    }
    let mut machine = start.clone();
    machine.sealing_key = vec![9; 32];
    assert_eq!(refused(machine), cannot);
    let mut application = start.clone();
    application.runtime_id = vec![1; 32];
    assert_eq!(refused(application), cannot);
    let mut code = start.clone();
    code.code = wat::parse_str(crate::guest::text(&[], "")).unwrap();
    assert_eq!(refused(code), cannot);
    let mut chain = start.clone();
    let other = WrittenChain::new("another", |_| {});
    chain.chain_id = other.document.chain_id().unwrap();
    chain.chain_context = other.context.as_bytes().to_vec();
    chain.genesis = other.document.to_json().unwrap().into_bytes();
    assert_eq!(refused(chain), cannot);
    let mut none = start;
    (none.sealed, none.sealing_key) = (vec![], vec![]);
    assert_eq!(refused(none), ("enclave".to_string(), 3), "applications need a sealing key");
}

#[test]
fn an_older_blob_that_was_put_back_is_found_out() {
    let world = World::initialised();
    let old = world.endorser(1);
    let sealed = stop(&old);
    // The blob was lost, and the node registered a new identity.
    let new = world.endorser(1);
    let restored = world.start(world.start_call(1, sealed)).unwrap();
    assert_eq!(refusal(world.prove_freshness(&restored)), ("enclave".to_string(), 25));
    assert_eq!(
        refusal(restored.call(Call::KeyRequestFor(pb::KeyRequestFor { epoch: 3 }))),
        ("enclave".to_string(), 25)
    );
    // The old process still runs: the registry names another enclave at every new anchor.
    assert_eq!(crate::world::endorse_code(old.endorse(&world.propose("k1p"))), 7);
    new.endorse(&world.propose("k1p")).unwrap();
}

#[test]
fn the_host_keeps_the_identity_and_starts_a_dead_enclave_anew() {
    let mut world = World::initialised();
    let kv = Kv::memory();
    let host = world.endorser_host(1, &kv);
    let rak = |claims: Vec<u8>| Claims::decode(&claims).unwrap().rak;
    let first = Claims::decode(&host.claims().unwrap()).unwrap();
    host.sync(world.chain.height()).unwrap();
    let key = [b"endorser/identity/".as_slice(), APPLICATION.as_bytes()].concat();
    let sealed = kv.get(Column::Meta, &key).unwrap().unwrap();
    world.register(1, &first);
    // The process dies with its stream.
    host.close();
    assert_eq!(rak(host.claims().unwrap()), first.rak);
    // A node that starts again.
    let again = world.endorser_host(1, &kv);
    assert_eq!(rak(again.claims().unwrap()), first.rak);
    // After a change of code the blob does not open, and the identity is a new one.
    world.code = wat::parse_str(crate::guest::text(&[], "")).unwrap();
    let upgraded = world.endorser_host(1, &kv);
    let second = rak(upgraded.claims().unwrap());
    assert_ne!(second, first.rak);
    assert_ne!(kv.get(Column::Meta, &key).unwrap(), Some(sealed));
}

#[test]
fn evidence_is_renewed_with_the_same_keys_and_each_start_is_counted() {
    let world = World::initialised();
    let host = world.endorser_host(1, &Kv::memory());
    let claims = |bytes: Vec<u8>| Claims::decode(&bytes).unwrap();
    let first = claims(host.claims().unwrap());
    let attested = claims(host.attest(world.chain.height()).unwrap());
    assert_eq!((attested.rak, attested.rek), (first.rak, first.rek));
    assert!(attested.height > first.height, "it follows the chain");
    assert_ne!(attested.state_root, first.state_root);
    assert_eq!(host.launches(), 1);
    host.close();
    assert_eq!(claims(host.claims().unwrap()).rak, first.rak, "the identity was kept");
    assert_eq!(host.launches(), 2, "it has proven nothing yet, and has no keys");
}

#[test]
fn the_host_removes_an_identity_that_was_replaced() {
    let world = World::initialised();
    let kv = Kv::memory();
    let host = world.endorser_host(1, &kv);
    let first = Claims::decode(&host.claims().unwrap()).unwrap();
    host.sync(world.chain.height()).unwrap();
    host.close();
    // Restored from the blob, while the registry has another one.
    let _new = world.endorser(1);
    assert_eq!(Claims::decode(&host.claims().unwrap()).unwrap().rak, first.rak);
    host.sync(world.chain.height()).unwrap();
    let height = world.chain.commit(&Changes::new());
    host.call(Call::ConfirmFreshness(pb::ConfirmFreshness { height })).unwrap_err();
    assert_ne!(Claims::decode(&host.claims().unwrap()).unwrap().rak, first.rak);
}

#[test]
fn the_host_keeps_responses_by_transaction() {
    let world = World::initialised();
    let host = world.endorser_host(1, &Kv::memory());
    let claims = Claims::decode(&host.claims().unwrap()).unwrap();
    host.sync(world.chain.height()).unwrap();
    world.register(1, &claims);
    let early = world.propose("k1p");
    host.endorse(early.signed.encode()).unwrap_err();
    assert_eq!(host.response(&early.tx_id).unwrap(), None, "it signed nothing");
    world.serve_by(&claims, |call| host.call(call)).unwrap();
    let proposed = world.propose("k1p");
    let endorsed = host.endorse(proposed.signed.encode()).unwrap();
    assert_eq!(host.response(&proposed.tx_id).unwrap(), Some(endorsed.response));
    host.forget_response(&proposed.tx_id).unwrap();
    assert_eq!(host.response(&proposed.tx_id).unwrap(), None);
}
