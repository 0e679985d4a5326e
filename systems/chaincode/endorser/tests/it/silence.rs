//! t10: a host that shows no more blocks, and one that runs a call as often as it likes. An enclave cannot
//! tell a slow chain from a silent host; what comes of it is shown here, and ends.

use std::collections::BTreeSet;

use paralith_chaincode_core::propose::Target;
use paralith_chaincode_endorser::calls::EvaluateRequest;
use paralith_chaincode_messages::order::in_time;
use paralith_chaincode_messages::{Message as _, Response};
use paralith_harness::key;
use paralith_runtime_api::output::Output;
use paralith_storage::Changes;
use paralith_types::{Hash, Height};

use crate::world::{EPOCH, Endorser, Lie, REPLY_KEY, World, call, endorse_code, refusal};

fn value(digit: u8) -> Output {
    Output::Ok(i64::from(digit).to_le_bytes().to_vec())
}

fn answer(world: &World, endorser: &Endorser) -> Output {
    let request = world.query("k0g", EPOCH);
    world.open_answer(&request, &endorser.evaluate(&request).unwrap())
}

#[test]
fn behind_a_silent_host_nothing_new_is_told_and_nothing_is_signed_that_commits() {
    let mut world = World::initialised();
    let (silent, living) = (world.endorser(1), world.endorser(2));
    let first = living.endorse(&world.propose("k1p")).unwrap();
    world.commit(&[&first.response]);
    let stopped = world.chain.height();
    for endorser in [&silent, &living] {
        endorser.sync(stopped).unwrap();
    }
    let target = world.target();
    silent.lie(Lie::BlocksUntil(stopped + 1));
    // The chain goes on, for longer than a call may wait for its commit.
    let second = living.endorse(&world.propose("k2p")).unwrap();
    world.commit(&[&second.response]);
    for _ in 0..world.definition().terms.commit_blocks {
        world.chain.commit(&Changes::new());
    }
    living.sync(world.chain.height()).unwrap();

    // It signs on the anchor where it stopped, and no round of the chain takes that.
    let valid_until = Height(target.anchor.0 + u64::from(world.definition().terms.commit_blocks));
    let longest = Target { valid_until, ..target };
    let late = world.propose_as(&key(10), longest.clone(), call("do", "k9p"));
    let signed = Response::decode(&silent.endorse(&late).unwrap().response).unwrap();
    let pinned = |back: u64| Height(world.chain.height() - back);
    assert_eq!(in_time(&signed, &world.definition(), pinned(0)).unwrap_err().code(), 6);
    let unlimited = Response { valid_until: Height(u64::MAX), ..signed.clone() };
    assert_eq!(in_time(&unlimited, &world.definition(), pinned(0)).unwrap_err().code(), 8);
    // One that sees the chain refuses the anchor. In time the very response would have been taken.
    assert_eq!(endorse_code(living.endorse(&late)), 9);
    in_time(&signed, &world.definition(), target_height(&longest)).unwrap();

    // It tells of the state where it stopped, also to who asks for no height; not of a newer one.
    assert_eq!((answer(&world, &silent), answer(&world, &living)), (value(b'1'), value(b'2')));
    let query = world.query("k0g", EPOCH);
    let newer = EvaluateRequest { at_least: stopped + 1, ..query };
    assert_eq!(endorse_code(silent.evaluate(&newer)), 8);
    silent.release(&first.response).unwrap();
    refusal(silent.release(&second.response));
    refusal(silent.reveal(&Response::decode(&second.response).unwrap().tx_id, b"h"));
}

/// The height just after the anchor.
fn target_height(target: &Target) -> Height {
    target.anchor.next()
}

#[test]
fn a_restart_ends_what_a_silent_host_gets() {
    let mut world = World::initialised();
    let endorser = world.endorser(1);
    let put = endorser.endorse(&world.propose("k1p")).unwrap();
    world.commit(&[&put.response]);
    let stopped = world.chain.height();
    let silence = Lie::BlocksUntil(stopped + 1);
    endorser.lie(silence);
    let asked = world.propose("k2p");
    endorser.endorse(&asked).unwrap();
    let again = world.start_before(world.start_call(1, endorser.stop()), silence, stopped).unwrap();
    assert_eq!(again.claims.rak, endorser.claims.rak);
    // It has to see a block that was made after it asked for one.
    refusal(world.prove_freshness(&again));
    assert_eq!(endorse_code(again.endorse(&asked)), 5);
    assert_eq!(endorse_code(again.evaluate(&world.query("k0g", EPOCH))), 5);
    assert_eq!(endorse_code(again.release(&put.response)), 5);
    again.lie(Lie::None);
    world.serve(&again).unwrap();
    again.endorse(&asked).unwrap();
    again.release(&put.response).unwrap();
}

/// How many anchors and nonces one call is tried on.
const ANCHORS: u64 = 100;
const NONCES: usize = 1000;

#[test]
fn of_one_call_on_100_anchors_and_with_1000_nonces_only_the_committed_one_opens() {
    let mut world = World::with_terms(|terms| {
        (terms.anchor_blocks, terms.commit_blocks) = (100, 200);
    });
    world.init();
    let endorser = world.endorser(1);
    let first = world.target();
    for _ in 1..ANCHORS {
        world.chain.commit(&Changes::new());
    }
    endorser.sync(world.chain.height()).unwrap();
    // Each draws at random, and writes what it was asked to.
    let propose = |back: u64| {
        let anchor = Height(first.anchor.0 + back);
        let target = Target { anchor, valid_until: anchor.plus(50), ..first.clone() };
        world.propose_as(&key(10), target, call("do", "k7r"))
    };
    let mut tried: Vec<Vec<u8>> = Vec::new();
    for back in 0..ANCHORS {
        tried.push(endorser.endorse(&propose(back)).unwrap().response);
    }
    for _ in 0..NONCES {
        tried.push(endorser.endorse(&propose(0)).unwrap().response);
    }
    // Nothing in one of them is as in another, so comparing tells nothing of a draw.
    let responses: Vec<Response> =
        tried.iter().map(|bytes| Response::decode(bytes).unwrap()).collect();
    let different = |part: fn(&Response) -> Vec<u8>| {
        responses.iter().map(part).collect::<BTreeSet<_>>().len() == responses.len()
    };
    assert!(different(|one| one.sealed_output.clone()));
    assert!(different(|one| one.output_commitment.as_bytes().to_vec()));
    let chosen = tried.len() / 2;
    world.commit(&[&tried[chosen]]);
    let committed: Hash = responses[chosen].tx_id;
    for (at, bytes) in tried.iter().enumerate() {
        let opened = endorser.release(bytes);
        if at == chosen {
            assert!(world.read(bytes, &opened.unwrap(), &REPLY_KEY).is_some());
            continue;
        }
        assert_eq!(endorse_code(opened), 22, "{at}");
    }
    // Nor under the name of the committed one.
    for other in [0, chosen - 1, chosen + 1] {
        let renamed = Response { tx_id: committed, ..responses[other].clone() };
        assert_eq!(endorse_code(endorser.release(&renamed.encode())), 23);
    }
}
