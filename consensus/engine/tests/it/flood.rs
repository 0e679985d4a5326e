//! Blocks while strangers submit transactions that are refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use paralith_consensus_abci::Application;
use paralith_consensus_engine::Chain;
use paralith_storage::Kv;

use crate::network::{at, consensus_keys, document, transfer};

const CALLERS: u64 = 64;
const SUBMISSIONS: u64 = 50;

/// Counted, not timed: how many blocks are made while a fixed number of checks run.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_flood_of_invalid_submissions_does_not_starve_blocks() {
    let document = document(1);
    let kv = Kv::memory();
    let application = Application::open(kv.clone()).unwrap();
    let keys = consensus_keys(1);
    let mut chain = Chain::open(&application, kv, &document, keys, 1 << 20).await.unwrap();
    chain.make_block(at(1)).await.unwrap();

    // Fine but for its signature: the dearest refusal there is.
    let mut forged = transfer(&document, 0);
    let last = forged.len() - 1;
    forged[last] ^= 1;
    let answered = Arc::new(AtomicU64::new(0));
    for _ in 0..CALLERS {
        let (application, answered, forged) =
            (application.clone(), Arc::clone(&answered), forged.clone());
        tokio::spawn(async move {
            for _ in 0..SUBMISSIONS {
                let outcome = application.submit(forged.clone()).await;
                assert_eq!((outcome.module.as_str(), outcome.code), ("consensus", 8));
                answered.fetch_add(1, Ordering::SeqCst);
            }
        });
    }
    let mut height = 1;
    let mut between = Vec::new();
    while answered.load(Ordering::SeqCst) < CALLERS * SUBMISSIONS {
        let before = answered.load(Ordering::SeqCst);
        height += 1;
        chain.make_block(at(height)).await.unwrap();
        between.push(answered.load(Ordering::SeqCst) - before);
    }
    between.sort_unstable();
    let median = between[between.len() / 2];
    println!("{} blocks during the flood, {median} checks during the median block", between.len());
    assert!(between.len() > 10, "{} blocks during the flood: {between:?}", between.len());
    assert_eq!(application.pool_len(), 0);
}
