use paralith_chaincode_core::collect::{Answer, Expected, collect};
use paralith_chaincode_core::hashes;
use paralith_chaincode_messages::{Endorsement, Message as _, Response};
use paralith_consensus_api::registry;
use paralith_runtime_api::output::Output;
use paralith_types::Height;

use crate::world::{APPLICATION, REPLY_KEY, World, endorse_code};

fn number(output: &Output) -> i64 {
    match output {
        Output::Ok(bytes) => i64::from_le_bytes(bytes.clone().try_into().unwrap()),
        Output::Error(error) => panic!("{error:?}"),
    }
}

/// Random enough, and the same in every run.
struct Draw(u64);

impl Draw {
    fn below(&mut self, n: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

#[test]
fn three_enclaves_give_equal_bytes_for_200_random_calls_in_any_order() {
    let mut world = World::initialised();
    let endorsers = [world.endorser(1), world.endorser(2), world.endorser(3)];
    let mut draw = Draw(1);
    let (mut written, mut failed) = (0, 0);
    for group in 0..40_usize {
        let proposals: Vec<_> = (0..5)
            .map(|_| {
                let mode =
                    ['p', 'g', 'b', 'x', 'c', 't', 'r', 'e', 'v', 'd'][draw.below(10) as usize];
                let (name, value) = (draw.below(8), draw.below(10));
                world.propose(&format!("{name}{value}{mode}"))
            })
            .collect();
        let mut all: Vec<Vec<Vec<u8>>> = Vec::new();
        for (n, endorser) in endorsers.iter().enumerate() {
            // Each meets them in an order of its own.
            let mut answers = vec![Vec::new(); proposals.len()];
            for step in 0..proposals.len() {
                let at = (step * (n + 1) + group) % proposals.len();
                let endorsed = endorser.endorse(&proposals[at]).unwrap();
                let endorsement = Endorsement::decode(&endorsed.endorsement).unwrap();
                assert_eq!(endorsement.rak, endorser.claims.rak);
                let signed = &endorsed.response;
                assert!(hashes::endorsement_is_signed(&endorsement, &world.chain.context, signed));
                assert_eq!(endorsed.early, None);
                answers[at] = endorsed.response;
            }
            all.push(answers);
        }
        assert_eq!(all[0], all[1]);
        assert_eq!(all[0], all[2]);
        for response in &all[0] {
            let response = Response::decode(response).unwrap();
            response.check().unwrap();
            if response.writes.is_empty() { failed += 1 } else { written += 1 }
        }
        // Only one of them, so that entries keep different versions.
        world.commit(&[&all[0][0]]);
    }
    assert!(written > 50 && failed > 20, "{written} and {failed}");
}

#[test]
fn a_client_collects_the_equal_responses_of_a_quorum() {
    let world = World::initialised();
    let endorsers = [world.endorser(1), world.endorser(2)];
    let proposed = world.propose("k1p");
    let proposal =
        paralith_chaincode_messages::Proposal::decode(&proposed.signed.proposal).unwrap();
    let now = world.chain.height();
    let answers: Vec<Answer> = endorsers
        .iter()
        .map(|endorser| {
            let endorsed = endorser.endorse(&proposed).unwrap();
            let rak = &endorser.claims.rak;
            let place = registry::keys::enclave(&APPLICATION, rak);
            Answer {
                response: endorsed.response,
                endorsement: Endorsement::decode(&endorsed.endorsement).unwrap(),
                record: world.chain.prove(now, &place).unwrap().0,
            }
        })
        .collect();
    let definition = world.definition();
    let expected = Expected {
        chain: &world.chain.context,
        proposal: &proposal,
        tx_id: proposed.tx_id,
        definition: &definition,
        now: Height(now),
    };
    assert_eq!(collect(&expected, &answers).unwrap().endorsements.len(), 2);
    assert!(collect(&expected, &answers[..1]).is_err());
}

#[test]
fn a_call_reads_its_own_writes_and_records_no_read_of_them() {
    let mut world = World::initialised();
    let endorser = world.endorser(1);
    let proposed = world.propose("k5b");
    let endorsed = endorser.endorse(&proposed).unwrap();
    let response = Response::decode(&endorsed.response).unwrap();
    // The read that is recorded is that of the code marker.
    assert_eq!((response.reads.len(), response.writes.len()), (1, 1));
    assert!(response.reads[0].version.is_some());
    assert_ne!(response.reads[0].index, response.writes[0].index);
    world.commit(&[&endorsed.response]);
    let opened = endorser.release(&endorsed.response).unwrap();
    let output = world.read(&endorsed.response, &opened, &REPLY_KEY).unwrap();
    assert_eq!(number(&output), i64::from(b'5'));
}

#[test]
fn absent_entries_are_recorded_and_unchanged_writes_are_kept_and_sealed_anew() {
    let mut world = World::initialised();
    let endorser = world.endorser(1);
    let absent = endorser.endorse(&world.propose("k0g")).unwrap();
    let absent = Response::decode(&absent.response).unwrap();
    assert_eq!(absent.reads.len(), 2);
    assert_eq!(absent.reads.iter().filter(|read| read.version.is_none()).count(), 1);
    let put = endorser.endorse(&world.propose("k5p")).unwrap();
    let round = world.commit(&[&put.response]);
    let put = Response::decode(&put.response).unwrap();
    let copied = endorser.endorse(&world.propose("k0c")).unwrap();
    let copied = Response::decode(&copied.response).unwrap();
    assert_eq!(copied.writes[0].index, put.writes[0].index);
    assert_ne!(copied.writes[0].value, put.writes[0].value, "sealed for its own place");
    let read = copied.reads.iter().find(|read| read.index == put.writes[0].index).unwrap();
    assert_eq!(read.version.unwrap().round, round.0);
}

#[test]
fn a_failing_call_has_its_reads_and_no_effect() {
    let mut world = World::initialised();
    let endorser = world.endorser(1);
    for (args, module) in [("k5t", "wasm"), ("k5w", "endorse"), ("k5q", "endorse")] {
        let endorsed = endorser.endorse(&world.propose(args)).unwrap();
        let response = Response::decode(&endorsed.response).unwrap();
        assert!(response.is_empty(), "{args}");
        world.commit(&[&endorsed.response]);
        let opened = endorser.release(&endorsed.response).unwrap();
        match world.read(&endorsed.response, &opened, &REPLY_KEY).unwrap() {
            Output::Error(error) => assert_eq!(error.module, module, "{args}"),
            Output::Ok(value) => panic!("{args}: {value:?}"),
        }
    }
}

#[test]
fn messages_to_consensus_are_refused_deadlines_recorded_and_events_public() {
    let mut world = World::initialised();
    let endorser = world.endorser(1);
    let endorsed = endorser.endorse(&world.propose("k0m")).unwrap();
    world.commit(&[&endorsed.response]);
    let opened = endorser.release(&endorsed.response).unwrap();
    let output = world.read(&endorsed.response, &opened, &REPLY_KEY).unwrap();
    assert_eq!(number(&output), -1);
    let deadline = endorser.endorse(&world.propose("k0d")).unwrap();
    assert_eq!(Response::decode(&deadline.response).unwrap().commit_before, Height(500));
    let event = endorser.endorse(&world.propose("k0e")).unwrap();
    let events = Response::decode(&event.response).unwrap().events;
    assert_eq!(
        (events.len(), events[0].topic.as_str(), events[0].data.as_slice()),
        (1, "h", &b"k0"[..])
    );
}

#[test]
fn two_nonces_of_one_call_have_nothing_in_common() {
    let world = World::initialised();
    let endorser = world.endorser(1);
    let target = world.target();
    let one = || {
        world.propose_as(
            &paralith_harness::key(10),
            target.clone(),
            crate::world::call("do", "k5p"),
        )
    };
    let [a, b] = [one(), one()]
        .map(|proposed| Response::decode(&endorser.endorse(&proposed).unwrap().response).unwrap());
    assert_eq!(a.writes[0].index, b.writes[0].index);
    assert_ne!(a.writes[0].value, b.writes[0].value);
    assert_ne!(a.sealed_output, b.sealed_output);
    assert_ne!(a.output_commitment, b.output_commitment);
}

#[test]
fn an_output_is_released_after_the_commit_of_that_response_and_to_its_caller_alone() {
    let mut world = World::initialised();
    let endorsers = [world.endorser(1), world.endorser(2)];
    let proposed = world.propose("k5b");
    let endorsed = endorsers[0].endorse(&proposed).unwrap();
    let refused = |bytes: &[u8]| endorse_code(endorsers[1].release(bytes));
    assert_eq!(refused(&endorsed.response), 22, "a probe opens nothing");
    // A call that is committed does not open one that is not.
    let other = endorsers[0].endorse(&world.propose("k5b")).unwrap();
    world.commit(&[&other.response]);
    assert_eq!(refused(&endorsed.response), 22);
    world.commit(&[&endorsed.response]);
    let mut changed = Response::decode(&endorsed.response).unwrap();
    changed.commit_before = Height(1);
    assert_eq!(refused(&changed.encode()), 23, "another response of that transaction");
    let mut swapped = Response::decode(&endorsed.response).unwrap();
    swapped.tx_id = Response::decode(&other.response).unwrap().tx_id;
    assert_eq!(refused(&swapped.encode()), 23);
    assert_eq!(refused(b"\xff"), 1);
    let opened: Vec<Vec<u8>> =
        endorsers.iter().map(|endorser| endorser.release(&endorsed.response).unwrap()).collect();
    assert_eq!(opened[0], opened[1]);
    assert!(world.read(&endorsed.response, &opened[0], &REPLY_KEY).is_some());
    assert!(world.read(&endorsed.response, &opened[0], &[45; 32]).is_none());
    // Nor does one call's reply pass for another's.
    assert!(world.read(&other.response, &opened[0], &REPLY_KEY).is_none());
}

/// A ledger of the attacker's own, approved by its friends, may say that anything is committed.
#[test]
fn a_record_in_another_ledger_opens_nothing() {
    let world = World::initialised();
    let endorser = world.endorser(1);
    let endorsed = endorser.endorse(&world.propose("k5b")).unwrap();
    let mut elsewhere = Response::decode(&endorsed.response).unwrap();
    elsewhere.ledger = crate::world::OTHER_LEDGER;
    assert_eq!(endorse_code(endorser.release(&elsewhere.encode())), 25);
}

#[test]
fn early_results_give_the_output_at_once() {
    let mut world = World::with_terms(|terms| terms.early_results = true);
    world.init();
    let endorser = world.endorser(1);
    let endorsed = endorser.endorse(&world.propose("k7b")).unwrap();
    let early = endorsed.early.unwrap();
    let output = world.read(&endorsed.response, &early, &REPLY_KEY).unwrap();
    assert_eq!(number(&output), i64::from(b'7'));
    world.commit(&[&endorsed.response]);
    assert_eq!(endorser.release(&endorsed.response).unwrap(), early);
}
