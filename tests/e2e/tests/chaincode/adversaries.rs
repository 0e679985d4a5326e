//! The adversaries of `tests/adversary` against the network, and a host that shows its enclave nothing more. Each
//! fails; each succeeds where its defence is taken out, by `scripts/controls.sh`.

use e2e::{DEFENCES, account_key, attack, withstands};
use paralith_chaincode_messages::{Endorsement, Message as _, NewCommit, Response};
use paralith_types::Height;
use serde_json::json;

use crate::host::{Host, Show};
use crate::hosts::anchor;
use crate::net::{SECRETS, call, invoke, ledger_code, put, reach};
use crate::shared::{App, on_application, on_chain, on_own_application};

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

/// `freeze`: the caller's other endorser signs in time; the frozen one signs the same on the old state, too late.
#[test]
fn adversary_freeze() {
    on_chain(async |net| {
        net.serve(paralith::guests::COUNTER, &["bob", "carol"], &json!({})).await;
        let host = Host::start(net, paralith::guests::COUNTER, "dave").await;
        let (mut client, alice) = (net.client().await, account_key("alice"));
        client.valid_blocks = Some(10);
        let asked = client.propose(&alice, call("add", &json!({ "amount": 1 }))).await.unwrap();
        let in_time = net.endorsed_by(0, &asked).await;
        let valid_until = Response::decode(&in_time.response).unwrap().valid_until;
        host.reach(anchor(&asked)).await;
        host.show(Show::NothingAbove(host.height()));
        reach(&mut client.chain, Height(valid_until.0 + 2)).await;
        let late = host.endorse(&asked).await.unwrap();
        let late = Endorsement::decode(&late.endorsement).unwrap();
        let both = [in_time.endorsements.clone(), vec![late]].concat();
        let committed = client.commit(&alice, &NewCommit { endorsements: both, ..in_time }).await;
        match DEFENCES {
            true => assert_eq!(ledger_code(committed), 6),
            false => drop(committed.unwrap()),
        }
    });
}
