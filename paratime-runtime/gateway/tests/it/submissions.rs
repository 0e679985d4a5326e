//! From a submission to its receipt.

use paralith_proto::pb::paratime::v1::Confirmation;
use paralith_runtime_gateway::GatewayError;
use paralith_runtime_worker::{LinkError, WorkerError};
use paralith_types::{Error, Retry};

use crate::fakes::{World, id, transaction};

fn refusal(error: &WorkerError) -> Error {
    error.refusal()
}

fn gone() -> LinkError {
    LinkError::Unreachable("gone".into())
}

#[tokio::test(start_paused = true)]
async fn the_first_member_that_takes_it_is_enough() {
    // This node is member 3: it is asked first. Member 2 is worker and backup, and asked once.
    for (desc, third, first, second, asked, outcome) in [
        ("this node takes it", Ok(Ok(())), Err(gone()), Err(gone()), vec![3], None),
        ("the next is asked", Err(gone()), Ok(Ok(())), Err(gone()), vec![3, 1], None),
        (
            "one that is not ready is passed over",
            Ok(Err(refusal(&WorkerError::NotReady))),
            Err(gone()),
            Ok(Ok(())),
            vec![3, 1, 2],
            None,
        ),
        (
            "it waits there already",
            Ok(Err(Error::new("worker", WorkerError::DUPLICATE, "it waits"))),
            Err(gone()),
            Err(gone()),
            vec![3],
            None,
        ),
        (
            "a refusal of the transaction is final",
            Ok(Err(Error::new("tokens", 3, "no funds"))),
            Ok(Ok(())),
            Ok(Ok(())),
            vec![3],
            Some(("tokens", 3)),
        ),
        (
            "so is one that names another nonce",
            Ok(Err(Error::new("sdk", 9, "nonce").with_retry(Retry::NonceIs { nonce: 4 }))),
            Ok(Ok(())),
            Ok(Ok(())),
            vec![3],
            Some(("sdk", 9)),
        ),
    ] {
        let world = World::new();
        world.submits(3, vec![third]);
        world.submits(1, vec![first]);
        world.submits(2, vec![second]);
        let (mut receipts, task) = world.submit(transaction(0).0, Confirmation::Accepted);
        let result = task.await.unwrap();
        let identity = result.err().map(|error| (error.refusal().module, error.refusal().code));
        assert_eq!(identity, outcome.map(|(module, code): (&str, u32)| (module.into(), code)));
        assert_eq!(receipts.recv().await.is_some(), outcome.is_none(), "{desc}");
        let asked: Vec<_> = asked.into_iter().map(id).collect();
        assert_eq!(world.script(|script| script.asked.clone()), asked, "{desc}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_transaction_is_final_with_the_receipt_of_its_round() {
    let world = World::new();
    world.submits(3, vec![Ok(Ok(()))]);
    let (raw, hash) = transaction(0);
    let (mut receipts, task) = world.submit(raw, Confirmation::Final);
    let accepted = receipts.recv().await.unwrap();
    assert_eq!(accepted.confirmation(), Confirmation::Accepted);
    world.finalise(11, &[transaction(7).1], &[1], true);
    world.chain.blocks(1).await;
    world.finalise(12, &[hash, transaction(8).1], &[2], true);
    world.chain.blocks(1).await;
    let receipt = receipts.recv().await.unwrap();
    assert_eq!((receipt.confirmation(), receipt.round), (Confirmation::Final, 12));
    assert_eq!(receipt.tx_hash, hash.as_bytes());
    task.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_round_that_nobody_opens_holds_up_only_its_own_transactions() {
    let world = World::new();
    world.submits(3, vec![Ok(Ok(()))]);
    let ((raw, hash), (closed, closed_hash)) = (transaction(0), transaction(1));
    let (mut receipts, _task) = world.submit(raw, Confirmation::Final);
    let (mut late, _late) = world.submit(closed, Confirmation::Final);
    assert!(receipts.recv().await.is_some() && late.recv().await.is_some());
    world.finalise(11, &[closed_hash], &[1, 2], false);
    world.chain.blocks(1).await;
    world.finalise(12, &[hash], &[1], true);
    world.chain.blocks(1).await;
    assert_eq!(receipts.recv().await.unwrap().round, 12);
    assert!(late.try_recv().is_err());
    world.give(11, &[closed_hash], &[2], true);
    world.chain.blocks(1).await;
    assert_eq!(late.recv().await.unwrap().round, 11);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_not_final_after_some_blocks_is_submitted_to_another_member_first() {
    let world = World::new();
    for member in 1..=3 {
        world.submits(member, vec![Ok(Ok(()))]);
    }
    let (mut receipts, _task) = world.submit(transaction(0).0, Confirmation::Final);
    assert!(receipts.recv().await.is_some());
    world.chain.blocks(60).await;
    let asked = world.script(|script| script.asked.clone());
    assert_eq!(asked, [3, 1, 2, 3].map(id));
}

#[tokio::test(start_paused = true)]
async fn a_resubmission_that_was_final_before_gives_its_receipt() {
    let world = World::new();
    let (raw, hash) = transaction(0);
    // It became final in round 9, before it was submitted to members that did not know that yet.
    world.finalise(9, &[hash], &[1], true);
    world.last_round(crate::fakes::header(
        10,
        paralith_consensus_api::roothash::HeaderType::Normal,
        &[],
    ));
    world.submits(3, vec![Ok(Ok(()))]);
    world.submits(1, vec![Ok(Err(refusal(&WorkerError::AlreadyFinal { round: 9 })))]);
    let (mut receipts, task) = world.submit(raw, Confirmation::Final);
    assert!(receipts.recv().await.is_some());
    world.chain.blocks(20).await;
    assert_eq!(receipts.recv().await.unwrap().round, 9);
    task.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_member_that_lies_about_an_earlier_round_is_not_believed() {
    let world = World::new();
    for member in 1..=3 {
        world.submits(
            member,
            vec![Ok(Ok(())), Ok(Err(refusal(&WorkerError::AlreadyFinal { round: 5 })))],
        );
    }
    let (mut receipts, task) = world.submit(transaction(0).0, Confirmation::Final);
    assert!(receipts.recv().await.is_some());
    world.chain.blocks(100).await;
    assert!(receipts.try_recv().is_err() && !task.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_transaction_is_given_up_when_it_is_refused_twice_in_a_row() {
    let world = World::new();
    let over = || Ok(Err(Error::new("envelope", 1, "its epoch is over")));
    world.submits(3, vec![Ok(Ok(())), over()]);
    world.submits(1, vec![over(), Ok(Ok(())), over(), over()]);
    world.submits(2, vec![over()]);
    let (mut receipts, task) = world.submit(transaction(0).0, Confirmation::Final);
    assert!(receipts.recv().await.is_some());
    // Refused by member 1, and by member 2: over.
    world.chain.blocks(39).await;
    assert!(!task.is_finished(), "one refusal may come from a member that applies its round");
    world.chain.blocks(1).await;
    let error = task.await.unwrap().unwrap_err();
    assert_eq!((error.refusal().module.as_str(), error.refusal().code), ("envelope", 1));
}

#[tokio::test(start_paused = true)]
async fn a_submission_ends_with_its_reader() {
    let world = World::new();
    world.submits(3, vec![Ok(Ok(()))]);
    let (mut receipts, task) = world.submit(transaction(0).0, Confirmation::Final);
    assert!(receipts.recv().await.is_some());
    drop(receipts);
    assert_eq!(task.await.unwrap(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn bytes_that_are_no_transaction_are_refused_without_asking_anybody() {
    let world = World::new();
    for raw in [vec![], vec![0xff; 40], vec![0; paralith_runtime_gateway::MAX_TX_BYTES + 1]] {
        let (_receipts, task) = world.submit(raw, Confirmation::Final);
        let error = task.await.unwrap().unwrap_err();
        assert!(matches!(error, GatewayError::Transaction(_)), "{error}");
    }
    assert!(world.script(|script| script.asked.is_empty()));
}
