//! The solo engine as it runs.

use std::time::Duration;

use paralith_consensus_abci::Application;
use paralith_consensus_engine::{Engine, EngineError, SoloEngine, SoloOptions, system_clock};
use paralith_genesis::Document;
use paralith_storage::Kv;
use paralith_types::Height;

use crate::network::{consensus_keys, document, light_client, transfer};

fn options(document: &Document, kv: &Kv, interval: Duration) -> SoloOptions {
    SoloOptions {
        document: document.clone(),
        kv: kv.clone(),
        home: None,
        keys: consensus_keys(1),
        empty_block_interval: interval,
        max_block_bytes: 1 << 20,
        clock: system_clock(),
    }
}

const NEVER: Duration = Duration::from_secs(100_000);

#[tokio::test]
async fn a_transaction_makes_a_block_and_the_next_block_proves_it() {
    let document = document(1);
    let kv = Kv::memory();
    let application = Application::open(kv.clone()).unwrap();
    let mut blocks = application.subscribe();
    let engine: Box<dyn Engine> =
        Box::new(SoloEngine::start(&application, options(&document, &kv, NEVER)).await.unwrap());
    for nonce in 0..20 {
        let outcome = engine.submit(transfer(&document, nonce)).await.unwrap();
        assert_eq!(outcome.code, 0, "{}", outcome.message);
    }
    let (mut seen, mut newest) = (0, Height(0));
    while seen < 20 {
        let block = blocks.recv().await.unwrap();
        assert!(block.txs.iter().all(|(_, outcome)| outcome.code == 0));
        seen += block.txs.len();
        newest = block.height;
    }
    let proof = loop {
        let block = blocks.recv().await.unwrap();
        if block.height > newest {
            break block;
        }
    };
    assert!(proof.txs.is_empty());
    let first = engine.light_block(Some(Height(1))).await.unwrap();
    let mut client = light_client(&document, &first);
    client.update(&engine.light_block(Some(newest.next())).await.unwrap()).unwrap();
    let proven = engine.query(Some(newest), b"nothing").unwrap();
    assert_eq!((proven.height, proven.value.as_deref()), (newest, None));
    client.verify_state(newest, b"nothing", None, &proven.proof).unwrap();
    let duplicate = engine.submit(transfer(&document, 19)).await.unwrap();
    assert_ne!(duplicate.code, 0);
    engine.shutdown().await.unwrap();
    assert!(matches!(engine.submit(Vec::new()).await, Err(EngineError::Stopped)));
}

#[tokio::test]
async fn the_chain_does_not_stop_when_nobody_sends() {
    let document = document(1);
    let kv = Kv::memory();
    let application = Application::open(kv.clone()).unwrap();
    let mut blocks = application.subscribe();
    let interval = Duration::from_millis(5);
    let engine = SoloEngine::start(&application, options(&document, &kv, interval)).await.unwrap();
    for height in 1..=12 {
        assert_eq!(blocks.recv().await.unwrap().height, Height(height));
    }
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn in_a_hurry_blocks_follow_without_pause() {
    let document = document(1);
    let kv = Kv::memory();
    let application = Application::open(kv.clone()).unwrap();
    let mut blocks = application.subscribe();
    let engine = SoloEngine::start(&application, options(&document, &kv, NEVER)).await.unwrap();
    engine.set_hurry(true);
    for height in 1..=20 {
        assert_eq!(blocks.recv().await.unwrap().height, Height(height));
    }
    engine.set_hurry(false);
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn two_engines_do_not_share_a_home() {
    let folder = tempfile::tempdir().unwrap();
    let document = document(1);
    let start = |kv: Kv| {
        let mut options = options(&document, &kv, NEVER);
        options.home = Some(folder.path().to_path_buf());
        async move { SoloEngine::start(&Application::open(kv).unwrap(), options).await }
    };
    let first = start(Kv::memory()).await.unwrap();
    assert!(matches!(start(Kv::memory()).await, Err(EngineError::Locked { .. })));
    first.shutdown().await.unwrap();
    start(Kv::memory()).await.unwrap().shutdown().await.unwrap();
}
