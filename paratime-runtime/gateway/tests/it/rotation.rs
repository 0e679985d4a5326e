//! An epoch begins: another committee, without keys at first, and envelopes of the epoch before.

use paralith_consensus_api::{registry, scheduler};
use paralith_proto::pb::paratime::v1::Confirmation;
use paralith_runtime_gateway::GatewayError;
use paralith_runtime_worker::{EnclaveError, WorkerError};
use paralith_types::Error;

use crate::fakes::{RUNTIME, World, id, transaction};

/// What an enclave says that has no keys of the epoch yet.
fn no_keys() -> Error {
    let message = "no keys of epoch 2 yet".to_string();
    WorkerError::Enclave(EnclaveError { module: "enclave".into(), code: 7, message }).refusal()
}

#[tokio::test(start_paused = true)]
async fn a_new_committee_is_asked_again_until_it_has_its_keys() {
    let world = World::new();
    for member in 1..=3 {
        world.submits(member, vec![Ok(Err(no_keys())); 3]);
    }
    let (mut receipts, task) = world.submit(transaction(0).0, Confirmation::Accepted);
    world.chain.blocks(2).await;
    assert!(!task.is_finished());
    world.submits(1, vec![Ok(Ok(()))]);
    world.chain.blocks(1).await;
    assert!(receipts.recv().await.is_some());
    task.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_budget_ends_and_the_refusal_says_that_it_may_pass() {
    let world = World::new();
    for member in 1..=3 {
        world.submits(member, vec![Ok(Err(no_keys()))]);
    }
    let (_receipts, task) = world.submit(transaction(0).0, Confirmation::Accepted);
    let error = task.await.unwrap().unwrap_err();
    assert!(error.retry().is_retryable(), "{error}");
    assert_eq!(error.refusal(), no_keys());
}

#[tokio::test(start_paused = true)]
async fn an_envelope_of_an_epoch_that_is_over_is_refused_at_once() {
    let world = World::new();
    let over = Error::new("envelope", 1, "sealed for epoch 1, this is epoch 3: seal it again");
    world.submits(3, vec![Ok(Err(over.clone()))]);
    let (_receipts, task) = world.submit(transaction(0).0, Confirmation::Final);
    assert_eq!(task.await.unwrap(), Err(GatewayError::Member(over)));
    assert_eq!(world.script(|script| script.asked.clone()), [id(3)]);
}

#[tokio::test(start_paused = true)]
async fn the_committee_of_the_moment_is_asked() {
    let world = World::new();
    world.submits(3, vec![Ok(Err(no_keys()))]);
    world.submits(9, vec![Ok(Ok(()))]);
    let (mut receipts, task) = world.submit(transaction(0).0, Confirmation::Accepted);
    world.chain.blocks(1).await;
    world.committee(&[9], &[]);
    world.chain.blocks(1).await;
    assert!(receipts.recv().await.is_some());
    task.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn without_a_committee_a_user_learns_that_it_may_come_back() {
    let world = World::new();
    world.chain.remove(&scheduler::keys::committee(&RUNTIME));
    let error = world.gateway.members(&RUNTIME).await.unwrap_err();
    assert!(error.retry().is_retryable() && matches!(error, GatewayError::NoCommittee { .. }));
    world.chain.remove(&registry::keys::runtime(&RUNTIME));
    let error = world.gateway.members(&RUNTIME).await.unwrap_err();
    assert!(!error.retry().is_retryable() && matches!(error, GatewayError::NoParaTime { .. }));
}
