//! `paralith runtime …`

use paralith_consensus_api::address;
use paralith_proto::pb::paratime::v1 as ppb;
use paralith_runtime_api::output::Output;
use paralith_runtime_api::tx::Call;
use paralith_types::{Error, Round};
use serde_json::json;

use super::{CallArgs, RevealArgs, RuntimeCommand, WatchArgs, output};
use crate::client::{ParaTimeClient, TxOptions, refused};
use crate::error::NodeError;

/// Deploys, calls, asks and watches ParaTimes.
pub async fn run(command: RuntimeCommand) -> Result<(), NodeError> {
    match command {
        RuntimeCommand::Deploy(args) => super::deploy::run(args).await,
        RuntimeCommand::Call(args) => call(args).await,
        RuntimeCommand::Query(args) => query(args).await,
        RuntimeCommand::Watch(args) => watch(args).await,
        RuntimeCommand::Reveal(args) => reveal(args).await,
        RuntimeCommand::Propose(args) => super::shared::propose(args).await,
        RuntimeCommand::Approve(args) => super::shared::approve(args).await,
        RuntimeCommand::Proposals(args) => super::shared::proposals(args).await,
        RuntimeCommand::Enclaves(args) => super::shared::enclaves(args).await,
        RuntimeCommand::RevokeEnclave(args) => super::shared::revoke_enclave(args).await,
    }
}

async fn call(args: CallArgs) -> Result<(), NodeError> {
    let mut chain = args.node.connect().await?;
    let key = args.signer.key(chain.genesis())?;
    let mut paratime = ParaTimeClient::new(&mut chain, &args.runtime).await?;
    let nonce = paratime.nonce(&mut chain, &address::of_key(&key.public())).await?;
    let call = Call { method: args.method.clone(), args: args.args.clone().into_bytes() };
    let gas = paratime.price(TxOptions { gas_limit: args.gas, fee: args.fee })?;
    let sent = paratime.prepare(&mut chain, &key, nonce, gas, call).await?;
    let json = args.node.json;
    if !json {
        eprintln!("gas limit {}, fee {}", gas.limit, gas.fee);
    }
    let confirmed = paratime
        .submit(&mut chain, &sent, |receipt| {
            let said = match receipt.confirmation() {
                ppb::Confirmation::Accepted => "accepted: a committee member will try",
                ppb::Confirmation::Soft => "soft: all workers have signed its round",
                ppb::Confirmation::Final => "final: the chain has its round",
                ppb::Confirmation::Unspecified => return,
            };
            if !json {
                eprintln!("{said}");
            }
        })
        .await?;
    let shown = json!({
        "tx": sent.hash, "confirmation": "final", "round": confirmed.header.round,
        "proven_at": confirmed.proven_at, "gas_used": confirmed.leaf.gas_used,
        "gas_limit": gas.limit, "fee": gas.fee,
        "encrypted": paratime.runtime.confidential, "result": shown_output(&confirmed.output)?,
    });
    output::print(&shown, json)
}

/// The runtime's value as JSON, text or hexadecimal; its refusal as an error.
pub(super) fn shown_output(output: &Output) -> Result<serde_json::Value, NodeError> {
    match output {
        Output::Ok(value) if value.is_empty() => Ok(serde_json::Value::Null),
        Output::Ok(value) => {
            Ok(serde_json::from_slice(value).unwrap_or_else(|_| match std::str::from_utf8(value) {
                Ok(text) => text.into(),
                Err(_) => hex::encode(value).into(),
            }))
        }
        Output::Error(e) => Err(NodeError::Refused(Error::new(&e.module, e.code, &e.message))),
    }
}

async fn query(args: CallArgs) -> Result<(), NodeError> {
    let mut chain = args.node.connect().await?;
    let mut paratime = ParaTimeClient::new(&mut chain, &args.runtime).await?;
    // A question needs no signature; with one the ParaTime may answer what only its sender may know.
    // LC-13: off development chains no test key signs by default.
    let key = match (&args.signer.from, chain.genesis().is_development()) {
        (None, false) => None,
        _ => Some(args.signer.key(chain.genesis())?),
    };
    let call = Call { method: args.method.clone(), args: args.args.clone().into_bytes() };
    let answer = paratime.query(&mut chain, key.as_ref(), call).await?;
    output::print(&shown_output(&answer.output)?, args.node.json)
}

async fn watch(args: WatchArgs) -> Result<(), NodeError> {
    let mut chain = args.node.connect().await?;
    let mut paratime = ParaTimeClient::new(&mut chain, &args.runtime).await?;
    let mut rounds = paratime.watch().await?;
    let mut seen = 0;
    while args.count.is_none_or(|count| seen < count) {
        let Some(round) = rounds.message().await.map_err(|status| refused(&status))? else {
            return Err(NodeError::Unreachable {
                node: args.node.node,
                reason: "it ended the stream of rounds".to_string(),
            });
        };
        seen += 1;
        let header = round.header.unwrap_or_default();
        let shown = json!({
            "round": header.round, "type": header.header_type().as_str_name(),
            "state_root": hex::encode(&header.state_root), "transactions": round.leaves.len(),
        });
        output::print(&shown, args.node.json)?;
    }
    Ok(())
}

async fn reveal(args: RevealArgs) -> Result<(), NodeError> {
    let handle = hex::decode(&args.handle).map_err(|e| NodeError::usage(&args.handle, e))?;
    let mut chain = args.node.connect().await?;
    let mut paratime = ParaTimeClient::new(&mut chain, &args.runtime).await?;
    let answer = paratime.reveal(Round(args.round), handle).await?;
    output::print(&shown_output(&answer)?, args.node.json)
}
