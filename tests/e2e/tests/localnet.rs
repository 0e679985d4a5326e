//! `paralith localnet`: a network of processes on CometBFT.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::future::Future;
use std::path::Path;
use std::sync::Arc;

use consensus_api::address as addresses;
use e2e::{Client, Localnet, Node, address, claim, cli, kill, until};
use paralith::client::Sent;
use paralith_crypto::SigningKey;
use paralith_proto::pb::node::v1 as npb;
use paralith_proto::pb::paratime::v1 as ppb;
use ppb::para_time_service_client::ParaTimeServiceClient;
use serde_json::json;

/// Small enough for two cores, large enough for a committee with stragglers and for a leaderless
/// change among key managers.
const SHAPE: [&str; 6] = ["--validators", "4", "--compute", "4", "--keymanagers", "2"];

fn on_the_network<F: Future<Output = ()>>(test: &str, run: impl FnOnce(Arc<Localnet>) -> F) {
    if consensus_engine::find_binary().is_err() {
        println!("SKIPPED {test}: no cometbft binary (make setup builds it where Go is installed)");
        return;
    }
    if std::env::var_os("PARALITH_TEST_LOCALNET").is_none() {
        println!(
            "SKIPPED {test}: a whole network takes minutes on two cores (set PARALITH_TEST_LOCALNET=1)"
        );
        return;
    }
    let net = claim(async { Localnet::shared(&SHAPE) });
    claim(run(net));
}

/// Of a ParaTime, as a node has applied it: round and state root.
async fn applied(endpoint: &str, name: &str) -> Option<(u64, Vec<u8>)> {
    use npb::node_service_client::NodeServiceClient;
    let mut service = NodeServiceClient::connect(endpoint.to_string()).await.ok()?;
    let status = service.get_status(npb::GetStatusRequest {}).await.ok()?.into_inner();
    let runtime = status.runtimes.into_iter().find(|runtime| runtime.name == name)?;
    Some((runtime.round, runtime.state_root))
}

#[test]
fn localnet_carries_a_confidential_transfer() {
    let name = "localnet_carries_a_confidential_transfer";
    on_the_network(name, async |net| {
        let mut client = Client::connect(&net.gateway()).await;
        let mint = json!({ "to": address("alice"), "amount": "1000" });
        client.call_patiently("tokens", "alice", "mint", &mint).await;
        let transfer = json!({ "to": address("carol"), "amount": "42", "memo": "for the tea" });
        let (confirmed, _) = client.call_patiently("tokens", "alice", "transfer", &transfer).await;
        assert_eq!(client.tokens("carol").await, 42);
        let received = client.query("tokens", Some("carol"), "received", &json!({})).await.unwrap();
        assert_eq!(received[0]["memo"], "for the tea");
        // Somebody else may not look.
        let ask = json!({ "address": address("carol") });
        let refused = client.query("tokens", Some("bob"), "balance", &ask).await;
        assert_eq!(refused, Err(("tokens".to_string(), 4)));

        for node in net.nodes().iter().filter(|node| node.name.starts_with("compute")) {
            until(&format!("{} has the chain's state", node.name), async || {
                let (round, root) = applied(&node.endpoint, "tokens").await?;
                let mut client = Client::connect(&net.gateway()).await;
                let last = client.state("tokens").await.last_block;
                let same = root == last.state_root.as_bytes();
                (same && round == last.round.0 && last.round >= confirmed.header.round)
                    .then_some(())
            })
            .await;
        }
    });
}

/// Whether bytes lie in any file below a folder. Files may go away meanwhile.
fn found_in(folder: &Path, needle: &[u8]) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => found_in(&entry.path(), needle),
        Ok(kind) if kind.is_file() => {
            let bytes = std::fs::read(entry.path()).unwrap_or_default();
            bytes.windows(needle.len()).any(|window| window == needle)
        }
        _ => false,
    })
}

#[test]
fn no_disk_and_no_log_shows_a_secret_transfer_while_a_public_one_is_everywhere() {
    let name = "no_disk_and_no_log_shows_a_secret_transfer_while_a_public_one_is_everywhere";
    on_the_network(name, async |net| {
        let mut client = Client::connect(&net.gateway()).await;
        let file = net.home().join("open.wasm");
        std::fs::write(&file, paralith::guests::TOKENS).unwrap();
        let init = json!({ "minter": address("alice") }).to_string();
        let file = file.display().to_string();
        let deploy = ["runtime", "deploy", &file, "--name", "open", "--init", &init];
        let deployed = cli(&net.gateway(), &deploy);
        assert!(deployed.success, "{}", deployed.error);

        // Neither memo, amount nor recipient occurs anywhere else.
        let cases = [
            ("tokens", 91, 7_351_926_408_812_345_701_u64, "Xq7vRk2LmZt9WcPb4NsYd8Hg", false),
            ("open", 92, 8_246_713_590_246_813_579_u64, "Tf5jQw3VnBx6KrDz1MhGy0Lp", true),
        ];
        for (runtime, seed, amount, memo, _) in cases {
            let to = addresses::of_key(&SigningKey::from_seed([seed; 32]).public());
            let mint = json!({ "to": address("alice"), "amount": "9000000000000000000" });
            client.call_patiently(runtime, "alice", "mint", &mint).await;
            let transfer = json!({ "to": to, "amount": amount.to_string(), "memo": memo });
            client.call_patiently(runtime, "alice", "transfer", &transfer).await;
        }
        for (runtime, seed, amount, memo, shown) in cases {
            let to = addresses::of_key(&SigningKey::from_seed([seed; 32]).public());
            let needles = [
                ("memo", memo.as_bytes().to_vec()),
                ("amount in decimal", amount.to_string().into_bytes()),
                ("recipient in text", to.to_string().into_bytes()),
                ("recipient in bytes", to.as_bytes().to_vec()),
            ];
            for (what, needle) in needles {
                let found = found_in(&net.home(), &needle);
                // Bytes of a public transfer need not all be kept; what is written of it is.
                if !shown || what != "recipient in bytes" {
                    assert_eq!(found, shown, "{what} of the transfer in `{runtime}`");
                }
            }
            if !shown {
                assert!(!found_in(&net.home(), &amount.to_be_bytes()), "the amount in `{runtime}`");
            }
        }
    });
}

/// The round that a compute node has a final receipt of, if any has.
async fn receipt(net: &Localnet, runtime: &[u8], sent: &Sent) -> Option<u64> {
    for node in net.nodes().iter().filter(|node| node.name.starts_with("compute")) {
        let Ok(mut service) = ParaTimeServiceClient::connect(node.endpoint.clone()).await else {
            continue;
        };
        let request = ppb::GetReceiptRequest {
            runtime_id: runtime.to_vec(),
            tx_hash: sent.hash.as_bytes().to_vec(),
        };
        if let Ok(receipt) = service.get_receipt(request).await {
            return Some(receipt.into_inner().round);
        }
    }
    None
}

#[test]
fn killed_processes_come_back_and_no_receipt_is_lost() {
    on_the_network("killed_processes_come_back_and_no_receipt_is_lost", async |net| {
        let mut client = Client::connect(&net.gateway()).await;
        let runtime = client.paratime("counter").await.runtime.id.as_bytes().to_vec();
        let add = json!({ "amount": 1 });
        let (_, before) = client.call_patiently("counter", "erin", "add", &add).await;
        let mut all: Vec<Sent> = Vec::new();
        for victim in ["compute-2", "validator-1", "keymanager-0", "compute-0", "validator-3"] {
            let Node { pid, restarts, .. } = net.node(victim);
            kill(pid.unwrap());
            for _ in 0..2 {
                // Signed once; handed in as often as it takes.
                let sent = until("the next call is signed", async || {
                    client.prepare("counter", "erin", "add", &add).await.ok()
                })
                .await;
                until("it is final", async || {
                    if client.submit_patiently("counter", &sent).await.is_ok() {
                        return Some(());
                    }
                    receipt(&net, &runtime, &sent).await.map(|_| ())
                })
                .await;
                all.push(sent);
            }
            net.wait_for(&format!("{victim} is back"), |nodes| {
                let newest = nodes.iter().map(|node| node.height).max()?;
                let node = nodes.iter().find(|node| node.name == victim)?;
                let caught_up = node.ready && node.height + 20 > newest;
                (node.restarts > restarts && caught_up).then_some(())
            });
        }
        // Each call counted once.
        let counted = client.query("counter", None, "get", &json!({})).await.unwrap();
        let expected = before.as_u64().unwrap() + u64::try_from(all.len()).unwrap();
        assert_eq!(counted, json!(expected));
        for sent in &all {
            assert!(receipt(&net, &runtime, sent).await.is_some(), "{} is lost", sent.hash);
        }
    });
}
