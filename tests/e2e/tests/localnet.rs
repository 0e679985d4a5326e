//! `paralith localnet`: a network of processes on CometBFT.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::future::Future;
use std::sync::Arc;

use e2e::{Client, Localnet, address, claim, until};
use paralith_proto::pb::node::v1 as npb;
use serde_json::json;

/// Small enough for two cores, large enough for a committee with stragglers and for a leaderless
/// change among key managers.
const SHAPE: [&str; 6] = ["--validators", "4", "--compute", "4", "--keymanagers", "2"];

fn on_the_network<F: Future<Output = ()>>(test: &str, run: impl FnOnce(Arc<Localnet>) -> F) {
    if consensus_engine::find_binary().is_err() {
        println!("SKIPPED {test}: no cometbft binary (make setup builds it where Go is installed)");
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
            until(&format!("{} has the chain's state", node.name), || async {
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
