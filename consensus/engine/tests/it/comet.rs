//! A real CometBFT. Without its program these tests say so and do nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use paralith_consensus_abci::{Application, BlockEvent};
use paralith_consensus_api::event::Event;
use paralith_consensus_api::tx::hash_of;
use paralith_consensus_engine::headers::{HeaderInput, consensus_hash, result_bytes};
use paralith_consensus_engine::{CometEngine, CometOptions, Engine, find_binary, write_home};
use paralith_storage::Kv;
use paralith_types::Height;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::network::{document, light_client, transfer, validator_key};

/// More than any of these steps takes, on any machine.
const LIMIT: Duration = Duration::from_secs(120);

fn available(test: &str) -> bool {
    let found = find_binary().is_ok();
    if !found {
        println!("SKIPPED {test}: no cometbft binary (set COMETBFT or run make setup)");
    }
    found
}

fn options(home: &std::path::Path) -> CometOptions {
    CometOptions::local(document(1), home.join("c"), validator_key(0))
}

async fn next(
    blocks: &mut tokio::sync::broadcast::Receiver<std::sync::Arc<BlockEvent>>,
) -> BlockEvent {
    let block = tokio::time::timeout(LIMIT, blocks.recv()).await;
    (*block.expect("a block in time").unwrap()).clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cometbft_is_killed_and_the_chain_goes_on() {
    if !available("cometbft_is_killed_and_the_chain_goes_on") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let document = document(1);
    let application = Application::open(Kv::memory()).unwrap();
    let mut blocks = application.subscribe();
    let engine = CometEngine::start(&application, options(folder.path())).await.unwrap();
    let mut done = 0;
    for nonce in 0..20 {
        let outcome = engine.submit(transfer(&document, nonce)).await.unwrap();
        assert_eq!(outcome.code, 0, "{}", outcome.message);
    }
    let mut height = Height(0);
    let mut seen = BTreeMap::new();
    while done < 20 {
        let block = next(&mut blocks).await;
        seen.insert(block.height, block.clone());
        assert_eq!(block.height, height.next());
        height = block.height;
        assert!(block.txs.iter().all(|(_, outcome)| outcome.code == 0), "{block:?}");
        done += block.txs.len();
    }
    let before = engine.pid();
    assert!(before > 1);
    let pid = rustix::process::Pid::from_raw(before).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();

    // It comes back, nothing is lost, nothing is done twice.
    for nonce in 20..40 {
        let outcome = engine.submit(transfer(&document, nonce)).await.unwrap();
        assert_eq!(outcome.code, 0, "{}", outcome.message);
    }
    while done < 40 {
        let block = next(&mut blocks).await;
        seen.insert(block.height, block.clone());
        assert_eq!(block.height, height.next(), "no block is missing and none comes twice");
        height = block.height;
        assert!(block.txs.iter().all(|(_, outcome)| outcome.code == 0), "{block:?}");
        done += block.txs.len();
    }
    assert_ne!(engine.pid(), before);
    assert_eq!(engine.status().restarts, 1);

    while height < Height(12) {
        let block = next(&mut blocks).await;
        height = block.height;
        seen.insert(height, block);
    }
    // The header of the newest block may not be asked for before CometBFT has stored it.
    let first = engine.light_block(Some(Height(1))).await.unwrap();
    let mut client = light_client(&document, &first);
    for height in 1..=10 {
        client.update(&engine.light_block(Some(Height(height))).await.unwrap()).unwrap();
    }
    let transactions: Vec<Vec<u8>> = (0..40).map(|nonce| transfer(&document, nonce)).collect();
    for height in 2..=10 {
        headers_are_made_alike(&engine, &seen, &transactions, Height(height)).await;
    }
    let proven = engine.query(Some(Height(9)), b"nothing").unwrap();
    client.verify_state(Height(9), b"nothing", None, &proven.proof).unwrap();
    events_are_kept(&engine, &application);
    engine.shutdown().await.unwrap();
    assert!(!folder.path().join("c/abci.sock").exists());
}

/// What the solo engine would have written in place of CometBFT is what CometBFT has written.
async fn headers_are_made_alike(
    engine: &CometEngine,
    seen: &BTreeMap<Height, BlockEvent>,
    transactions: &[Vec<u8>],
    height: Height,
) {
    let block = engine.light_block(Some(height)).await.unwrap();
    let last = engine.light_block(Some(height.minus(1))).await.unwrap();
    let header = &block.signed_header().header;
    let txs: Vec<Vec<u8>> = seen[&height]
        .txs
        .iter()
        .map(|(hash, _)| transactions.iter().find(|raw| hash_of(raw) == *hash).unwrap().clone())
        .collect();
    let gas = |gas: u64| i64::try_from(gas).unwrap();
    let results: Vec<Vec<u8>> = seen[&height.minus(1)]
        .txs
        .iter()
        .map(|(_, tx)| result_bytes(tx.code, &[], gas(tx.gas_limit), gas(tx.gas_used)))
        .collect();
    let commit = &last.signed_header().commit;
    let ours = HeaderInput {
        chain_id: header.chain_id.clone(),
        height: header.height,
        time: header.time,
        last: Some((commit.block_id, commit)),
        txs: &txs,
        last_results: &results,
        validators: block.validators(),
        next_validators: block.next_validators(),
        consensus_hash: consensus_hash(4 * 1024 * 1024, -1),
        app_hash: header.app_hash.clone(),
        app_version: paralith_consensus_abci::APP_VERSION,
        proposer: header.proposer_address,
    }
    .header();
    assert_eq!(ours, *header);
    assert_eq!(block.app_hash().unwrap(), seen[&height.minus(1)].app_hash);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cometbft_that_was_left_behind_is_ended_first() {
    if !available("a_cometbft_that_was_left_behind_is_ended_first") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path());
    write_home(&options).unwrap();
    // Its node was killed: nobody answers on the application's socket, and it keeps trying.
    let mut orphan = std::process::Command::new(find_binary().unwrap())
        .args(["start", "--home"])
        .arg(&options.home)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    std::fs::write(options.home.join("cometbft.pid"), orphan.id().to_string()).unwrap();
    let application = Application::open(Kv::memory()).unwrap();
    let mut blocks = application.subscribe();
    let engine = CometEngine::start(&application, options).await.unwrap();
    assert!(orphan.try_wait().unwrap().is_some(), "it has ended");
    assert_eq!(next(&mut blocks).await.height, Height(1));
    // Ended while it made its databases, it may have left them unreadable: that is repaired, too.
    assert!(engine.status().restarts <= 1);
    engine.shutdown().await.unwrap();
}

#[test]
fn the_signing_state_is_never_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path());
    write_home(&options).unwrap();
    let state = options.home.join("data/priv_validator_state.json");
    let fresh: serde_json::Value = serde_json::from_slice(&std::fs::read(&state).unwrap()).unwrap();
    assert_eq!(fresh, serde_json::json!({ "height": "0", "round": 0, "step": 0 }));
    std::fs::write(&state, "signed").unwrap();
    write_home(&options).unwrap();
    assert_eq!(std::fs::read_to_string(&state).unwrap(), "signed");
}

fn events_are_kept(engine: &CometEngine, application: &Application) {
    let newest = application.info().height;
    let all: Vec<Event> =
        (1..=newest.0).flat_map(|h| engine.events(Height(h)).unwrap().unwrap()).collect();
    let transfers = all.iter().filter(|event| event.kind == "staking.Transferred").count();
    assert!(transfers >= 40, "{transfers}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_on_the_socket_are_turned_away() {
    if !available("strangers_on_the_socket_are_turned_away") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let application = Application::open(Kv::memory()).unwrap();
    let mut blocks = application.subscribe();
    let options = options(folder.path());
    let socket = options.abci_socket.clone();
    let engine = CometEngine::start(&application, options).await.unwrap();
    for _ in 0..8 {
        // This test's process is not CometBFT.
        let mut stream = tokio::net::UnixStream::connect(&socket).await.unwrap();
        let _ = stream.write_all(&[0xff; 4096]).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        assert!(answer.is_empty());
    }
    let height = next(&mut blocks).await.height;
    while next(&mut blocks).await.height < height.plus(3) {}
    assert_eq!(engine.status().restarts, 0);
    engine.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_starts_again_where_it_was() {
    if !available("a_node_starts_again_where_it_was") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let document = document(1);
    let kv = Kv::memory();
    let mut stood_at = Height(0);
    for nonce in 0..2 {
        let application = Application::open(kv.clone()).unwrap();
        assert_eq!(application.info().height, stood_at);
        let mut blocks = application.subscribe();
        let engine = CometEngine::start(&application, options(folder.path())).await.unwrap();
        assert_eq!(engine.submit(transfer(&document, nonce)).await.unwrap().code, 0);
        while next(&mut blocks).await.txs.is_empty() {}
        engine.shutdown().await.unwrap();
        stood_at = application.info().height;
    }
}
