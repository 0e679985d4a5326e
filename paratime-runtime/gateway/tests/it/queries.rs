//! Questions, and receipts of earlier transactions.

use paralith_proto::pb::host::v1::Answer;
use paralith_runtime_api::query::Query;
use paralith_runtime_api::tx::{Body, Call};
use paralith_runtime_gateway::GatewayError;
use paralith_runtime_worker::{LinkError, WorkerError};
use paralith_types::Round;

use crate::fakes::{CHAIN, RUNTIME, World, id, transaction};

fn query() -> Query {
    let call = Call { method: "get".into(), args: Vec::new() };
    Query { chain_context: CHAIN, runtime_id: RUNTIME, body: Body::Call(call), signed: None }
}

fn at(round: u64) -> Result<Answer, LinkError> {
    Ok(Answer { round, output: vec![round as u8], ..Answer::default() })
}

#[tokio::test(start_paused = true)]
async fn an_answer_from_before_the_newest_state_is_not_given() {
    let world = World::new();
    let not_ready = || Err(LinkError::Refused(WorkerError::NotReady.refusal()));
    world.script(|script| {
        script.queries.insert(id(3), [at(9)].into());
        script.queries.insert(id(1), [not_ready()].into());
        script.queries.insert(id(2), [at(10)].into());
    });
    assert_eq!(world.gateway.query(&query()).await.unwrap().round, 10);
    assert_eq!(world.script(|script| script.queried.clone()), [3, 1, 2].map(id));
}

#[tokio::test(start_paused = true)]
async fn members_that_are_behind_are_asked_again_with_the_next_block() {
    let world = World::new();
    world.script(|script| {
        script.queries.insert(id(3), [at(9), at(9), at(10)].into());
    });
    let gateway = world.gateway.clone();
    let asking = paralith_rt::spawn(async move { gateway.query(&query()).await });
    world.chain.blocks(3).await;
    assert_eq!(asking.await.unwrap().unwrap().round, 10);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_the_question_itself_is_not_repeated() {
    let world = World::new();
    let refused = paralith_types::Error::new("enclave", 3, "the signature is not valid");
    world.script(|script| {
        for member in 1..=3 {
            let answers = [Err(LinkError::Refused(refused.clone()))].into();
            script.queries.insert(id(member), answers);
        }
    });
    assert_eq!(world.gateway.query(&query()).await, Err(GatewayError::Member(refused)));
    assert_eq!(world.script(|script| script.queried.len()), 3);
}

#[tokio::test(start_paused = true)]
async fn a_receipt_needs_the_round_that_a_member_names() {
    let world = World::new();
    let hash = transaction(0).1;
    world.finalise(11, &[hash], &[2], true);
    // Two members name rounds that do not have it, or do not exist.
    world.script(|script| {
        script.found.insert(id(3), 10);
        script.found.insert(id(1), 99);
        script.found.insert(id(2), 11);
    });
    let receipt = world.gateway.receipt(&RUNTIME, &hash).await.unwrap();
    assert_eq!(receipt.round, 11);
    let other = world.gateway.receipt(&RUNTIME, &transaction(1).1).await;
    assert_eq!(other, Err(GatewayError::NoReceipt));
    let missing = world.gateway.round(&RUNTIME, Round(99)).await.unwrap_err();
    assert_eq!(missing, GatewayError::NoRound { round: Round(99) });
}
