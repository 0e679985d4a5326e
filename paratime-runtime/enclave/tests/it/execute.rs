use paralith_consensus_api::roothash::{RESULTS_DOMAIN, ResultsHeader};
use paralith_crypto::ed25519;
use paralith_proto::{Canonical, Wire};
use paralith_runtime_api::output::Output;
use paralith_runtime_api::query::Query;
use paralith_runtime_api::tx::Body;
use paralith_runtime_enclave::EnclaveError;
use paralith_tee_channel::pb;
use paralith_types::{Hash, Signature};
use pb::runtime_call::Kind as Call;
use pb::runtime_reply::Kind as Reply;

use crate::world::{EPOCH, Enclave, RUNTIME, World};
use crate::{call, code, code_of, envelope, error_of, read, secret, transaction};

/// Answer to the query: how often `authenticate` succeeded.
fn count(world: &World, enclave: &Enclave) -> u64 {
    let body = envelope_query(world);
    let query =
        Query { chain_context: world.chain.context, runtime_id: RUNTIME, body, signed: None };
    let reply = enclave.call(Call::RunQuery(pb::RunQuery { query: Some(query.to_pb()) })).unwrap();
    let Reply::Answer(answer) = reply else { panic!("{reply:?}") };
    let reply = paralith_runtime_api::output::SealedReply::decode(&answer.output, 1000).unwrap();
    let root = Hash::try_from(answer.state_root.as_slice()).unwrap();
    let round = paralith_types::Round(answer.round);
    let plain = paralith_runtime_api::envelope::open_reply(
        &crate::REPLY_KEY,
        &query.hash(),
        round,
        &root,
        &reply.sealed,
    )
    .unwrap();
    match Output::decode(&plain, 1000).unwrap() {
        Output::Ok(value) => u64::from_le_bytes(value.try_into().unwrap()),
        Output::Error(error) => panic!("{error:?}"),
    }
}

fn envelope_query(world: &World) -> Body {
    use paralith_runtime_api::envelope::{Info, seal_call};
    let epoch = paralith_types::Epoch(EPOCH);
    let info = Info::query(world.chain.context, RUNTIME, epoch, None);
    let key = crate::world::enclave_key(EPOCH).public();
    Body::Envelope(seal_call(&key, &info, call("q"), crate::REPLY_KEY, [9; 32]).unwrap())
}

#[test]
fn two_enclaves_give_the_same_results_and_the_same_bytes() {
    let mut world = World::new(code(), true);
    let (a, b) = (world.enclave(1, &[EPOCH]), world.enclave(2, &[EPOCH]));
    for nonce in 0..3 {
        let batch = [secret(&world, 10, nonce, "a"), secret(&world, 11, nonce, "t")];
        let mut one = world.execute(&a, &batch).unwrap();
        let mut two = world.execute(&b, &batch).unwrap();
        for (enclave, executed) in [(&a, &mut one), (&b, &mut two)] {
            let results: ResultsHeader = Wire::from_pb(executed.results.clone().unwrap()).unwrap();
            let signature = std::mem::take(&mut executed.rak_signature);
            let signature = Signature::try_from(signature.as_slice()).unwrap();
            let signed = results.signed_bytes(&world.proposal(&batch).id());
            let context = &world.chain.context;
            let rak = &enclave.claims.rak;
            ed25519::verify(rak, RESULTS_DOMAIN, context, &signed, &signature).unwrap();
        }
        assert_eq!(one, two);
        // Again, from a warm cache.
        two = world.execute(&a, &batch).unwrap();
        two.rak_signature.clear();
        assert_eq!(one, two);
        world.finalise(&one, &batch);
        a.sync(world.chain.height());
        b.sync(world.chain.height());
        assert_eq!((count(&world, &a), count(&world, &b)), (2 * nonce + 2, 2 * nonce + 2));
    }
}

#[test]
fn a_trap_undoes_execute_and_keeps_what_authenticate_charged() {
    let mut world = World::new(code(), true);
    let enclave = world.enclave(1, &[EPOCH]);
    let executed = world.round(&enclave, &[secret(&world, 10, 0, "t")]);
    // The count and the code; "x" is not there.
    assert_eq!(executed.changes.len(), 2);
    assert_eq!(count(&world, &enclave), 1);
    let released = enclave.release(1, &executed).unwrap();
    assert_eq!(error_of(&read(&world, &released.outputs[0])), ("wasm".to_string(), 2));
    assert!(executed.leaves[0].gas_used > 0);

    let executed = world.round(&enclave, &[secret(&world, 10, 1, "a")]);
    assert_eq!(executed.changes.len(), 2, "the count and x");
    // What is as it was is not written again.
    let executed = world.round(&enclave, &[secret(&world, 10, 2, "a")]);
    assert_eq!(executed.changes.len(), 1, "the count");
}

#[test]
fn what_cannot_be_opened_is_a_result_that_costs_what_it_must() {
    let mut world = World::new(code(), true);
    let enclave = world.enclave(1, &[EPOCH - 1, EPOCH]);
    let copied = Body::Envelope(envelope(&world, 10, 0, EPOCH, "a"));
    let old = |back| Body::Envelope(envelope(&world, 10, 0, EPOCH - back, "a"));
    let plain = Body::Call(call("a"));
    let mut forged = secret(&world, 10, 0, "a");
    *forged.last_mut().unwrap() ^= 1;
    let good_before = transaction(&world, 10, 0, old(1));
    let cases = [
        (transaction(&world, 11, 0, copied), ("envelope", 2), 1),
        (transaction(&world, 10, 0, old(2)), ("envelope", 1), 1),
        (transaction(&world, 10, 0, plain), ("paratime", 7), 0),
        (forged, ("paratime", 6), 0),
        (b"rubbish".to_vec(), ("paratime", 2), 0),
    ];
    let mut expected = 0;
    for (round, (raw, (module, code), charged)) in (1..).zip(cases) {
        let executed = world.round(&enclave, &[raw]);
        let released = enclave.release(round, &executed).unwrap();
        let error = error_of(&read(&world, &released.outputs[0]));
        assert_eq!(error, (module.to_string(), code));
        expected += charged;
        assert_eq!(count(&world, &enclave), expected, "{module} {code}");
    }
    let executed = world.round(&enclave, &[good_before]);
    let released = enclave.release(6, &executed).unwrap();
    assert!(matches!(read(&world, &released.outputs[0]), Output::Ok(_)));
}

#[test]
fn a_missing_key_is_never_a_result() {
    let world = World::new(code(), true);
    let batch =
        [transaction(&world, 10, 0, Body::Envelope(envelope(&world, 10, 0, EPOCH - 1, "a")))];
    let enclave = world.enclave(1, &[EPOCH]);
    let failure = world.execute(&enclave, &batch).unwrap_err();
    assert_eq!(code_of(&failure), ("enclave", EnclaveError::NoKeys(String::new()).code()));
    world.provide_keys(&enclave, &[EPOCH - 1]).unwrap();
    world.execute(&enclave, &batch).unwrap();

    let keyless = world.enclave_with(2, |_| {});
    let failure = world.execute(&keyless, &batch).unwrap_err();
    assert_eq!(code_of(&failure), ("enclave", EnclaveError::NotFresh { epoch: 0 }.code()));
    world.prove_freshness(&keyless).unwrap();
    let failure = world.execute(&keyless, &batch).unwrap_err();
    assert_eq!(code_of(&failure), ("enclave", 10));
}

#[test]
fn what_was_not_proposed_as_it_should_be_is_not_executed() {
    let mut world = World::new(code(), true);
    let enclave = world.enclave(1, &[EPOCH]);
    let batch = vec![secret(&world, 10, 0, "a")];
    let good = world.proposal(&batch);
    let twice = vec![batch[0].clone(); 2];
    let many: Vec<_> = (0..5).map(|nonce| secret(&world, 10, nonce, "a")).collect();
    let mut cases = vec![
        (world.proposal(&twice), twice, 12),
        (world.proposal(&many), many, 13),
        (good.clone(), vec![], 12),
    ];
    for change in [
        (|p| p.round = p.round.next()) as fn(&mut paralith_consensus_api::roothash::ProposalHeader),
        |p| p.previous_hash = Hash([1; 32]),
        |p| p.batch_hash = Hash([1; 32]),
        |p| p.runtime_id = paralith_types::RuntimeId([6; 32]),
    ] {
        let mut proposal = good.clone();
        change(&mut proposal);
        cases.push((proposal, batch.clone(), 12));
    }
    for (proposal, batch, code) in cases {
        let failure = enclave.call(world.execute_call(&proposal, &batch)).unwrap_err();
        assert_eq!(code_of(&failure), ("enclave", code), "{proposal:?}");
    }
    let Call::Execute(mut call) = world.execute_call(&good, &batch) else { panic!() };
    let stranger = good.sign(&paralith_harness::key(10), &world.chain.context);
    call.proposal = Some(stranger.to_pb());
    assert_eq!(code_of(&enclave.call(Call::Execute(call)).unwrap_err()), ("enclave", 12));

    let outsider = world.enclave(3, &[EPOCH]);
    let failure = world.execute(&outsider, &batch).unwrap_err();
    assert_eq!(code_of(&failure), ("enclave", 11));

    // The round is over: the same proposal is for the past, at its own height it is not.
    world.round(&enclave, &batch);
    enclave.call(world.execute_call(&good, &batch)).unwrap();
    let mut late = good;
    late.consensus_height = paralith_types::Height(world.chain.height());
    let failure = enclave.call(world.execute_call(&late, &batch)).unwrap_err();
    assert_eq!(code_of(&failure), ("enclave", 12));
}

#[test]
fn check_is_authenticate_that_may_only_read_and_opens_no_envelope() {
    let world = World::new(code(), true);
    let enclave = world.enclave(1, &[]);
    let old = Body::Envelope(envelope(&world, 10, 0, EPOCH - 2, "a"));
    let transactions = vec![
        secret(&world, 10, 0, "a"),
        transaction(&world, 10, 0, old),
        transaction(&world, 10, 0, Body::Call(call("a"))),
        transaction(&world, 10, 0, Body::Envelope(envelope(&world, 10, 0, EPOCH + 1, "a"))),
        transaction(&world, 10, 0, Body::Envelope(envelope(&world, 10, 0, EPOCH + 2, "a"))),
    ];
    let bytes = enclave.bytes(Call::Check(pb::Check { transactions }));
    let results: pb::CheckResults = paralith_proto::Message::decode(bytes.as_slice()).unwrap();
    let results: Vec<Output> = Wire::from_pb(results.results).unwrap();
    assert_eq!(results[0], Output::Ok(vec![]));
    assert_eq!(error_of(&results[1]), ("envelope".to_string(), 1));
    assert_eq!(error_of(&results[2]), ("paratime".to_string(), 7));
    assert_eq!(error_of(&results[3]), ("envelope".to_string(), 5), "the next epoch");
    assert_eq!(error_of(&results[4]), ("envelope".to_string(), 1));
}

#[test]
fn a_public_runtime_needs_no_keys_and_hides_nothing() {
    let mut world = World::new(code(), false);
    let enclave = world.enclave_with(1, |_| {});
    let batch = [transaction(&world, 10, 0, Body::Call(call("a")))];
    let executed = world.round(&enclave, &batch);
    assert!(executed.rak_signature.is_empty());
    let keys: Vec<&[u8]> = executed.changes.iter().map(|change| change.key.as_slice()).collect();
    assert_eq!(keys, [b"n".as_slice(), b"x", b"\xffcode"]);
    let released = enclave.release(1, &executed).unwrap();
    assert_eq!(released.outputs[0].output, executed.outputs[0].sealed);
    let output = Output::decode(&released.outputs[0].output, 1000).unwrap();
    assert!(matches!(output, Output::Ok(_)));
}
