//! Rounds whose beginning or end does something of its own: an event, or a trap. Each has a leaf that
//! is no transaction's, and its round's results are released like those of any other.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use e2e::{Client, Dev, DevOptions, account_key, address, claim, cli, until};
use paralith::client::TxOptions;
use paralith_consensus_api::roothash::SubmitMessage;
use paralith_runtime_api::output::Output;
use paralith_runtime_api::tx::Call;
use paralith_types::Amount;
use serde_json::json;

/// A guest that counts nothing and refuses nothing; `begin_block` has this body.
fn guest(begin_block: &str) -> Vec<u8> {
    let exports =
        ["init", "authenticate", "execute", "end_block", "check", "query", "reveal", "migrate"];
    // Bytes 0 and 1 are an empty success, which is what 2 stands for: two bytes at 0.
    let quiet: String = exports
        .iter()
        .map(|name| {
            format!("(func (export \"{name}\") (param i32 i32) (result i64) (i64.const 2))")
        })
        .collect();
    let text = format!(
        r#"(module
        (import "paralith_v1" "emit_event" (func $emit_event (param i32 i32 i32 i32)))
        (memory (export "memory") 2)
        (data (i32.const 0) "\0a\00")
        (global $heap (mut i32) (i32.const 4096))
        (func (export "paralith_alloc") (param $len i32) (result i32)
          (global.get $heap)
          (global.set $heap (i32.add (global.get $heap) (local.get $len))))
        (func (export "begin_block") (param i32 i32) (result i64) {begin_block})
        {quiet})"#
    );
    wat::parse_str(text).unwrap()
}

const TRAPS: &str = "unreachable";
const EMITS: &str =
    "(call $emit_event (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 2)) (i64.const 2)";

fn deploy(dev: &Dev, name: &str, module: &[u8], more: &[&str]) {
    let file = dev.folder().join(format!("{name}.wasm"));
    std::fs::write(&file, module).unwrap();
    let file = file.display().to_string();
    let args = [&["runtime", "deploy", &file, "--name", name, "--from", "alice"], more].concat();
    let deployed = cli(&dev.node, &args);
    assert!(deployed.success, "{}", deployed.error);
}

fn stake(dev: &Dev) {
    let staked = cli(&dev.node, &["tx", "escrow", "alice", "10000", "--from", "alice"]);
    assert!(staked.success, "{}", staked.error);
}

#[test]
fn a_deposit_into_public_tokens_and_the_next_calls_become_final() {
    claim(async {
        let dev = Dev::start(DevOptions::default());
        stake(&dev);
        let init = format!(r#"{{"minter":"{}"}}"#, address("alice"));
        deploy(&dev, "open", paralith::guests::TOKENS, &["--init", &init]);
        let mut client = Client::connect(&dev.node).await;
        let mint = json!({ "to": address("alice"), "amount": "50" });
        client.call_patiently("open", "alice", "mint", &mint).await;
        let runtime = client.paratime("open").await.runtime;
        let deposit = SubmitMessage {
            runtime_id: runtime.id,
            tag: 7,
            fee: runtime.staking.min_in_message_fee,
            tokens: Amount(1000),
            data: Vec::new(),
        };
        client.chain.submit(&account_key("bob"), deposit, TxOptions::default()).await.unwrap();
        let ask = json!({ "address": address("bob") });
        until("the deposit is credited", async || {
            let answer = client.query_patiently("open", None, "balance", &ask).await;
            (answer["balance"] == "1000").then_some(())
        })
        .await;
        for amount in ["1", "2", "3"] {
            let transfer = json!({ "to": address("carol"), "amount": amount });
            client.call("open", "bob", "transfer", &transfer).await.unwrap();
        }
        let ask = json!({ "address": address("carol") });
        let answer = client.query("open", None, "balance", &ask).await.unwrap();
        assert_eq!(answer["balance"], "6");
    });
}

/// Calls a guest of [`guest`] a few times, each final before the next.
async fn calls_become_final(client: &mut Client, name: &str) {
    until(&format!("{name} has a committee"), async || {
        let state = client.state(name).await;
        (state.last_normal_round.0 > 0).then_some(())
    })
    .await;
    for nonce in 0..3 {
        let mut paratime = client.paratime(name).await;
        let gas = paratime.gas(10_000_000, None).unwrap();
        let call = Call { method: "do".to_string(), args: Vec::new() };
        let key = account_key("carol");
        let sent = paratime.prepare(&mut client.chain, &key, nonce, gas, call).await.unwrap();
        let confirmed = client.submit_patiently(name, &sent).await.unwrap();
        assert_eq!(confirmed.output, Output::Ok(Vec::new()), "{name}");
    }
}

#[test]
fn a_trap_or_an_event_in_begin_block_does_not_keep_results_back() {
    claim(async {
        let dev = Dev::start(DevOptions::default());
        stake(&dev);
        for (name, module, more) in [
            ("trap", guest(TRAPS), &[][..]),
            ("event", guest(EMITS), &[][..]),
            ("secrettrap", guest(TRAPS), &["--confidential"][..]),
            ("secretevent", guest(EMITS), &["--confidential"][..]),
        ] {
            deploy(&dev, name, &module, more);
        }
        let mut client = Client::connect(&dev.node).await;
        for name in ["trap", "event", "secrettrap", "secretevent"] {
            calls_become_final(&mut client, name).await;
        }
    });
}
