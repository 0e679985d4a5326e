//! The adversaries of `tests/adversary` against the network. Each fails; each succeeds where its defence is taken out,
//! by `scripts/controls.sh`.

use e2e::{DEFENCES, account_key, attack, withstands};
use serde_json::json;

use crate::net::{Net, SECRETS, invoke, put};
use crate::shared::{App, on_application, on_own_application};

#[test]
fn adversary_replay_endorse() {
    on_application(App::Counter, async |net| {
        let file = net.file("replayed.call");
        net.invoke(&["add", r#"{"amount":1}"#, "--save", &file], "alice");
        let (url, node) = (net.endorsers[0].url.clone(), net.node().to_string());
        withstands(&[
            "replay-endorse",
            &file,
            "--endorser",
            &url,
            "--from",
            "erin",
            "--node",
            &node,
        ]);
    });
}

#[test]
fn adversary_probe() {
    on_application(App::Auction, async |net| {
        let (mut client, alice) = (net.client().await, account_key("alice"));
        let until = client.chain.sync().await.unwrap().0 + 10_000;
        let lot = json!({ "name": "probed", "until": until });
        invoke(&mut client, &alice, "open", &lot).await;
        let bid = |amount: u64| json!({ "name": "probed", "amount": amount.to_string() });
        invoke(&mut client, &account_key("erin"), "bid", &bid(70)).await;
        let (low, high) = (bid(60).to_string(), bid(80).to_string());
        let node = net.node().to_string();
        let mut args = vec!["probe", &net.id, "--method", "bid", "--args", &low, "--args", &high];
        net.endorsers.iter().for_each(|one| args.extend(["--endorser", &one.url]));
        args.extend(["--from", "alice", "--node", &node]);
        withstands(&args);
    });
}

#[test]
fn adversary_rollback_seal() {
    on_own_application(SECRETS, async |net| {
        net.invoke(&["put", &put("door", "1").to_string()], "alice");
        let (old, kept) = (net.rak(0), net.file("kept.identity"));
        let config = net.endorsers[0].folder.join("node.toml").display().to_string();
        let at = ["rollback-seal", &net.id.clone(), "--config", &config];
        net.endorsers[0].process.kill();
        assert_eq!(attack(&[&at[..], &["--keep", &kept]].concat()).outcome, "prepared");
        // Another enclave takes its place.
        net.set_identity(0, None);
        net.endorsers[0].launch();
        net.serving(0).await;
        let new = net.rak(0);
        assert_ne!(new, old);
        net.endorsers[0].process.kill();
        assert_eq!(attack(&[&at[..], &["--restore", &kept]].concat()).outcome, "prepared");
        net.endorsers[0].launch();
        let found = net
            .as_blocks_come("the endorser has an identity that serves", async || {
                let rak = net.try_rak(0)?;
                let serves = net.log(0).contains("enclave 25") || !DEFENCES;
                (serves && rak != new).then_some(rak)
            })
            .await;
        net.serving(0).await;
        let now = net.rak(0);
        assert_eq!(now == old, !DEFENCES, "{found}, then {now}");
    });
}

/// The configuration of an endorser's node that is admitted and does not run: its host is the attacker's.
fn host_of(net: &Net, organisation: &str) -> String {
    net.admit(organisation).0.join("node.toml").display().to_string()
}

#[test]
fn adversary_freeze() {
    on_application(App::Counter, async |net| {
        let (config, node) = (host_of(net, "dave"), net.node().to_string());
        let bob = net.endorsers[0].url.clone();
        let call = ["--method", "add", "--args", r#"{"amount":1}"#];
        let at = ["--config", &config, "--endorser", &bob, "--from", "alice", "--node", &node];
        withstands(&[&["freeze"], &call[..], &at[..]].concat());
    });
}

#[test]
fn adversary_fork() {
    on_application(App::Counter, async |net| {
        let (config, node) = (host_of(net, "dave"), net.node().to_string());
        let call = ["--method", "add", "--args", r#"{"amount":1}"#];
        let at = ["--config", &config, "--from", "alice", "--node", &node];
        for more in [&[][..], &["--own-validators"]] {
            withstands(&[&["fork"], &call[..], &at[..], more].concat());
        }
    });
}
