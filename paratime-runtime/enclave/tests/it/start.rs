use paralith_runtime_enclave::RuntimeEnclave;
use paralith_runtime_enclave::process::in_process;
use paralith_tee_channel::{Role, pb};
use pb::runtime_call::Kind as Call;
use pb::runtime_reply::Kind as Reply;
use std::sync::{Arc, Mutex};

use paralith_consensus_api::registry::{self, Freshness};
use paralith_consensus_api::roothash::ProposalHeader;
use paralith_keymanager_core::SignedKeyRequest;
use paralith_proto::Canonical as _;
use paralith_types::{Hash, Height};

use crate::world::{EPOCH, Enclave, Host, Lie, World};
use crate::{code, code_of};
use paralith_harness::{key, set};

#[test]
fn claims_name_what_the_enclave_is() {
    let world = World::new(code(), true);
    let enclave = world.enclave_with(1, |_| {});
    assert_eq!(enclave.claims.measurement, paralith_runtime_enclave::measurement());
    assert_eq!(enclave.claims.code, Some(paralith_runtime_vm::code_id(&code())));
    assert_eq!(enclave.claims.node, key(1).public());
    let again = world.enclave_with(1, |_| {});
    assert_eq!(enclave.claims, again.claims, "seeded");
    let random = world.enclave_with(1, |start| start.entropy.clear());
    assert_ne!(enclave.claims.rak, random.claims.rak);
}

#[test]
fn a_start_that_does_not_fit_is_refused() {
    let world = World::new(code(), true);
    let enclave = world.enclave_with(1, |_| {});
    let start = world.start_call(&key(1));
    let elsewhere = world.start_call(&key(2));
    let refused = enclave.call(Call::Start(elsewhere)).unwrap_err();
    assert_eq!(code_of(&refused), ("enclave", 2));
    let of_another_role = enclave.client.sync(Role::KeyManager, 1).unwrap_err();
    assert!(of_another_role.to_string().starts_with("enclave 20:"), "{of_another_role}");
    type Change = fn(&mut pb::Start);
    let cases: [(Change, u32); 6] = [
        (|start| start.chain_context = vec![1; 32], 3),
        (|start| start.chain_id = "other".into(), 3),
        (|start| start.genesis.push(b'x'), 3),
        (|start| start.node.clear(), 3),
        (|start| start.code = b"no module".to_vec(), 3),
        (|start| start.sealed = vec![1; 100], 4),
    ];
    for (change, code) in cases {
        let mut start = start.clone();
        change(&mut start);
        let (chain, state) = (world.chain.clone(), world.state.clone());
        let host = Arc::new(Host::new(chain, state, Mutex::new(Lie::None)));
        let client = in_process(Arc::new(RuntimeEnclave::new()), host, None).unwrap();
        let early = client.call(Call::Stop(pb::Stop {})).unwrap_err();
        assert!(early.to_string().starts_with("enclave 1:"), "{early}");
        let error = client.call(Call::Start(start)).unwrap_err();
        assert!(error.to_string().starts_with(&format!("enclave {code}:")), "{error}");
    }
}

#[test]
fn what_was_sealed_is_where_the_next_start_goes_on() {
    let world = World::new(code(), true);
    let enclave = world.enclave_with(1, |_| {});
    let sealed = enclave.bytes(Call::Stop(pb::Stop {}));
    let again = world.enclave_with(1, |start| start.sealed = sealed.clone());
    assert_eq!(again.claims.height.0, world.chain.height());
    let synced = again.sync(world.chain.height());
    assert_eq!((synced.height, synced.epoch, synced.has_keys), (1, EPOCH, false));
    assert!(synced.sealed.is_empty(), "nothing new to keep");
    let lie = Mutex::new(Lie::None);
    let host = Arc::new(Host::new(world.chain.clone(), world.state.clone(), lie));
    let client = in_process(Arc::new(RuntimeEnclave::new()), host, None).unwrap();
    let mut start = world.start_call(&key(1));
    (start.sealed, start.sealing_key) = (sealed, vec![9; 32]);
    let error = client.call(Call::Start(start)).unwrap_err();
    assert!(error.to_string().starts_with("enclave 4:"), "{error}");
}

#[test]
fn only_the_code_that_the_chain_names_is_run() {
    let mut world = World::new(code(), true);
    world.code = wat::parse_str(crate::guest::text(&[], "")).unwrap();
    let enclave = world.enclave(1, &[EPOCH]);
    let failure = world.execute(&enclave, &[]).unwrap_err();
    assert_eq!(code_of(&failure), ("enclave", 8));
    let bare = world.enclave_with(1, |start| start.code.clear());
    assert_eq!(code_of(&world.execute(&bare, &[]).unwrap_err()), ("enclave", 9));
}

#[test]
fn keys_come_from_an_enclave_that_state_names_and_for_a_request_of_ours() {
    let world = World::new(code(), true);
    let enclave = world.enclave_with(1, |_| {});
    let ask = Call::KeyRequestFor(pb::KeyRequestFor { epoch: EPOCH });
    assert_eq!(code_of(&enclave.call(ask).unwrap_err()), ("enclave", 7));
    world.prove_freshness(&enclave).unwrap();
    let forged = world.key_reply(&enclave, &[EPOCH], &key(99));
    let good = world.key_reply(&enclave, &[EPOCH], &key(51));
    let provide =
        |reply: &[u8]| enclave.call(Call::ProvideKeys(pb::ProvideKeys { reply: reply.to_vec() }));
    assert_eq!(code_of(&provide(&forged).unwrap_err()), ("enclave", 19));
    assert_eq!(provide(&good).unwrap(), Reply::Empty(pb::Empty {}));
    assert_eq!(code_of(&provide(&good).unwrap_err()), ("enclave", 19), "the request is answered");
    assert!(enclave.sync(world.chain.height()).has_keys);
}

#[test]
fn an_enclave_works_one_epoch_after_its_last_freshness_proof_and_not_two() {
    let world = World::new(code(), true);
    let enclave = world.enclave(1, &[EPOCH, EPOCH + 1]);
    for (epoch, fresh) in [(EPOCH + 1, true), (EPOCH + 2, false)] {
        let mut changes = paralith_storage::Changes::new();
        world.epoch(&mut changes, epoch, world.chain.height() + 1);
        enclave.sync(world.chain.commit(&changes));
        match world.execute(&enclave, &[]) {
            Ok(_) => assert!(fresh),
            Err(failure) => {
                assert!(!fresh, "{failure}");
                assert_eq!(code_of(&failure), ("enclave", 7));
            }
        }
    }
}

#[test]
fn keys_of_a_key_manager_on_another_chain_are_refused() {
    let world = World::new(code(), true);
    let enclave = world.enclave_with(1, |_| {});
    world.prove_freshness(&enclave).unwrap();
    let provide = |reply: Vec<u8>| enclave.call(Call::ProvideKeys(pb::ProvideKeys { reply }));
    // The replier is registered here, and follows a fork.
    let forked = world.key_reply_with(&enclave, &[EPOCH], &key(51), |secrets| {
        secrets.state_root = Hash([1; 32]);
    });
    assert_eq!(code_of(&provide(forked).unwrap_err()), ("enclave", 19));
    assert!(!enclave.sync(world.chain.height()).has_keys);
    provide(world.key_reply(&enclave, &[EPOCH], &key(51))).unwrap();
    assert!(enclave.sync(world.chain.height()).has_keys);
}

#[test]
fn a_reply_is_of_no_use_to_a_later_epoch() {
    let world = World::new(code(), true);
    let enclave = world.enclave_with(1, |_| {});
    world.prove_freshness(&enclave).unwrap();
    let reply = world.key_reply(&enclave, &[EPOCH], &key(51));
    let mut changes = paralith_storage::Changes::new();
    world.epoch(&mut changes, EPOCH + 1, world.chain.height() + 1);
    enclave.sync(world.chain.commit(&changes));
    // Its key was erased when the epoch began.
    let refused = enclave.call(Call::ProvideKeys(pb::ProvideKeys { reply })).unwrap_err();
    assert_eq!(code_of(&refused), ("enclave", 19));
}

#[test]
fn a_freshness_blob_counts_in_its_epoch_and_the_next_one_only() {
    for (later, counts) in [(0, true), (1, true), (2, false)] {
        let world = World::new(code(), true);
        let enclave = world.enclave_with(1, |_| {});
        let blob = enclave.bytes(Call::FreshnessBlob(pb::FreshnessBlob {}));
        let blob = Hash::try_from(blob.as_slice()).unwrap();
        let mut changes = paralith_storage::Changes::new();
        let height = Height(world.chain.height() + 1);
        world.epoch(&mut changes, EPOCH + later, height.0);
        let freshness = Freshness { blob, height };
        set(
            &mut changes,
            registry::keys::freshness(&enclave.node.public(), &crate::world::RUNTIME),
            &freshness,
        );
        let height = world.chain.commit(&changes);
        let confirm = Call::ConfirmFreshness(pb::ConfirmFreshness { height });
        let confirmed = enclave.call(confirm.clone());
        assert_eq!(confirmed.is_ok(), counts, "{later} epochs later: {confirmed:?}");
        // And once.
        assert_eq!(code_of(&enclave.call(confirm).unwrap_err()), ("enclave", 7));
    }
}

/// Has the enclave follow the chain to its newest height by a call that says nothing of epochs.
fn follow(world: &World, enclave: &Enclave) {
    let proposal = world.proposal(&[]);
    let proposal = ProposalHeader { round: proposal.round.plus(7), ..proposal };
    let refused = enclave.call(world.execute_call(&proposal, &[])).unwrap_err();
    assert_eq!(code_of(&refused), ("enclave", 12), "{refused}");
}

/// Not `Sync` alone: a host need not call it.
#[test]
fn every_call_that_sees_a_later_epoch_erases_what_that_makes_too_old() {
    type Show = fn(&World, &Enclave);
    let calls: [(&str, Show); 4] = [
        ("a freshness proof", |world, enclave| {
            let height = world.chain.height();
            let confirm = Call::ConfirmFreshness(pb::ConfirmFreshness { height });
            enclave.call(confirm).unwrap_err();
        }),
        ("a round", |world, enclave| {
            world.execute(enclave, &[]).unwrap_err();
        }),
        ("a blob", |world, enclave| {
            follow(world, enclave);
            enclave.bytes(Call::FreshnessBlob(pb::FreshnessBlob {}));
        }),
        ("a request", |world, enclave| {
            follow(world, enclave);
            enclave.bytes(Call::KeyRequestFor(pb::KeyRequestFor { epoch: EPOCH + 1 }));
        }),
    ];
    for (what, call) in calls {
        let world = World::new(code(), true);
        let enclave = world.enclave_with(1, |_| {});
        world.prove_freshness(&enclave).unwrap();
        let reply = world.key_reply(&enclave, &[EPOCH], &key(51));
        let mut changes = paralith_storage::Changes::new();
        world.epoch(&mut changes, EPOCH + 1, world.chain.height() + 1);
        world.chain.commit(&changes);
        call(&world, &enclave);
        // The request went with its reply's key.
        let provide = Call::ProvideKeys(pb::ProvideKeys { reply });
        let refused = enclave.call(provide).expect_err(what);
        assert_eq!(code_of(&refused), ("enclave", 19), "{what}");
    }
}

/// Whoever breaks into the enclave later opens no reply with a key that it still holds.
#[test]
fn a_reply_is_sealed_to_a_key_that_was_made_for_its_request() {
    let world = World::new(code(), true);
    let enclave = world.enclave_with(1, |_| {});
    world.prove_freshness(&enclave).unwrap();
    let reply_key = || {
        let ask = Call::KeyRequestFor(pb::KeyRequestFor { epoch: EPOCH });
        let signed = SignedKeyRequest::decode(&enclave.bytes(ask), 10_000).unwrap();
        signed.unverified().unwrap().reply_key
    };
    let (one, other) = (reply_key(), reply_key());
    assert_ne!(one, other);
    assert!(![one, other].contains(&enclave.claims.rek));
}
