use paralith_chaincode_endorser::calls::EvaluateRequest;
use paralith_chaincode_messages::{Message as _, Response};
use paralith_proto::Canonical;
use paralith_runtime_api::output::Output;
use paralith_runtime_api::query::Query;
use paralith_runtime_api::tx::Body;
use paralith_types::{ChainContext, RuntimeId};

use crate::world::{EPOCH, World, call, endorse_code, refusal};

#[test]
fn a_query_is_answered_on_the_newest_state_and_sealed_to_the_asker() {
    let mut world = World::initialised();
    let endorsers = [world.endorser(1), world.endorser(2)];
    let put = endorsers[0].endorse(&world.propose("k5p")).unwrap();
    let request = world.query("k0g", EPOCH);
    let answer = |world: &World, n: usize| {
        let answered = endorsers[n].evaluate(&request).unwrap();
        world.open_answer(&request, &answered)
    };
    let absent = (-1_i64).to_le_bytes().to_vec();
    assert_eq!(answer(&world, 0), Output::Ok(absent), "an endorsed call changes nothing");
    world.commit(&[&put.response]);
    for (n, endorser) in endorsers.iter().enumerate() {
        endorser.sync(world.chain.height()).unwrap();
        assert_eq!(answer(&world, n), Output::Ok(i64::from(b'5').to_le_bytes().to_vec()));
    }
    let answered = endorsers[0].evaluate(&request).unwrap();
    assert!(Response::decode(&answered.output).is_err(), "nothing that could be committed");
}

#[test]
fn a_query_that_is_plain_foreign_or_of_a_past_epoch_is_refused() {
    let world = World::initialised();
    let endorser = world.endorser(1);
    let good = Query::decode(&world.query("k0g", EPOCH).query, 10_000).unwrap();
    let ask = |query: Query| {
        let request = EvaluateRequest { query: query.encode(), at_least: 0, certificate: None };
        endorse_code(endorser.evaluate(&request))
    };
    let plain = Body::Call(call("ask", "k0g"));
    assert_eq!(ask(Query { chain_context: ChainContext([1; 32]), ..good.clone() }), 2);
    assert_eq!(ask(Query { runtime_id: RuntimeId([1; 32]), ..good.clone() }), 3);
    assert_eq!(ask(Query { body: plain, signed: None, ..good }), 1);
    let signed = good.sign(&paralith_harness::key(10));
    assert_eq!(ask(signed), 19, "sealed for no sender");
    assert_eq!(endorse_code(endorser.evaluate(&world.query("k0g", EPOCH - 2))), 18);
    let garbage = EvaluateRequest { query: vec![255], at_least: 0, certificate: None };
    assert_eq!(endorse_code(endorser.evaluate(&garbage)), 1);
}

#[test]
fn what_a_committed_call_asked_to_reveal_is_the_same_everywhere_and_nothing_else_is_revealed() {
    let mut world = World::initialised();
    let endorsers = [world.endorser(1), world.endorser(2)];
    let proposed = world.propose("k0v");
    let endorsed = endorsers[0].endorse(&proposed).unwrap();
    assert_eq!(endorse_code(endorsers[0].reveal(&proposed.tx_id, b"h")), 22);
    world.commit(&[&endorsed.response]);
    let other = world.propose("k1p");
    let put = endorsers[0].endorse(&other).unwrap();
    world.commit(&[&put.response]);
    let [a, b] = [0, 1].map(|n: usize| endorsers[n].reveal(&proposed.tx_id, b"h").unwrap());
    assert_eq!((a.round, &a.state_root, &a.output), (b.round, &b.state_root, &b.output));
    assert!(matches!(Output::decode(&a.output, 1000).unwrap(), Output::Ok(_)));
    // Another call did not ask for it, and nobody asked for another handle.
    assert_eq!(refusal(endorsers[0].reveal(&other.tx_id, b"h")), ("enclave".to_string(), 17));
    assert_eq!(refusal(endorsers[0].reveal(&proposed.tx_id, b"i")), ("enclave".to_string(), 17));
}
