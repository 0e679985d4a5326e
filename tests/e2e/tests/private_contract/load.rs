//! Contracts with long queues beside others.

use futures::future::join_all;
use paralith_private_contract_messages::{OpenBatch, Terms, TransactionStatus, keys as places};
use serde_json::json;

use crate::net::on_network;
use crate::session::{call, counter};

/// Of each sender: the queue takes 16.
const EACH: usize = 16;

#[test]
fn test_15_a_full_queue_whose_batches_expire_delays_no_other_contract() {
    // A slice: a thousand transactions and a thousand deadlines are in the mediator's own tests.
    on_network(async |it| {
        let short = |terms: &mut Terms| {
            (terms.fetch_blocks, terms.vote_blocks, terms.max_batch) = (1, 8, 1);
        };
        let busy = it.contract("2 of (a, b, c)", counter(), short).await;
        let other = it.contract("2 of (a, b, c)", counter(), |_| {}).await;
        let add = call("add", &json!({ "amount": 1 }));
        let mut senders = Vec::new();
        for name in ["alice", "bob", "carol", "dave"] {
            senders.push(it.sender(name, &busy, None).await);
        }
        // Nobody has their contents: each takes a batch of its own until the time to fetch is over.
        let add = &add;
        let sent = join_all(senders.iter_mut().map(async |sender| {
            let mut last = 0;
            for _ in 0..EACH {
                last = sender.send(add).await.unwrap().seq;
            }
            last
        }));
        let last = sent.await.into_iter().max().unwrap();
        assert_eq!(last, 64);
        for _ in 0..3 {
            let tx = it.seal(&other, add, &[0, 1]).await;
            let seq = it.submit(&other, &tx, 0).await.unwrap();
            let opened = it.client.record::<OpenBatch>(places::open_batch(&other.id)).await;
            let deadline = opened.unwrap().map(|open| open.deadline);
            assert_eq!(it.fini(&other.id, seq).await.status, TransactionStatus::Yes);
            let height = it.height().await;
            assert!(deadline.is_none_or(|deadline| height <= deadline), "{height} > {deadline:?}");
        }
        // The busy one goes on, in order.
        let record = it.client.contract(&busy.id).await.unwrap();
        assert!(record.head > 1 && record.head <= last, "{}", record.head);
        let first = it.fini(&busy.id, 1).await;
        assert_eq!(first.status, TransactionStatus::Expired);
    });
}
