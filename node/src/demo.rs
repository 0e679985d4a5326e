//! One confidential transaction, shown step by step. Every figure is read through the public
//! services and verified: by light client, state proof and the round's commitments.

use paralith_consensus_api::address;
use paralith_consensus_api::roothash::{self, Header};
use paralith_consensus_api::scheduler::Committee;
use paralith_proto::pb::paratime::v1 as ppb;
use paralith_rt::Instant;
use paralith_runtime_api::output::Output;
use paralith_runtime_api::tx::Call;
use paralith_types::Error;
use serde_json::{Value, json};

use crate::client::{self, ChainClient, ParaTimeClient};
use crate::error::NodeError;
use crate::keystore::test_account;

/// Gas that the demo's transactions allow.
const GAS: u64 = 100_000_000;

/// Says each step: a line for people, or a JSON object a line.
pub(crate) struct Reporter {
    pub(crate) json: bool,
    pub(crate) began: Instant,
}

impl Reporter {
    pub(crate) fn say(&self, step: &str, text: &str, facts: Value) {
        let seconds = self.began.elapsed().as_secs_f64();
        if self.json {
            println!("{}", json!({ "step": step, "seconds": seconds, "facts": facts }));
            return;
        }
        println!("[{seconds:6.2} s] {text}");
        if let Value::Object(facts) = facts {
            for (name, value) in facts {
                let value = match value {
                    Value::String(text) => text,
                    other => other.to_string(),
                };
                println!("             {name}: {value}");
            }
        }
    }
}

pub(crate) fn account(name: &str) -> Result<paralith_crypto::SigningKey, NodeError> {
    test_account(name).ok_or_else(|| NodeError::internal(&"a test account"))
}

/// Mints for alice, sends a secret transfer from alice to bob, and shows what everybody saw.
pub async fn run(node: &str, json: bool, began: Instant) -> Result<(), NodeError> {
    let reporter = Reporter { json, began };
    let (alice, bob) = (account("alice")?, account("bob")?);
    let (from, to) = (address::of_key(&alice.public()), address::of_key(&bob.public()));
    let mut chain = client::connect(node).await?;
    let height = chain.sync().await?;
    let facts = json!({ "chain": chain.genesis().chain_id, "proven height": height });
    reporter.say("chain", "the client follows the chain from its genesis document", facts);

    let mut tokens = ParaTimeClient::new(&mut chain, "tokens").await?;
    let id = tokens.runtime.id;
    let committee: Committee =
        chain.require(&paralith_consensus_api::scheduler::keys::committee(&id)).await?;
    let facts = json!({
        "epoch": committee.epoch, "workers": committee.workers, "backups": committee.backups,
    });
    reporter.say(
        "committee",
        "a committee is elected for the confidential ParaTime `tokens`",
        facts,
    );

    let nonce = tokens.nonce(&mut chain, &from).await?;
    let gas = tokens.gas(GAS, None)?;
    let mint = json!({ "to": from, "amount": "1000" }).to_string();
    let call = Call { method: "mint".to_string(), args: mint.into_bytes() };
    let sent = tokens.prepare(&mut chain, &alice, nonce, gas, call).await?;
    let minted = tokens.submit(&mut chain, &sent, |_| {}).await?;
    expect_ok(&minted.output)?;
    let facts = json!({ "round": minted.header.round });
    reporter.say("mint", "alice mints 1000 tokens, encrypted", facts);

    let memo = "for the tea, with love";
    let transfer = json!({ "to": to, "amount": "42", "memo": memo }).to_string();
    let call = Call { method: "transfer".to_string(), args: transfer.into_bytes() };
    let sent = tokens.prepare(&mut chain, &alice, nonce.saturating_add(1), gas, call).await?;
    let facts = json!({
        "transaction": sent.hash, "bytes": sent.raw.len(),
        "memo visible in them": contains(&sent.raw, memo.as_bytes()),
    });
    reporter.say("seal", "alice seals a transfer of 42 to bob with a memo, and signs it", facts);

    let confirmed = tokens
        .submit(&mut chain, &sent, |receipt| match receipt.confirmation() {
            ppb::Confirmation::Accepted => {
                reporter.say("accepted", "a committee member has it in its pool", json!({}));
            }
            ppb::Confirmation::Soft => {
                let facts = json!({ "votes": votes(receipt) });
                reporter.say("soft", "all workers executed it and signed the same result", facts);
            }
            _ => {}
        })
        .await?;
    report_final(&reporter, &mut chain, &confirmed.header).await?;
    expect_ok(&confirmed.output)?;
    let facts = json!({
        "gas used (public)": confirmed.leaf.gas_used,
        "output commitment (public)": confirmed.leaf.output_commitment,
        "decrypted result": readable(&confirmed.output),
    });
    reporter.say("result", "alice decrypts the result; nobody else can", facts);

    let ask = json!({ "address": to }).to_string();
    let call = Call { method: "balance".to_string(), args: ask.into_bytes() };
    let balance = tokens.query(&mut chain, Some(&bob), call).await?.output;
    expect_ok(&balance)?;
    let facts = json!({ "balance": readable(&balance) });
    reporter.say("query", "bob asks for his balance, encrypted both ways", facts);
    Ok(())
}

async fn report_final(
    reporter: &Reporter,
    chain: &mut ChainClient,
    header: &Header,
) -> Result<(), NodeError> {
    let state: Option<roothash::RuntimeState> =
        chain.get(&roothash::keys::runtime_state(&header.runtime_id)).await?;
    let facts = json!({
        "round": header.round, "header": header.hash(), "state root": header.state_root,
        "I/O root": header.io_root, "batch": header.batch_hash,
        "in consensus block": state.map(|state| state.last_normal_height),
        "proven by": "light client, state proof, Merkle path of the transaction",
    });
    reporter.say("final", "the chain compared the votes and has committed the round", facts);
    Ok(())
}

fn votes(receipt: &ppb::Receipt) -> Vec<Value> {
    receipt
        .votes
        .iter()
        .map(|vote| {
            let root = vote.results.as_ref().map(|results| hex::encode(&results.state_root));
            json!({ "node": hex::encode(&vote.node), "state_root": root })
        })
        .collect()
}

pub(crate) fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

fn expect_ok(output: &Output) -> Result<(), NodeError> {
    match output {
        Output::Ok(_) => Ok(()),
        Output::Error(e) => Err(NodeError::Refused(Error::new(&e.module, e.code, &e.message))),
    }
}

fn readable(output: &Output) -> Value {
    match output {
        Output::Ok(value) => serde_json::from_slice(value)
            .unwrap_or_else(|_| String::from_utf8_lossy(value).into_owned().into()),
        Output::Error(e) => json!(e),
    }
}
