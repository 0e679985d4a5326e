//! `paralith query …`

use paralith_consensus_api::{registry, roothash, scheduler, staking};
use paralith_proto::{Wire, pb};
use paralith_types::{Height, PublicKey, Round};
use serde::Serialize;
use serde_json::json;

use super::tx::address_of;
use super::{QueryCommand, output};
use crate::client::ParaTimeClient;
use crate::error::NodeError;
use crate::keystore::Keystore;

/// Asks the chain.
pub async fn run(command: QueryCommand) -> Result<(), NodeError> {
    match command {
        QueryCommand::Account(args) => {
            let mut chain = args.node.connect().await?;
            let development = chain.genesis().is_development();
            let address = address_of(&Keystore::open(args.keystore)?, &args.name, development)?;
            let account: staking::Account =
                chain.get(&staking::keys::account(&address)).await?.unwrap_or_default();
            output::print(&json!({ "address": address, "account": account }), args.node.json)
        }
        QueryCommand::Node(args) => node(args).await,
        QueryCommand::Runtime(args) => {
            let mut chain = args.node.connect().await?;
            match &args.name {
                Some(name) => output::print(&chain.runtime(name).await?, args.node.json),
                None => output::print(&chain.runtimes().await?, args.node.json),
            }
        }
        QueryCommand::Committee(args) => {
            let mut chain = args.node.connect().await?;
            let runtime = chain.runtime(&args.name).await?;
            let committee: Option<scheduler::Committee> =
                chain.get(&scheduler::keys::committee(&runtime.id)).await?;
            let committee = committee.ok_or_else(|| NodeError::NotFound {
                what: "committee of",
                name: args.name.clone(),
                hint: " in this epoch: too few nodes are registered for it".to_string(),
            })?;
            output::print(&committee, args.node.json)
        }
        QueryCommand::Block(args) => {
            let chain = args.node.connect().await?;
            output::print(&block(chain.block(args.height.unwrap_or(0)).await?), args.node.json)
        }
        QueryCommand::Transaction(args) => {
            let chain = args.node.connect().await?;
            let result = chain.transaction(&args.hash).await?;
            let height = result.height;
            output::print(
                &json!({ "height": height, "result": transaction(&result) }),
                args.node.json,
            )
        }
        QueryCommand::Round(args) => round(args).await,
        QueryCommand::Proof(args) => proof(args).await,
        QueryCommand::State(args) => state(args).await,
    }
}

#[derive(Debug, Serialize)]
struct ShownNode {
    #[serde(flatten)]
    node: registry::Node,
    /// Software attestation protects nothing.
    insecure_attestation: bool,
}

async fn node(args: super::OptionalNameArgs) -> Result<(), NodeError> {
    use pb::registry::v1::registry_service_client::RegistryServiceClient;
    let mut chain = args.node.connect().await?;
    let ids: Vec<PublicKey> = match &args.name {
        Some(id) => vec![id.parse().map_err(|e| NodeError::usage(id, e))?],
        None => RegistryServiceClient::new(chain.channel())
            .list_nodes(pb::registry::v1::ListNodesRequest { height: 0 })
            .await
            .map_err(|status| crate::client::refused(&status))?
            .into_inner()
            .nodes
            .into_iter()
            .filter_map(|node| PublicKey::try_from(node.node?.id.as_slice()).ok())
            .collect(),
    };
    let mut nodes = Vec::new();
    for id in ids {
        let node: Option<registry::Node> = chain.get(&registry::keys::node(&id)).await?;
        let node = node.ok_or_else(|| NodeError::NotFound {
            what: "node",
            name: id.to_string(),
            hint: ". List them with `paralith query node`".to_string(),
        })?;
        let insecure_attestation = node.runtimes.iter().any(|runtime| runtime.tee.is_some());
        nodes.push(ShownNode { node, insecure_attestation });
    }
    output::print(&nodes, args.node.json)
}

fn block(block: pb::consensus::v1::Block) -> serde_json::Value {
    let transactions: Vec<_> = block.transactions.iter().map(transaction).collect();
    json!({
        "height": block.height, "hash": hex::encode(&block.hash),
        "app_hash": hex::encode(&block.app_hash), "time_seconds": block.time_seconds,
        "transactions": transactions, "events": events(&block.events),
    })
}

fn transaction(tx: &pb::consensus::v1::TransactionResult) -> serde_json::Value {
    json!({
        "hash": hex::encode(&tx.hash), "module": tx.module, "code": tx.code,
        "message": tx.message, "gas_used": tx.gas_used, "events": events(&tx.events),
    })
}

fn events(events: &[pb::consensus::v1::Event]) -> Vec<serde_json::Value> {
    events
        .iter()
        .map(|event| {
            let known = paralith_consensus_api::event::Event::from_pb(event.clone())
                .and_then(|event| paralith_consensus_api::event::EventKind::from_event(&event))
                .ok()
                .and_then(|kind| serde_json::to_value(kind).ok());
            known.unwrap_or_else(|| json!({ "kind": event.kind, "body": hex::encode(&event.body) }))
        })
        .collect()
}

async fn round(args: super::RoundArgs) -> Result<(), NodeError> {
    let mut chain = args.node.connect().await?;
    let runtime = chain.runtime(&args.runtime).await?;
    let state: Option<roothash::RuntimeState> =
        chain.get(&roothash::keys::runtime_state(&runtime.id)).await?;
    let newest = state.as_ref().map(|state| state.last_block.round);
    let round = args.round.map(Round).or(newest).unwrap_or(Round(0));
    let header: Option<roothash::Header> = match state {
        Some(state) if state.last_block.round == round => Some(state.last_block),
        _ => chain.get(&roothash::keys::header(&runtime.id, round)).await?,
    };
    let header = header.ok_or_else(|| NodeError::NotFound {
        what: "round",
        name: round.to_string(),
        hint: String::new(),
    })?;
    output::print(&json!({ "hash": header.hash(), "header": header }), args.node.json)
}

async fn proof(args: super::ProofArgs) -> Result<(), NodeError> {
    let key = key_from(&args.key)?;
    let mut chain = args.node.connect().await?;
    let proven = chain.proven(args.height.map(Height), &key).await?;
    let shown = json!({
        "height": proven.height, "key": hex::encode(&key),
        "value": proven.value.as_ref().map(hex::encode),
        "proof": hex::encode(&proven.proof), "verified": true,
    });
    output::print(&shown, args.node.json)
}

/// A key that is given as text, or in hexadecimal after `0x`.
fn key_from(text: &str) -> Result<Vec<u8>, NodeError> {
    match text.strip_prefix("0x") {
        Some(digits) => hex::decode(digits).map_err(|e| NodeError::usage(text, e)),
        None => Ok(text.as_bytes().to_vec()),
    }
}

async fn state(args: super::StateArgs) -> Result<(), NodeError> {
    let keys = args.keys.iter().map(|key| key_from(key)).collect::<Result<Vec<_>, _>>()?;
    let mut chain = args.node.connect().await?;
    let mut paratime = ParaTimeClient::new(&mut chain, &args.runtime).await?;
    let proven = paratime.prove(&mut chain, args.round.map(Round), &keys).await?;
    let entry = |(key, value): (&Vec<u8>, &Option<Vec<u8>>)| {
        let text = value.as_deref().and_then(|value| std::str::from_utf8(value).ok());
        let text = text.filter(|text| !text.chars().any(char::is_control));
        json!({ "key": hex::encode(key), "value": value.as_ref().map(hex::encode), "text": text })
    };
    let entries: Vec<_> = keys.iter().zip(&proven.values).map(entry).collect();
    let shown = json!({
        "round": proven.header.round, "state_root": proven.header.state_root,
        "entries": entries, "proven_by_height": proven.proven_at, "verified": true,
    });
    output::print(&shown, args.node.json)
}
