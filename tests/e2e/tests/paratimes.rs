//! ParaTimes as their users know them: deployed, called, asked, paid into and out of.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use e2e::{Client, Dev, DevOptions, account_key, address, claim, cli, until};
use paralith::client::TxOptions;
use paralith_consensus_api::address as addresses;
use paralith_consensus_api::roothash::SubmitMessage;
use paralith_types::{Address, Amount};
use serde_json::json;

#[test]
fn a_module_is_deployed_called_and_asked_by_commands() {
    claim(async {
        let dev = Dev::start(DevOptions::default());
        let file = dev.folder().join("counter.wasm");
        std::fs::write(&file, paralith::guests::COUNTER).unwrap();
        let file = file.display().to_string();
        // The owner of a ParaTime answers for it with stake.
        let deploy = ["runtime", "deploy", &file, "--name", "mine", "--from", "bob"];
        let poor = cli(&dev.node, &deploy);
        assert!(!poor.success && poor.error.contains("staking 4"), "{}", poor.error);
        let staked = cli(&dev.node, &["tx", "escrow", "bob", "1000", "--from", "bob"]);
        assert!(staked.success, "{}", staked.error);
        let deployed = cli(&dev.node, &deploy);
        assert!(deployed.success, "{}", deployed.error);
        assert_eq!(deployed.json[0]["name"], "mine");
        // It runs from the next epoch on.
        let mut client = Client::connect(&dev.node).await;
        client.call_patiently("mine", "carol", "add", &json!({ "amount": 3 })).await;
        let called = cli(&dev.node, &["runtime", "call", "mine", "add", r#"{"amount":4}"#]);
        assert!(called.success, "{}", called.error);
        let called = &called.json[0];
        assert_eq!((&called["result"], &called["encrypted"]), (&json!(7), &json!(false)));
        let asked = cli(&dev.node, &["runtime", "query", "mine", "get"]);
        assert_eq!(asked.json, [json!(7)], "{}", asked.error);
        // Entries of its state are proven, also after a round that is named, and that one is not there.
        let proven = cli(&dev.node, &["query", "state", "mine", "count", "0x6f74686572"]);
        assert!(proven.success, "{}", proven.error);
        let proven = &proven.json[0];
        let entries = json!([
            { "key": hex::encode("count"), "value": "0000000000000007", "text": null },
            { "key": hex::encode("other"), "value": null, "text": null },
        ]);
        assert_eq!((&proven["entries"], &proven["verified"]), (&entries, &json!(true)));
        let round = proven["round"].to_string();
        let again = cli(&dev.node, &["query", "state", "mine", "count", "--round", &round]);
        assert_eq!(again.json[0]["state_root"], proven["state_root"], "{}", again.error);
        let confidential = cli(&dev.node, &["query", "state", "tokens", "minter"]);
        assert!(
            !confidential.success && confidential.error.contains("0xfe"),
            "{}",
            confidential.error
        );
        // The other ParaTime with the same code has a state of its own.
        assert_eq!(cli(&dev.node, &["runtime", "query", "counter", "get"]).json, [json!(0)]);
        // A refusal is reported with module and code, and the command fails.
        let refused = cli(&dev.node, &["runtime", "call", "mine", "take"]);
        assert!(!refused.success && refused.error.contains("sdk 3"), "{}", refused.error);
        let unknown = cli(&dev.node, &["runtime", "call", "yours", "add"]);
        assert!(!unknown.success && unknown.error.contains("yours"), "{}", unknown.error);
    });
}

#[test]
fn a_ballot_shows_its_tally_only_when_the_closing_round_is_final() {
    claim(async {
        let dev = Dev::start(DevOptions::default());
        let mut client = Client::connect(&dev.node).await;
        let create = json!({ "question": "tea?", "options": ["yes", "no"] });
        let (_, created) = client.call("ballot", "alice", "create", &create).await.unwrap();
        assert_eq!(created, json!({ "ballot": 0 }));
        for (who, option) in [("bob", 0), ("carol", 0), ("dave", 1)] {
            let vote = json!({ "ballot": 0, "option": option });
            client.call("ballot", who, "vote", &vote).await.unwrap();
            let ask = json!({ "ballot": 0 });
            let status = client.query("ballot", Some("alice"), "status", &ask).await.unwrap();
            assert_eq!((&status["closed"], &status["tally"]), (&json!(false), &json!(null)));
        }
        let again = json!({ "ballot": 0, "option": 1 });
        let twice = client.call("ballot", "bob", "vote", &again).await.map(|_| ());
        assert_eq!(twice, Err(("ballot".to_string(), 3)));
        // Nothing asks to reveal yet.
        let mut paratime = client.paratime("ballot").await;
        let round = client.state("ballot").await.last_block.round;
        assert!(paratime.reveal(round, vec![0; 8]).await.is_err());

        let close = json!({ "ballot": 0 });
        let not_yours = client.call("ballot", "bob", "close", &close).await.map(|_| ());
        assert_eq!(not_yours, Err(("ballot".to_string(), 5)));
        let (closed, handle) = client.call("ballot", "alice", "close", &close).await.unwrap();
        assert_eq!(handle, json!({ "handle": "0000000000000000" }));
        let (round, handle) = (closed.header.round, vec![0; 8]);
        let tally = json!([{ "option": "yes", "votes": 2 }, { "option": "no", "votes": 1 }]);
        let first = paratime.reveal(round, handle.clone()).await.unwrap();
        for _ in 0..3 {
            assert_eq!(paratime.reveal(round, handle.clone()).await.unwrap(), first);
        }
        let paralith_runtime_api::output::Output::Ok(bytes) = first else { panic!("{first:?}") };
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&bytes).unwrap(), tally);
        let status = client.query("ballot", None, "status", &json!({ "ballot": 0 })).await.unwrap();
        assert_eq!(status["tally"], tally);
        let late = json!({ "ballot": 0, "option": 0 });
        let late = client.call("ballot", "erin", "vote", &late).await.map(|_| ());
        assert_eq!(late, Err(("ballot".to_string(), 4)));
    });
}

async fn balance(client: &mut Client, of: &Address) -> u128 {
    client.account(of).await.balance.0
}

#[test]
fn deposits_and_withdrawals_keep_every_unit() {
    claim(async {
        let dev = Dev::start(DevOptions::default());
        let mut client = Client::connect(&dev.node).await;
        let runtime = client.paratime("tokens").await.runtime;
        let vault = addresses::of_runtime(&runtime.id);
        assert_eq!(balance(&mut client, &vault).await, 0);
        let deposit = SubmitMessage {
            runtime_id: runtime.id,
            tag: 7,
            fee: runtime.staking.min_in_message_fee,
            tokens: Amount(1000),
            data: Vec::new(),
        };
        client.chain.submit(&account_key("bob"), deposit, TxOptions::default()).await.unwrap();
        let mut users = Client::connect(&dev.node).await;
        until("the deposit is credited", async || {
            (users.tokens("bob").await == 1000).then_some(())
        })
        .await;
        assert_eq!(balance(&mut client, &vault).await, 1000);

        // Out again, to an account of the consensus layer that nobody has used.
        let fresh = addresses::of_key(&paralith_crypto::SigningKey::from_seed([77; 32]).public());
        let withdraw = json!({ "amount": "300", "to": fresh });
        client.call("tokens", "bob", "withdraw", &withdraw).await.unwrap();
        let mut watcher = Client::connect(&dev.node).await;
        until("it is paid", async || (balance(&mut watcher, &fresh).await == 300).then_some(()))
            .await;
        assert_eq!(balance(&mut client, &vault).await, 700);
        assert_eq!(client.tokens("bob").await, 700);

        // One that consensus refuses: the pool is no account of anybody's.
        let refused = json!({ "amount": "200", "to": addresses::common_pool() });
        client.call("tokens", "bob", "withdraw", &refused).await.unwrap();
        until("it is given back", async || (users.tokens("bob").await == 700).then_some(())).await;
        assert_eq!(balance(&mut client, &vault).await, 700);

        // Minted units are not backed.
        let mint = json!({ "to": address("carol"), "amount": "5000" });
        client.call("tokens", "alice", "mint", &mint).await.unwrap();
        let unbacked =
            client.call("tokens", "carol", "withdraw", &json!({ "amount": "701" })).await;
        assert_eq!(unbacked.map(|_| ()), Err(("tokens".to_string(), 2)));
        let supply = client.query("tokens", None, "total_supply", &json!({})).await.unwrap();
        assert_eq!(supply, json!({ "total_supply": "5700" }));
    });
}
