//! `paralith dev`: a chain in one command.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::time::Duration;

use e2e::{Client, Dev, DevOptions, Process, address, claim, scratch};
use paralith_consensus_light::LightBlock;
use paralith_proto::pb::consensus::v1::GetLightBlockRequest;
use paralith_proto::pb::consensus::v1::consensus_service_client::ConsensusServiceClient;
use serde_json::json;

#[test]
fn dev_once_shows_one_confidential_transaction_and_leaves_nothing_behind() {
    let folder = scratch();
    let (log, temporary) = (folder.path().join("log"), folder.path().join("temporary"));
    std::fs::create_dir(&temporary).unwrap();
    let lines = claim(async {
        let args = ["dev", "--once", "--json"].map(String::from);
        let mut process = Process::start(&args, &log, Some(&temporary));
        assert!(process.wait(Duration::from_secs(240)).success(), "{}", process.last_words());
        // What it printed last may still be on its way from the pipe.
        process.wait_for("the last step", |lines| (lines.last()?["step"] == "query").then_some(()));
        process.lines()
    });
    let fact = |step: &str, name: &str| {
        let line = lines.iter().find(|line| line["step"] == step);
        line.unwrap_or_else(|| panic!("no step {step} in {lines:#?}"))["facts"][name].clone()
    };
    for step in ["chain", "committee", "mint", "seal", "accepted", "final", "result", "query"] {
        assert!(lines.iter().any(|line| line["step"] == step), "no step {step} in {lines:#?}");
    }
    assert_eq!(fact("seal", "memo visible in them"), json!(false));
    assert_eq!(fact("query", "balance"), json!({ "balance": "42" }));
    let left: Vec<_> = std::fs::read_dir(&temporary).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

/// The app hash in a header: results of blocks from before a restart are not kept, headers are.
async fn app_hash_of(client: &Client, height: u64) -> Vec<u8> {
    let mut service = ConsensusServiceClient::new(client.chain.channel());
    let block = service.get_light_block(GetLightBlockRequest { height }).await.unwrap();
    let block = LightBlock::decode(&block.into_inner().light_block).unwrap();
    block.app_hash().unwrap().as_bytes().to_vec()
}

#[test]
fn dev_keeps_its_state_over_a_restart_and_over_a_kill() {
    claim(async {
        let folder = scratch();
        let options = DevOptions { home: Some(folder.path()), ..DevOptions::default() };
        let mut known: Vec<(u64, Vec<u8>)> = Vec::new();
        let mut context = None;
        for (minted, killed) in [(1_u128, true), (2, false), (3, true)] {
            let mut dev = Dev::start(options);
            let mut client = Client::connect(&dev.node).await;
            // The same chain, block by block.
            assert_eq!(
                *context.get_or_insert(client.chain.chain_context()),
                client.chain.chain_context()
            );
            for (height, app_hash) in &known {
                assert_eq!(app_hash_of(&client, *height).await, *app_hash);
            }
            assert_eq!(client.tokens("bob").await, minted * (minted - 1) / 2);
            let mint = json!({ "to": address("bob"), "amount": minted.to_string() });
            client.call("tokens", "alice", "mint", &mint).await.unwrap();
            assert_eq!(client.tokens("bob").await, minted * (minted + 1) / 2);
            let newest = client.chain.block(0).await.unwrap();
            assert!(known.last().is_none_or(|(height, _)| newest.height > *height));
            known.push((newest.height, newest.app_hash));
            if killed {
                dev.process.kill();
            } else {
                dev.process.signal(rustix::process::Signal::INT);
                assert!(dev.process.wait(Duration::from_secs(60)).success());
            }
        }
        let dev = Dev::start(options);
        let mut client = Client::connect(&dev.node).await;
        assert_eq!(client.tokens("bob").await, 6);
    });
}
