//! `paralith localnet`: a network of processes on CometBFT.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use e2e::{Client, Localnet, address, claim, in_step, until};
use serde_json::json;

#[test]
fn localnet_carries_a_confidential_transfer_and_goes_on_with_it_after_a_restart() {
    let name = "localnet_carries_a_confidential_transfer_and_goes_on_with_it_after_a_restart";
    if e2e::skipped_without_cometbft(name) {
        return;
    }
    claim(async {
        let mut net = Localnet::start(&[]);
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
                let last = in_step(&mut client, &node.endpoint, "tokens").await?;
                (last.round >= confirmed.header.round).then_some(())
            })
            .await;
        }

        let height = net.node("validator-0").height;
        net.again();
        assert!(net.node("validator-0").height >= height, "it began anew");
        let mut client = Client::connect(&net.gateway()).await;
        client.call_patiently("tokens", "alice", "transfer", &transfer).await;
        let balance = client.query_patiently("tokens", Some("carol"), "balance", &json!({})).await;
        assert_eq!(balance, json!({ "balance": "84" }));
    });
}
