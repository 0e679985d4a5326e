//! The solo chain, step by step.

use paralith_consensus_abci::Application;
use paralith_consensus_api::consensus::keys;
use paralith_consensus_engine::{Chain, EngineError};
use paralith_consensus_light::LightBlock;
use paralith_genesis::Document;
use paralith_storage::Kv;
use paralith_types::{Hash, Height};

use crate::network::{at, consensus_keys, document, light_client, stake_on, transfer};

const MAX_BYTES: i64 = 1 << 20;

async fn open(kv: &Kv, document: &Document, validators: u8) -> (Application, Chain) {
    let application = Application::open(kv.clone()).unwrap();
    let keys = consensus_keys(validators);
    let chain = Chain::open(&application, kv.clone(), document, keys, MAX_BYTES).await.unwrap();
    (application, chain)
}

fn powers(block: &LightBlock) -> Vec<u64> {
    block.validators().validators().iter().map(|v| v.power.value()).collect()
}

#[tokio::test]
async fn a_light_client_follows_the_chain_through_a_change_of_validators() {
    let document = document(2);
    let kv = Kv::memory();
    let (application, mut chain) = open(&kv, &document, 2).await;
    assert_eq!(application.submit(stake_on(&document, 0, 1, 160_000)).await.code, 0);
    let mut blocks = Vec::new();
    for height in 1..=15 {
        chain.make_block(at(height)).await.unwrap();
        blocks.push(chain.light_block(None).unwrap());
    }
    assert_eq!(powers(&blocks[0]), [1000, 1000]);
    assert_eq!(powers(&blocks[14]), [11_000, 1000]);
    let change = blocks.iter().position(|block| powers(block)[0] == 11_000).unwrap();
    // CometBFT's delay: the block that changes the set comes two heights before the first with it.
    let changed_by = blocks[change].height().minus(2);
    let events = application.events(changed_by).unwrap().unwrap();
    assert!(events.iter().any(|event| event.kind == "scheduler.ValidatorsElected"));

    let mut client = light_client(&document, &blocks[0]);
    for block in &blocks {
        client.update(&LightBlock::decode(&block.encode()).unwrap()).unwrap();
    }
    // Over the change in one leap: the old validators still have two thirds of their own power.
    let mut leap = light_client(&document, &blocks[0]);
    leap.update(&blocks[14]).unwrap();
    assert_eq!(leap.trusted(), client.trusted());

    // And what the client trusts is this state.
    let proven = application.query(Some(Height(14)), &keys::chain_context()).unwrap();
    let value = proven.value.as_deref();
    assert_eq!(value, Some(document.hash().unwrap().as_bytes()));
    client.verify_state(Height(14), &keys::chain_context(), value, &proven.proof).unwrap();
}

#[tokio::test]
async fn an_empty_block_leaves_the_app_hash_and_a_change_is_proven_at_once() {
    let document = document(1);
    let kv = Kv::memory();
    let (application, mut chain) = open(&kv, &document, 1).await;
    assert!(chain.needs_proof_block(), "the first block is not waited for");
    let mut roots = Vec::new();
    for height in 1..=4 {
        roots.push(chain.make_block(at(height)).await.unwrap().app_hash);
        if height >= 2 {
            assert!(!chain.needs_proof_block(), "nothing new at {height}");
        }
    }
    assert_eq!(roots[1], roots[2]);
    assert_eq!(roots[2], roots[3]);
    application.submit(transfer(&document, 0)).await;
    let block = chain.make_block(at(5)).await.unwrap();
    assert_ne!(block.app_hash, roots[3]);
    assert_eq!(block.txs, 1);
    assert!(chain.needs_proof_block());
}

/// What a chain without crashes looks like: one transfer a block, by a clock of heights.
async fn reference(document: &Document, heights: u64) -> Vec<(Hash, Hash)> {
    let kv = Kv::memory();
    let (application, mut chain) = open(&kv, document, 1).await;
    let mut found = Vec::new();
    for height in 1..=heights {
        application.submit(transfer(document, height - 1)).await;
        let app_hash = chain.make_block(at(height)).await.unwrap().app_hash;
        found.push((chain.light_block(None).unwrap().header_hash(), app_hash));
    }
    found
}

/// Makes a block and crashes after so many of its four steps.
async fn crash_after(steps: u32, chain: &mut Chain, height: u64) {
    if steps == 0 {
        return;
    }
    let proposed = chain.propose(at(height)).await.unwrap();
    if steps == 1 {
        return;
    }
    let stored = chain.store(proposed).unwrap();
    if steps == 2 {
        return;
    }
    let finalised = chain.finalise(stored).await.unwrap();
    if steps == 3 {
        return;
    }
    chain.commit(finalised).await.unwrap();
}

#[tokio::test]
async fn a_crash_at_any_step_of_any_block_changes_nothing() {
    const HEIGHTS: u64 = 6;
    let document = document(1);
    let expected = reference(&document, HEIGHTS).await;
    for crash_at in 1..=HEIGHTS {
        for steps in 0..=4 {
            let what = format!("crash at {crash_at} after {steps} steps");
            let kv = Kv::memory();
            let (mut application, mut chain) = open(&kv, &document, 1).await;
            let mut crashed = false;
            while chain.next_height().0 <= HEIGHTS {
                let height = chain.next_height().0;
                application.submit(transfer(&document, height - 1)).await;
                if height == crash_at && !crashed {
                    crashed = true;
                    crash_after(steps, &mut chain, height).await;
                    drop((application, chain));
                    (application, chain) = open(&kv, &document, 1).await;
                    continue;
                }
                chain.make_block(at(height)).await.unwrap();
            }
            for (height, (header, app_hash)) in (1..).zip(&expected) {
                let block = chain.light_block(Some(Height(height))).unwrap();
                assert_eq!(block.header_hash(), *header, "{what}: header {height}");
                if height == HEIGHTS {
                    assert_eq!(application.info().app_hash, *app_hash, "{what}");
                }
            }
        }
    }
}

#[tokio::test]
async fn an_application_that_lost_its_blocks_gets_them_again() {
    let document = document(1);
    let (engine, app) = (Kv::memory(), Kv::memory());
    let application = Application::open(app).unwrap();
    let keys = || consensus_keys(1);
    let open = |application, kv| async move {
        Chain::open(application, kv, &document_of(), keys(), MAX_BYTES).await
    };
    let mut chain = open(&application, engine.clone()).await.unwrap();
    for height in 1..=7 {
        application.submit(transfer(&document, height - 1)).await;
        chain.make_block(at(height)).await.unwrap();
    }
    let before = application.info();
    let fresh = Application::open(Kv::memory()).unwrap();
    let chain = open(&fresh, engine).await.unwrap();
    assert_eq!(fresh.info(), before);
    assert_eq!(chain.next_height(), Height(8));

    // The other way round there is nothing to be done.
    let error = open(&application, Kv::memory()).await.unwrap_err();
    assert!(matches!(error, EngineError::AppAhead { app: Height(7), store: Height(0) }));
}

fn document_of() -> Document {
    document(1)
}

#[tokio::test]
async fn no_height_is_signed_twice() {
    let document = document(1);
    let kv = Kv::memory();
    let (application, mut chain) = open(&kv, &document, 1).await;
    chain.make_block(at(1)).await.unwrap();
    let first = chain.propose(at(2)).await.unwrap();
    application.submit(transfer(&document, 0)).await;
    let second = chain.propose(at(3)).await.unwrap();
    chain.store(first).unwrap();
    let error = chain.store(second).unwrap_err();
    assert!(matches!(error, EngineError::SignedAlready { signed: Height(2), height: Height(2) }));
}

#[tokio::test]
async fn a_minority_of_the_power_makes_no_blocks() {
    let document = document(2);
    let kv = Kv::memory();
    let application = Application::open(kv.clone()).unwrap();
    let keys = consensus_keys(1);
    let mut chain = Chain::open(&application, kv, &document, keys, MAX_BYTES).await.unwrap();
    let error = chain.make_block(at(1)).await.unwrap_err();
    assert!(matches!(error, EngineError::NotEnoughPower { own: 1000, total: 2000, .. }));
}

#[tokio::test]
async fn a_store_of_another_chain_is_refused() {
    let kv = Kv::memory();
    let (application, mut chain) = open(&kv, &document(1), 1).await;
    chain.make_block(at(1)).await.unwrap();
    drop((application, chain));
    let application = Application::open(kv.clone()).unwrap();
    let keys = consensus_keys(2);
    let opened = Chain::open(&application, kv, &document(2), keys, MAX_BYTES).await;
    assert!(matches!(opened.unwrap_err(), EngineError::Genesis { .. }));
}

/// Opens a store that was just given up: the thread that checks transactions may still hold it.
async fn reopen(folder: &std::path::Path) -> Kv {
    loop {
        match Kv::open(folder, paralith_storage::KvOptions::default()) {
            Err(paralith_storage::StorageError::Locked { .. }) => tokio::task::yield_now().await,
            opened => return opened.unwrap(),
        }
    }
}

#[tokio::test]
async fn the_chain_survives_on_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let document = document(1);
    let mut expected = Hash::ZERO;
    for round in 0..4 {
        let kv = reopen(folder.path()).await;
        let (application, mut chain) = open(&kv, &document, 1).await;
        if round > 0 {
            assert_eq!(application.info().app_hash, expected);
        }
        for _ in 0..3 {
            let height = chain.next_height().0;
            application.submit(transfer(&document, height - 1)).await;
            chain.make_block(at(height)).await.unwrap();
        }
        let height = chain.next_height().0;
        application.submit(transfer(&document, height - 1)).await;
        let proposed = chain.propose(at(height)).await.unwrap();
        let stored = chain.store(proposed).unwrap();
        chain.finalise(stored).await.unwrap();
        drop((application, chain, kv));
        let kv = reopen(folder.path()).await;
        let (application, _) = open(&kv, &document, 1).await;
        assert_eq!(application.info().height, Height(height));
        expected = application.info().app_hash;
    }
}
