//! What anybody looks at, and what members disclose: watch, show, root, query, prove.

use std::time::Duration;

use paralith_private_contract_messages::{TransactionStatus, keys as places};
use paralith_proto::Canonical as _;
use paralith_runtime_abi as abi;
use paralith_runtime_api::output::Output;
use paralith_types::Hash;
use serde_json::{Value, json};

use super::files::{self, ChainProof, Disclosed};
use super::{ContractArgs, ProveArgs, QueryArgs, RootArgs, WatchArgs, open_keys};
use crate::cli::output;
use crate::client::refused;
use crate::error::NodeError;
use crate::systems::private_contract::client::{Seen, Watched};

/// A transaction's status as events name it.
pub(super) const fn status_name(status: TransactionStatus) -> &'static str {
    match status {
        TransactionStatus::Pending => "PENDING",
        TransactionStatus::Open => "OPEN",
        TransactionStatus::Yes => "YES",
        TransactionStatus::Failed => "FAILED",
        TransactionStatus::Malformed => "MALFORMED",
        TransactionStatus::Expired => "EXPIRED",
        TransactionStatus::No => "NO",
    }
}

/// The contract's value as JSON, text or hexadecimal; its refusal with its code.
pub(super) fn shown_output(bytes: &[u8]) -> Value {
    if bytes.is_empty() {
        return Value::Null;
    }
    match Output::decode(bytes, bytes.len()) {
        Ok(Output::Ok(value)) if value.is_empty() => Value::Null,
        Ok(Output::Ok(value)) => {
            serde_json::from_slice(&value).unwrap_or_else(|_| match std::str::from_utf8(&value) {
                Ok(text) => text.into(),
                Err(_) => hex::encode(&value).into(),
            })
        }
        Ok(Output::Error(e)) => json!({ "module": e.module, "code": e.code, "error": e.message }),
        Err(_) => hex::encode(bytes).into(),
    }
}

/// After this a watcher looks, also if no round was announced.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

fn unverifiable(reason: impl ToString) -> NodeError {
    NodeError::Unverifiable { reason: reason.to_string() }
}

/// Shows transactions as they come and end.
pub(super) async fn watch(args: WatchArgs) -> Result<(), NodeError> {
    let mut client = args.mediator.connect().await?;
    // Before the first look: nothing is missed in between.
    let mut rounds = client.mediator.watch().await?;
    let mut watched = Watched::from(args.from_seq.max(1));
    let mut lines = 0;
    loop {
        for seen in watched.look(&mut client, &args.contract).await? {
            output::print(&shown_seen(&seen), args.mediator.node.json)?;
            lines += 1;
            if args.count.is_some_and(|count| lines >= count) {
                return Ok(());
            }
        }
        // The newest proven state may be older than the round that was announced: look again anyway.
        let Ok(next) = paralith_rt::timeout(LOOK_AGAIN, rounds.message()).await else { continue };
        if next.map_err(|status| refused(&status))?.is_none() {
            return Err(NodeError::Unreachable {
                node: args.mediator.node.node,
                reason: "it ended the stream of rounds".to_string(),
            });
        }
    }
}

fn shown_seen(seen: &Seen) -> Value {
    match seen {
        Seen::Init { seq, content_hash } => json!({
            "event": "PrivateTX_INIT", "seq": seq, "content_hash": content_hash.to_hex(),
        }),
        Seen::Fini { seq, record, root } => json!({
            "event": "PrivateTX_FINI", "seq": seq, "content_hash": record.content_hash.to_hex(),
            "status": status_name(record.status), "batch": record.batch, "root": root,
        }),
    }
}

/// Shows a contract.
pub(super) async fn show(args: ContractArgs) -> Result<(), NodeError> {
    let mut client = args.mediator.connect().await?;
    let record = client.contract(&args.contract).await?;
    let known = client.definition(&args.contract, record.version).await?;
    let definition = known.definition;
    let terms = &definition.terms;
    let names: Vec<String> = (0..definition.members.len()).map(|n| format!("m{n}")).collect();
    let members: Vec<Value> = names
        .iter()
        .zip(&definition.members)
        .map(|(name, key)| json!({ "name": name, "key": key }))
        .collect();
    let shown = json!({
        "contract": args.contract.to_hex(), "status": format!("{:?}", record.status),
        "owner": record.owner, "version": record.version, "last_version": record.last_version,
        "package_hash": definition.package_hash, "members": members,
        "policy": format!("{:?}", definition.policy), "issuers": definition.issuers,
        "keys_version": record.keys_version, "last_batch": record.last_batch,
        "last_root": record.last_root, "open_batch": record.open_batch,
        "transactions": record.next_seq.saturating_sub(1),
        "pending": record.next_seq.saturating_sub(record.head), "balance": record.balance,
        "terms": {
            "fetch_blocks": terms.fetch_blocks, "vote_blocks": terms.vote_blocks,
            "max_batch": terms.max_batch, "max_content_bytes": terms.max_content_bytes,
            "gas_limit": terms.gas_limit, "bond": terms.bond, "deposit": terms.deposit,
            "slash": terms.slash, "min_receipts": terms.min_receipts, "origins": terms.origins,
            "retention_blocks": terms.retention_blocks, "dormant_blocks": terms.dormant_blocks,
            "residual": terms.residual,
        },
    });
    output::print(&shown, args.mediator.node.json)
}

/// Shows the last final root, and a member's.
pub(super) async fn root(args: RootArgs) -> Result<(), NodeError> {
    let mut client = args.mediator.connect().await?;
    let record = client.contract(&args.contract).await?;
    let mut shown = json!({
        "contract": args.contract.to_hex(), "batch": record.last_batch, "root": record.last_root,
    });
    if let (Some(address), Some(folder)) = (&args.member, &args.keys) {
        let keys = open_keys(folder, args.password_file.clone())?;
        let mut member = args.mediator.member(&client, address).await?;
        let height = client.chain.sync().await?.0;
        let contracts = member.contracts(keys.account_key(), height).await?;
        let here = contracts.into_iter().find(|one| one.contract_id == args.contract.0);
        let here = here.ok_or_else(|| NodeError::NotFound {
            what: "contract at this member",
            name: args.contract.to_hex(),
            hint: ". Join it with `paralith contract join`".to_string(),
        })?;
        shown["member"] = json!({
            "key": member.account, "batch": here.batch,
            "root": Hash::try_from(here.root.as_slice()).map_err(unverifiable)?,
            "fault": here.fault, "voted_batch": here.voted_batch,
        });
    }
    output::print(&shown, args.mediator.node.json)
}

/// Has the contract answer a query.
pub(super) async fn query(args: QueryArgs) -> Result<(), NodeError> {
    let keys = args.keys.open()?;
    let mut client = args.mediator.connect().await?;
    let mut member = args.mediator.member(&client, &args.member).await?;
    let height = client.chain.sync().await?.0;
    let call = abi::Call { method: args.method.clone(), args: args.args.clone().into_bytes() };
    let answer = member.query(keys.account_key(), &args.contract, height, &call).await?;
    let shown = json!({
        "batch": answer.batch, "root": hex::encode(&answer.root),
        "result": shown_output(&answer.output),
    });
    output::print(&shown, args.mediator.node.json)
}

/// Discloses an entry.
pub(super) async fn prove(args: ProveArgs) -> Result<(), NodeError> {
    let keys = args.keys.open()?;
    let mut client = args.mediator.connect().await?;
    let mut member = args.mediator.member(&client, &args.member).await?;
    let height = client.chain.sync().await?.0;
    let key = match args.key.strip_prefix("0x") {
        Some(digits) => hex::decode(digits).map_err(|e| NodeError::usage(&args.key, e))?,
        None => args.key.clone().into_bytes(),
    };
    let proven = member.prove(keys.account_key(), &args.contract, height, key.clone()).await?;
    let held = proven.held.ok_or_else(|| NodeError::NotFound {
        what: "entry",
        name: args.key.clone(),
        hint: " in the contract's state".to_string(),
    })?;
    // So that whoever gets it needs nothing but the genesis document.
    let chain = client.portable(&[places::final_batch(&args.contract, proven.batch)]).await?;
    let chain = ChainProof::of(&chain);
    let disclosed = Disclosed::Entry {
        contract: args.contract.to_hex(),
        batch: proven.batch,
        key: hex::encode(&key),
        held: hex::encode(&held),
        proof: hex::encode(&proven.proof),
        chain: Some(chain),
    };
    files::write_json(&args.out, &disclosed)?;
    let shown = json!({
        "disclosure": args.out.display().to_string(), "batch": proven.batch, "key": args.key,
    });
    output::print(&shown, args.mediator.node.json)
}
