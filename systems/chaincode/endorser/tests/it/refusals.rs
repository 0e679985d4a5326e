use paralith_chaincode_core::hashes;
use paralith_chaincode_core::propose::{Proposed, Target};
use paralith_chaincode_endorser::calls::endorser_call::Kind;
use paralith_chaincode_messages::{Message as _, Proposal, Response};
use paralith_consensus_api::{beacon, registry};
use paralith_crypto::SigningKey;
use paralith_harness::rounds::epoch_state;
use paralith_harness::{key, set};
use paralith_storage::Changes;
use paralith_types::{ChainContext, CodeId, Epoch, Height, RuntimeId};

use crate::world::{
    Endorser, ISSUER, LEDGER, Lie, OTHER_LEDGER, World, call, endorse_code, organisation, refusal,
};

/// The client's proposal after this change, signed anew.
fn changed(world: &World, change: impl FnOnce(&mut Proposal)) -> Vec<u8> {
    let proposed = world.propose("k1p");
    let mut proposal = Proposal::decode(&proposed.signed.proposal).unwrap();
    change(&mut proposal);
    hashes::sign_proposal(&key(10), &world.chain.context, proposal.encode()).encode()
}

fn code(endorser: &Endorser, signed: Vec<u8>) -> u32 {
    endorse_code(endorser.ask(Kind::Endorse(signed)))
}

#[test]
fn what_is_wrong_with_a_proposal_is_named_and_nothing_is_signed() {
    let world = World::initialised();
    let endorser = world.endorser(1);
    let good = world.propose("k1p");
    endorser.endorse(&good).unwrap();
    assert_eq!(code(&endorser, b"\xff\xff".to_vec()), 1);
    let mut forged = good.signed.clone();
    forged.public_key = key(11).public();
    assert_eq!(code(&endorser, forged.encode()), 4);
    type Change = fn(&mut Proposal);
    let cases: [(Change, u32); 9] = [
        (|p| p.version = 2, 1),
        (|p| p.chain_context = ChainContext([1; 32]), 2),
        (|p| p.application = RuntimeId([1; 32]), 3),
        (|p| p.anchor = Height(1_000_000), 8),
        (|p| p.sequence = 2, 10),
        (|p| p.ledger = OTHER_LEDGER, 25),
        (|p| p.valid_until = p.anchor, 12),
        (|p| p.envelope.epoch = Epoch(1), 18),
        (|p| p.envelope.sealed[40] ^= 1, 19),
    ];
    for (change, expected) in cases {
        assert_eq!(code(&endorser, changed(&world, change)), expected);
    }
    // An envelope does not open for another sender.
    let proposal = good.signed.proposal;
    let moved = hashes::sign_proposal(&key(11), &world.chain.context, proposal);
    assert_eq!(code(&endorser, moved.encode()), 19);
}

#[test]
fn an_enclave_signs_nothing_before_it_has_proven_freshness() {
    let world = World::initialised();
    let endorser = world.start(world.start_call(2, vec![])).unwrap();
    world.register(2, &endorser.claims);
    let proposed = world.propose("k1p");
    assert_eq!(endorse_code(endorser.endorse(&proposed)), 5);
    let query = world.query("k1g", crate::world::EPOCH);
    assert_eq!(endorse_code(endorser.evaluate(&query)), 5);
    world.serve(&endorser).unwrap();
    endorser.endorse(&world.propose("k1p")).unwrap();
}

#[test]
fn an_anchor_that_is_too_old_is_refused() {
    let world = World::initialised();
    let endorser = world.endorser(1);
    let target = world.target();
    let propose = |target: &Target| world.propose_as(&key(10), target.clone(), call("do", "k1p"));
    for _ in 0..20 {
        world.chain.commit(&Changes::new());
    }
    endorser.sync(world.chain.height()).unwrap();
    endorser.endorse(&propose(&target)).unwrap();
    let height = world.chain.commit(&Changes::new());
    endorser.sync(height).unwrap();
    assert_eq!(endorse_code(endorser.endorse(&propose(&target))), 9);
}

/// t14: on a ledger without approval no enclave signs, evaluates or releases.
#[test]
fn another_code_or_a_ledger_without_approval_stops_everything() {
    let mut world = World::initialised();
    let endorser = world.endorser(1);
    let endorsed = endorser.endorse(&world.propose("k1p")).unwrap();
    world.commit(&[&endorsed.response]);
    let approved = world.ledger_runtime.clone();
    let mut alone = approved.clone();
    alone.approval = None;
    let set_ledger = |runtime: &registry::Runtime| {
        let mut changes = Changes::new();
        set(&mut changes, registry::keys::runtime(&LEDGER), runtime);
        endorser.sync(world.chain.commit(&changes)).unwrap();
    };
    set_ledger(&alone);
    let query = world.query("k1g", crate::world::EPOCH);
    assert_eq!(endorse_code(endorser.endorse(&world.propose("k1p"))), 24);
    assert_eq!(endorse_code(endorser.release(&endorsed.response)), 24);
    assert_eq!(endorse_code(endorser.evaluate(&query)), 24);
    set_ledger(&approved);
    endorser.release(&endorsed.response).unwrap();
    let mut other = world.application.clone();
    other.code.as_mut().unwrap().id = CodeId([1; 32]);
    endorser.sync(world.update(&other)).unwrap();
    world.application = other;
    assert_eq!(endorse_code(endorser.endorse(&world.propose("k1p"))), 11);
    assert_eq!(endorse_code(endorser.evaluate(&query)), 11);
    world.application.terms = vec![1];
    endorser.sync(world.update(&world.application)).unwrap();
    let proposal = changed_terms(&world);
    assert_eq!(code(&endorser, proposal), 26);
}

/// A proposal on a descriptor that defines no chaincode.
fn changed_terms(world: &World) -> Vec<u8> {
    let mut readable = World::with(|_| {});
    readable.chain = world.chain.clone();
    readable.propose("k1p").signed.encode()
}

#[test]
fn a_certificate_is_asked_for_where_the_terms_name_issuers() {
    let mut world = World::with_terms(|terms| terms.issuers = vec![key(ISSUER).public()]);
    let endorser = world.endorser(1);
    let good = world.certificate(|_| {});
    let with = |world: &World, client: &SigningKey, certificate, call| {
        let target = Target { certificate, ..world.target() };
        world.propose_as(client, target, call)
    };
    let of_organisation = world.certificate(|c| c.subject = organisation(1).public());
    let init = with(&world, &organisation(1), Some(of_organisation), call("app.init", ""));
    let init = endorser.endorse(&init).unwrap();
    world.commit(&[&init.response]);
    let propose =
        |world: &World, certificate| with(world, &key(10), certificate, call("do", "k1p"));
    let ask = |proposed: &Proposed| endorser.endorse(proposed);
    ask(&propose(&world, Some(good.clone()))).unwrap();
    let mut forged = good.clone();
    forged.serial = 8;
    for (certificate, expected) in [
        (None, 13),
        (Some(world.certificate(|c| c.issuer = key(81).public())), 13),
        (Some(forged), 13),
        (Some(world.certificate(|c| c.scope = [1; 32])), 14),
        (Some(world.certificate(|c| c.subject = key(11).public())), 15),
        (Some(world.certificate(|c| c.not_before = Height(999))), 16),
        (Some(world.certificate(|c| c.not_after = Height(2))), 16),
    ] {
        assert_eq!(endorse_code(ask(&propose(&world, certificate))), expected);
    }
    world.revoke_certificate(good.serial);
    assert_eq!(endorse_code(ask(&propose(&world, Some(good)))), 17);
    ask(&propose(&world, Some(world.certificate(|c| c.serial = 9)))).unwrap();
}

#[test]
fn only_an_organisation_initialises_and_migrates_and_only_when_it_is_due() {
    let mut world = World::with(|_| {});
    let endorser = world.endorser(1);
    let propose = |world: &World, client: &SigningKey, method: &str| {
        world.propose_as(client, world.target(), call(method, "k1p"))
    };
    let ask = |proposed: &Proposed| endorser.endorse(proposed);
    assert_eq!(endorse_code(ask(&propose(&world, &key(10), "do"))), 20);
    assert_eq!(endorse_code(ask(&propose(&world, &key(10), "app.init"))), 21);
    assert_eq!(endorse_code(ask(&propose(&world, &organisation(2), "app.migrate"))), 20);
    let query = world.query("k1g", crate::world::EPOCH);
    assert_eq!(endorse_code(endorser.evaluate(&query)), 20);
    let init = ask(&propose(&world, &organisation(2), "app.init")).unwrap();
    world.commit(&[&init.response]);
    ask(&propose(&world, &key(10), "do")).unwrap();
    assert_eq!(endorse_code(ask(&propose(&world, &organisation(2), "app.init"))), 21);
    assert_eq!(endorse_code(ask(&propose(&world, &organisation(2), "app.migrate"))), 21);
}

/// t10: an old root, an invented one.
#[test]
fn a_host_that_lies_about_the_ledger_or_the_chain_gets_no_signature() {
    let mut world = World::initialised();
    let truthful = world.endorser(3);
    let before = world.target();
    let put = world.endorser(2).endorse(&world.propose("k5p")).unwrap();
    world.commit(&[&put.response]);
    for lie in [
        Lie::FlipNode,
        Lie::NoNode,
        Lie::OldTree,
        Lie::OldState,
        Lie::InventedRoot,
        Lie::NoProof,
        Lie::FlipProof,
    ] {
        // New, so that nothing is verified and kept already.
        let endorser = world.endorser(1);
        let proposed = world.propose("k0g");
        endorser.lie(lie);
        let query = world.query("k0g", crate::world::EPOCH);
        let refused = [
            refusal(endorser.endorse(&proposed)),
            refusal(endorser.evaluate(&query)),
            refusal(endorser.release(&put.response)),
        ];
        for (module, _) in refused {
            assert!(["enclave", "view", "endorse"].contains(&module.as_str()), "{lie:?}: {module}");
        }
        endorser.lie(Lie::None);
        // What it said before has left nothing behind.
        let honest = truthful.endorse(&proposed).unwrap().response;
        assert_eq!(endorser.endorse(&proposed).unwrap().response, honest, "{lie:?}");
    }
    // What the lies are about matters: an anchor on the older state has another answer.
    let read = |target: Target| {
        let asked = world.propose_as(&key(10), target, call("do", "k0g"));
        Response::decode(&truthful.endorse(&asked).unwrap().response).unwrap().reads
    };
    assert_ne!(read(before), read(world.target()));
}

/// t10: a fork's root.
#[test]
fn an_anchor_on_a_fork_or_behind_a_frozen_view_is_never_proven() {
    let world = World::initialised();
    let endorser = world.endorser(1);
    // The same genesis, other validators' keys: their blocks prove nothing here.
    let fork = World::with(|_| {});
    fork.chain.replace_validator(120);
    while fork.chain.height() < world.chain.height() + 5 {
        fork.chain.commit(&Changes::new());
    }
    let anchor = Height(world.chain.height() + 3);
    let target = Target { anchor, valid_until: Height(anchor.0 + 10), ..world.target() };
    let ahead = world.propose_as(&key(10), target, call("do", "k1p"));
    endorser.show(&fork.chain);
    assert_eq!(endorse_code(endorser.endorse(&ahead)), 8);
    endorser.show(&world.chain);
    endorser.lie(Lie::NoBlocks);
    assert_eq!(endorse_code(endorser.endorse(&ahead)), 8);
    let query = paralith_chaincode_endorser::calls::EvaluateRequest {
        at_least: anchor.0,
        ..world.query("k1g", crate::world::EPOCH)
    };
    assert_eq!(endorse_code(endorser.evaluate(&query)), 8, "nothing older than the client knows");
    endorser.lie(Lie::None);
    for _ in 0..4 {
        world.chain.commit(&Changes::new());
    }
    endorser.endorse(&ahead).unwrap();
    endorser.evaluate(&query).unwrap();
}

/// t09
#[test]
fn a_revoked_enclave_signs_opens_and_answers_nothing_not_even_on_an_older_anchor() {
    let mut world = World::initialised();
    let endorser = world.endorser(1);
    let endorsed = endorser.endorse(&world.propose("k1p")).unwrap();
    world.commit(&[&endorsed.response]);
    let before = world.propose("k1p");
    endorser.endorse(&before).unwrap();
    endorser.sync(world.revoke(&endorser.claims.rak)).unwrap();
    assert_eq!(endorse_code(endorser.endorse(&before)), 6);
    assert_eq!(endorse_code(endorser.endorse(&world.propose("k1p"))), 6);
    assert_eq!(endorse_code(endorser.release(&endorsed.response)), 6);
    assert_eq!(endorse_code(endorser.evaluate(&world.query("k1g", crate::world::EPOCH))), 6);
}

/// t04 and t09, as long as the enclave is asked; `commit` refuses what it signed before: the ledger's tests.
#[test]
fn an_enclave_whose_evidence_has_expired_or_is_of_no_organisation_signs_nothing() {
    let world = World::initialised();
    let endorser = world.endorser(1);
    let last = Height(world.chain.height() + 1);
    world.register_until(1, &endorser.claims, Height(last.0 + 1));
    endorser.endorse(&world.propose("k1p")).unwrap();
    world.chain.commit(&Changes::new());
    assert_eq!(endorse_code(endorser.endorse(&world.propose("k1p"))), 6);
    // The entity of node 4 is none of the three organisations.
    let stranger = world.endorser(4);
    assert_eq!(endorse_code(stranger.endorse(&world.propose("k1p"))), 6);
}

#[test]
fn an_enclave_without_the_keys_of_the_epoch_opens_no_call() {
    let world = World::initialised();
    let endorser = world.endorser(1);
    let mut changes = Changes::new();
    let height = world.chain.height() + 1;
    set(&mut changes, beacon::keys::epoch(), &epoch_state(crate::world::EPOCH + 1, height));
    endorser.sync(world.chain.commit(&changes)).unwrap();
    let epoch = Epoch(crate::world::EPOCH + 1);
    let epoch_key = crate::world::epoch_key(epoch.0).public();
    let target = Target { epoch, epoch_key, ..world.target() };
    let proposed = world.propose_as(&key(10), target, call("do", "k1p"));
    assert_eq!(endorse_code(endorser.endorse(&proposed)), 19);
}

#[test]
fn the_calls_of_a_paratimes_enclave_are_refused() {
    use paralith_tee_channel::pb::{self, runtime_call::Kind as Call};
    let world = World::initialised();
    let endorser = world.endorser(1);
    for call in [
        Call::Execute(pb::Execute::default()),
        Call::RunQuery(pb::RunQuery::default()),
        Call::Reveal(pb::Reveal::default()),
    ] {
        assert_eq!(refusal(endorser.call(call)), ("enclave".to_string(), 20));
    }
}
