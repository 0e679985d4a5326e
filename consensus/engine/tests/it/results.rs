//! What blocks gave is on the disk with them: after restarts, crashes at any step, and pruning.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use paralith_consensus_abci::{Application, BlockEvent};
use paralith_consensus_api::tx::hash_of;
use paralith_consensus_engine::Chain;
use paralith_genesis::Document;
use paralith_storage::{Backend, Column, Durability, Kv, Pair, StorageError, Tree, WriteBatch};
use paralith_types::{Hash, Height, Retry};

use crate::network::{at, consensus_keys, document, transfer};

async fn open(kv: &Kv, document: &Document) -> (Application, Result<Chain, String>) {
    let application = Application::open(kv.clone()).unwrap();
    let keys = consensus_keys(1);
    let chain = Chain::open(&application, kv.clone(), document, keys, 1 << 20).await;
    (application, chain.map_err(|error| error.to_string()))
}

/// One transfer a block, and in every third block a second one that fails: it moves nothing.
async fn submit(application: &Application, document: &Document, height: u64) {
    let before = (height - 1) + (height - 1) / 3;
    application.submit(transfer(document, before)).await;
    if height.is_multiple_of(3) {
        application.submit(crate::network::overdraft(document, before + 1)).await;
    }
}

/// What blocks gave, as it is told while they are made.
async fn told(document: &Document, heights: u64) -> Vec<BlockEvent> {
    let kv = Kv::memory();
    let (application, chain) = open(&kv, document).await;
    let (mut chain, mut blocks) = (chain.unwrap(), application.subscribe());
    let mut told = Vec::new();
    for height in 1..=heights {
        submit(&application, document, height).await;
        chain.make_block(at(height)).await.unwrap();
        let mut block = BlockEvent::clone(&*blocks.recv().await.unwrap());
        for (_, outcome) in &mut block.txs {
            outcome.retry = Retry::Never;
        }
        told.push(block);
    }
    assert!(told.iter().any(|block| block.txs.iter().any(|(_, outcome)| outcome.code != 0)));
    told
}

fn assert_stored(application: &Application, told: &[BlockEvent], what: &str) {
    for block in told {
        let stored = application.results(block.height).unwrap();
        assert_eq!(stored.as_ref(), Some(block), "{what}");
        for (hash, outcome) in &block.txs {
            let found = application.transaction(hash).unwrap();
            assert_eq!(found, Some((block.height, outcome.clone())), "{what}");
        }
    }
}

#[tokio::test]
async fn results_outlive_the_process() {
    const HEIGHTS: u64 = 7;
    let document = document(1);
    let told = told(&document, HEIGHTS).await;
    let kv = Kv::memory();
    let (application, chain) = open(&kv, &document).await;
    let mut chain = chain.unwrap();
    for height in 1..=HEIGHTS {
        submit(&application, &document, height).await;
        chain.make_block(at(height)).await.unwrap();
    }
    drop((application, chain));
    let (application, _chain) = open(&kv, &document).await;
    assert_stored(&application, &told, "after a restart");
    assert_eq!(application.results_from().unwrap(), Some(Height(1)));
    assert_eq!(application.results(Height(HEIGHTS + 1)).unwrap(), None);
    assert_eq!(application.transaction(&Hash([0; 32])).unwrap(), None);
    let next = hash_of(&transfer(&document, 20));
    assert_eq!(application.transaction(&next).unwrap(), None);
}

/// A store of which the power fails after some writes: later ones fail and leave nothing.
#[derive(Debug)]
struct Failing {
    kv: Kv,
    writes_left: AtomicU64,
}

impl Backend for Failing {
    fn write(&self, batch: WriteBatch, durability: Durability) -> Result<(), StorageError> {
        let left = self
            .writes_left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        match left {
            Ok(_) => self.kv.write(batch, durability),
            Err(_) => Err(StorageError::Io { detail: "the power has failed".to_string() }),
        }
    }

    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        self.kv.get(column, key)
    }

    fn range(
        &self,
        column: Column,
        from: &[u8],
        to: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Pair>, StorageError> {
        self.kv.range(column, from, to, limit)
    }

    fn last_at_most(&self, column: Column, bound: &[u8]) -> Result<Option<Pair>, StorageError> {
        self.kv.last(column, b"", bound)
    }
}

#[tokio::test]
async fn a_crash_between_any_two_writes_loses_no_results_of_a_committed_block() {
    const HEIGHTS: u64 = 4;
    let document = document(1);
    let told = told(&document, HEIGHTS).await;
    let mut completed = false;
    for writes in 0.. {
        let kv = Kv::memory();
        let failing = Failing { kv: kv.clone(), writes_left: AtomicU64::new(writes) };
        let (application, chain) = open(&Kv::new(Arc::new(failing)), &document).await;
        if let Ok(mut chain) = chain {
            completed = true;
            for height in 1..=HEIGHTS {
                submit(&application, &document, height).await;
                completed &= chain.make_block(at(height)).await.is_ok();
                if !completed {
                    break;
                }
            }
        }
        let what = format!("the power failed after {writes} writes");
        drop(application);
        // What is committed on the disk has its results, before and after the chain goes on.
        let found = Application::open(kv.clone()).unwrap();
        let committed = usize::try_from(found.info().height.0).unwrap();
        assert_stored(&found, &told[..committed], &what);
        assert_eq!(found.results(Height(found.info().height.0 + 1)).unwrap(), None, "{what}");
        drop(found);
        let (application, chain) = open(&kv, &document).await;
        let mut chain = chain.unwrap();
        while chain.next_height().0 <= HEIGHTS {
            let height = chain.next_height().0;
            submit(&application, &document, height).await;
            chain.make_block(at(height)).await.unwrap();
        }
        assert_stored(&application, &told, &what);
        if completed {
            break;
        }
    }
}

#[tokio::test]
async fn results_go_when_the_state_of_their_block_goes() {
    let document = document(1);
    let told = told(&document, 30).await;
    let kv = Kv::memory();
    let (application, chain) = open(&kv, &document).await;
    let mut chain = chain.unwrap();
    for height in 1..=29 {
        submit(&application, &document, height).await;
        chain.make_block(at(height)).await.unwrap();
    }
    Tree::new(kv.clone(), b"consensus").prune(27).unwrap();
    // At once, whatever is still on the disk.
    assert_eq!(application.results(Height(26)).unwrap(), None);
    assert_eq!(application.transaction(&told[25].txs[0].0).unwrap(), None);
    assert_eq!(application.results_from().unwrap(), Some(Height(27)));
    assert_stored(&application, &told[26..29], "kept");
    // And from the disk with the next blocks.
    submit(&application, &document, 30).await;
    for height in 30..=32 {
        chain.make_block(at(height)).await.unwrap();
    }
    let left: Vec<String> = kv
        .range(Column::Blocks, b"app/", Some(b"app0"), usize::MAX)
        .unwrap()
        .into_iter()
        .map(|(key, _)| String::from_utf8_lossy(&key[..key.len().min(12)]).into_owned())
        .collect();
    let of = |kind: &str| left.iter().filter(|key| key.starts_with(kind)).count();
    assert_eq!(of("app/results/"), 6);
    assert_eq!(of("app/tx/"), told[26..].iter().map(|block| block.txs.len()).sum::<usize>());
    assert!(of("app/events/") <= 6);
    assert_stored(&application, &told[26..], "after further blocks");
}
