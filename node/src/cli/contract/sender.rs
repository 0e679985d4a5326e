//! What senders do: submit, read results, probe.

use paralith_private_contract_core::sealing::SealedCall;
use paralith_private_contract_messages::{
    Canonical as _, ContentHash, ContractId, OfContract, keys as places,
};
use paralith_runtime_abi as abi;
use paralith_types::Hash;
use serde_json::json;

use super::files::{self, ChainProof, Disclosed, SentCall};
use super::{ResultArgs, SignedContractArgs, SubmitArgs, look};
use crate::cli::output;
use crate::error::NodeError;
use crate::systems::private_contract::client::PrivateTx;

/// Seals a call, has members keep it, and submits it.
pub(super) async fn submit(args: SubmitArgs) -> Result<(), NodeError> {
    let certificate = files::read_certificate(&args.certificate)?;
    if args.save.exists() {
        let reason = "it is there already, and may hold the key of another call: name another file";
        return Err(NodeError::usage(args.save.display().to_string(), reason));
    }
    let mut client = args.mediator.connect().await?;
    let key = args.signer.key(client.chain.genesis())?;
    if certificate.subject != key.public() {
        let reason = "the certificate is for another key than the signer's";
        return Err(NodeError::usage("--certificate", reason));
    }
    let record = client.contract(&args.contract).await?;
    let terms = client.definition(&args.contract, record.version).await?.definition.terms;
    let wanted = usize::try_from(terms.min_receipts).unwrap_or(usize::MAX);
    if args.member.len() < wanted {
        let reason =
            format!("the contract wants the call kept by {wanted} members: name their nodes");
        return Err(NodeError::usage("--member", reason));
    }
    let call = abi::Call { method: args.method.clone(), args: args.args.clone().into_bytes() };
    let origin = args.origin.as_deref();
    if let Some(origin) = origin.filter(|origin| !terms.origins.iter().any(|one| one == origin)) {
        let reason = format!("the contract's terms name other data stores: {:?}", terms.origins);
        return Err(NodeError::usage(origin, reason));
    }
    let mut tx = client.seal(args.contract, &key.public(), &call, origin).await?;
    // Before anything is sent: without the content key nobody reads the result.
    let mut saved = saved(&tx);
    files::write_json(&args.save, &saved)?;
    let height = client.chain.sync().await?.0;
    if let Some(origin) = origin {
        let chain = client.chain.chain_context();
        let trust = args.mediator.node.tls.trust()?;
        tx.put_at((origin, &trust), &key, &certificate, height, &chain).await?;
    }
    for address in &args.member {
        let mut member = args.mediator.member(&client, address).await?;
        tx.store_at(&mut member, &key, &certificate, height).await?;
    }
    let seq = client.submit(&key, certificate, &tx, args.payment).await?;
    saved.seq = Some(seq);
    files::write_json(&args.save, &saved)?;
    let shown = json!({
        "contract": args.contract.to_hex(), "seq": seq, "sender_seq": tx.sender_seq,
        "content_hash": tx.sealed.content_hash.to_hex(), "content_bytes": tx.sealed.content.len(),
        "receipts": tx.receipts.len(), "saved": args.save.display().to_string(),
    });
    output::print(&shown, args.mediator.node.json)
}

fn saved(tx: &PrivateTx) -> SentCall {
    let SealedCall { content_hash, .. } = &tx.sealed;
    SentCall {
        contract: tx.contract_id.to_hex(),
        sender_seq: tx.sender_seq,
        seq: None,
        content_hash: content_hash.to_hex(),
        content_key: hex::encode(tx.sk),
    }
}

/// Gets a result, verified.
pub(super) async fn result(args: ResultArgs) -> Result<(), NodeError> {
    let saved: SentCall = files::read_json(&args.file)?;
    let id = ContractId(files::bytes32(&args.file, "contract", &saved.contract)?);
    let sk = files::bytes32(&args.file, "content_key", &saved.content_key)?;
    let mut client = args.mediator.connect().await?;
    let key = args.signer.key(client.chain.genesis())?;
    let content = ContentHash(files::bytes32(&args.file, "content_hash", &saved.content_hash)?);
    let seq = saved.seq.ok_or_else(|| {
        let reason = "the call was not submitted: the mediator gave it no number";
        NodeError::usage(args.file.display().to_string(), reason)
    })?;
    let record = client.transaction(&id, seq).await?;
    if record.content_hash != content {
        let reason = format!("transaction {seq} of the contract has another content");
        return Err(NodeError::Unverifiable { reason });
    }
    let mut member = args.mediator.member(&client, &args.member).await?;
    let verified = client.result(&mut member, &key, id, seq, sk).await?;
    if let Some(file) = &args.receipt {
        // So that whoever gets it needs nothing but the genesis document.
        let keys = [places::transaction(&id, seq), places::final_batch(&id, verified.batch)];
        let chain = ChainProof::of(&client.portable(&keys).await?);
        files::write_json(file, &Disclosed::receipt(&verified, Some(chain)))?;
    }
    let leaf: Hash = verified.result.leaf();
    let shown = json!({
        "contract": id.to_hex(), "seq": seq, "status": look::status_name(record.status),
        "batch": verified.batch, "class": files::class_name(verified.result.class),
        "result": look::shown_output(&verified.result.output),
        "leaf": leaf, "verified": true,
        "receipt": args.receipt.as_ref().map(|file| file.display().to_string()),
    });
    output::print(&shown, args.mediator.node.json)
}

/// Opens an empty batch.
pub(super) async fn probe(args: SignedContractArgs) -> Result<(), NodeError> {
    let mut client = args.mediator.connect().await?;
    let key = args.signer.key(client.chain.genesis())?;
    let call = OfContract { contract_id: args.contract }.encode();
    let (confirmed, _) = client.call(&key, "probe", call).await?;
    let shown = json!({
        "contract": args.contract.to_hex(), "round": confirmed.header.round,
        "next": "a living quorum ends it with YES: see `paralith contract root`",
    });
    output::print(&shown, args.mediator.node.json)
}
