//! What callers do.

use std::path::Path;

use paralith_chaincode_core::hashes::response_hash;
use paralith_chaincode_core::receipt::verify as verify_receipt;
use paralith_chaincode_grpc::pb;
use paralith_chaincode_messages::{Message as _, Revoke};
use paralith_policy::Certificate;
use paralith_runtime_api::tx::Call;
use paralith_types::Error;
use serde_json::{Value, json};

use super::{
    EndorserArgs, EvaluateArgs, InvokeArgs, LedgerFeeArgs, MakeReceiptArgs, ResultArgs, RevealArgs,
    RevokeArgs, StatusArgs, VerifyReceiptArgs,
};
use crate::cli::runtime::shown_output;
use crate::cli::{NodeArgs, output};
use crate::client::TxOptions;
use crate::error::NodeError;
use crate::genesis_info::GenesisInfo;
use crate::keystore::write_private;
use crate::systems::chaincode::client::{
    CallFile, ChaincodeClient, EndorserClient, Endorsers, Shown, Stage, value,
};

impl LedgerFeeArgs {
    fn options(&self) -> TxOptions {
        TxOptions { gas_limit: self.gas, fee: self.fee }
    }
}

async fn connect(args: &EndorserArgs, chaincode: &str) -> Result<ChaincodeClient, NodeError> {
    let endorsers = Endorsers::connect(&args.endorsers, &args.node.tls.trust()?).await?;
    let chain = args.node.connect().await?;
    let mut client = ChaincodeClient::new(chain, chaincode, endorsers).await?;
    client.certificate = args.certificate.as_deref().map(certificate).transpose()?;
    Ok(client)
}

/// Without endorsers: for what the chain alone knows.
async fn on_chain(node: &NodeArgs, chaincode: &str) -> Result<ChaincodeClient, NodeError> {
    ChaincodeClient::new(node.connect().await?, chaincode, Endorsers::default()).await
}

fn certificate(file: &Path) -> Result<Certificate, NodeError> {
    let what = file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|e| NodeError::io(&what, &e))?;
    let bytes = hex::decode(text.trim()).map_err(|e| NodeError::usage(&what, e))?;
    Certificate::decode(&bytes).map_err(|e| NodeError::usage(&what, e))
}

fn call(method: &str, args: &str) -> Call {
    Call { method: method.to_string(), args: args.as_bytes().to_vec() }
}

fn say(stage: &Stage, json: bool) {
    if json {
        return;
    }
    match stage {
        Stage::Proposed => eprintln!("proposed: sealed and signed"),
        Stage::Endorsed { endorsements } => {
            eprintln!(
                "endorsed: {endorsements} enclaves of different organisations signed one response"
            );
        }
        Stage::Conflict { tries } => {
            eprintln!("conflict {tries}: another call came first, proposing again on its state");
        }
        Stage::Committed { round } => eprintln!("committed: in round {round} of the ledger"),
        Stage::Read => eprintln!("read: the result has left the enclave"),
    }
}

fn shown(file: &CallFile, result: Value) -> Value {
    json!({
        "tx": file.tx_id, "response": file.response.as_deref().map(response_hash),
        "endorsers": file.endorsements.iter().map(|one| one.rak).collect::<Vec<_>>(),
        "round": file.round, "result": result,
    })
}

/// Calls.
pub(super) async fn invoke(args: InvokeArgs) -> Result<(), NodeError> {
    let mut client = connect(&args.endorsers, &args.chaincode).await?;
    let key = args.signer.key(client.chain.genesis())?;
    client.valid_blocks = args.valid_blocks;
    client.options = args.ledger.options();
    let (json, save) = (args.endorsers.node.json, args.save.as_deref());
    let progress = |file: &CallFile, stage: &Stage| {
        say(stage, json);
        save.map_or(Ok(()), |save| file.write(save))
    };
    let invoked = client.invoke(&key, &call(&args.method, &args.args), progress).await?;
    let result = shown_output(&invoked.output)?;
    let mut shown = shown(&invoked.file, result);
    shown["conflicts"] = json!(invoked.conflicts);
    output::print(&shown, json)
}

/// Asks.
pub(super) async fn evaluate(args: EvaluateArgs) -> Result<(), NodeError> {
    let mut client = connect(&args.endorsers, &args.chaincode).await?;
    // A question needs no signature; with one the chaincode may answer what only its sender may know.
    let key = match &args.signer.from {
        None => None,
        Some(_) => Some(args.signer.key(client.chain.genesis())?),
    };
    let answer = client.evaluate(key.as_ref(), call(&args.method, &args.args)).await?;
    let value = value(answer.output)?;
    output::print(&shown_output(&value_of(value))?, args.endorsers.node.json)
}

fn value_of(value: Vec<u8>) -> paralith_runtime_api::output::Output {
    paralith_runtime_api::output::Output::Ok(value)
}

/// Goes on with a call: commits it, if that is not done, and reads its result.
pub(super) async fn result(args: ResultArgs) -> Result<(), NodeError> {
    let mut file = CallFile::read(&args.call)?;
    let mut client = connect(&args.endorsers, &file.application.to_string()).await?;
    check_chain(&client, &file)?;
    client.options = args.ledger.options();
    if let (None, Some(commit)) = (file.round, file.commit()) {
        let key = args.signer.key(client.chain.genesis())?;
        match client.commit(&key, &commit).await {
            Ok(committed) => file.round = Some(committed.round),
            // Then its result is there.
            Err(NodeError::Refused(error))
                if error.is("ledger", paralith_chaincode_messages::order::CODE_COMMITTED) => {}
            Err(error) => return Err(error),
        }
        file.write(&args.call)?;
    }
    let output = client.result(&mut file).await?;
    file.write(&args.call)?;
    output::print(&shown(&file, shown_output(&output)?), args.endorsers.node.json)
}

fn check_chain(client: &ChaincodeClient, file: &CallFile) -> Result<(), NodeError> {
    let here = client.chain.chain_context();
    if here == file.chain {
        return Ok(());
    }
    let reason = format!("it is of the chain {}, the node's is {here}", file.chain);
    Err(NodeError::usage("the call", reason))
}

/// Shows what a committed call asked to reveal.
pub(super) async fn reveal(args: RevealArgs) -> Result<(), NodeError> {
    let handle = hex::decode(&args.handle).map_err(|e| NodeError::usage(&args.handle, e))?;
    let mut client = connect(&args.endorsers, &args.chaincode).await?;
    let output = client.reveal(&args.tx_id, handle).await?;
    output::print(&shown_output(&output)?, args.endorsers.node.json)
}

/// Shows the definition, and how the endorsers are.
pub(super) async fn status(args: StatusArgs) -> Result<(), NodeError> {
    let mut client = on_chain(&args.node, &args.chaincode).await?;
    let id = client.runtime.id;
    let enclaves: Vec<Value> = client
        .chain
        .enclaves(&id)
        .await?
        .into_iter()
        .map(|one| json!({ "rak": one.rak, "enclave": one.enclave }))
        .collect();
    let mut endorsers = Vec::new();
    for address in &args.endorsers {
        endorsers.push(endorser(address, &args.node).await);
    }
    let definition = &client.definition;
    let shown = json!({
        "chaincode": id, "name": client.runtime.name, "sequence": definition.sequence,
        "code": definition.code, "organisations": definition.organisations,
        "ledger": definition.terms.ledger, "anchor_blocks": definition.terms.anchor_blocks,
        "commit_blocks": definition.terms.commit_blocks, "max_gas": definition.terms.max_gas,
        "early_results": definition.terms.early_results, "issuers": definition.terms.issuers,
        "enclaves": enclaves, "endorsers": endorsers,
    });
    output::print(&shown, args.node.json)
}

async fn endorser(address: &str, node: &NodeArgs) -> Value {
    let asked = async {
        let mut client = EndorserClient::connect(address, &node.tls.trust()?).await?;
        client.status().await
    };
    match asked.await {
        Ok(status) => json!({
            "endorser": address, "state": state(status.state()), "reason": status.reason,
            "code": hex::encode(status.code_id), "rak": hex::encode(status.rak),
            "round": status.round, "height": status.height,
        }),
        Err(error) => {
            json!({ "endorser": address, "state": "unreachable", "reason": error.to_string() })
        }
    }
}

fn state(state: pb::EndorserState) -> &'static str {
    match state {
        pb::EndorserState::Unspecified => "unknown",
        pb::EndorserState::Starting => "starting",
        pb::EndorserState::Unregistered => "unregistered",
        pb::EndorserState::Stale => "stale",
        pb::EndorserState::Keyless => "keyless",
        pb::EndorserState::Serving => "serving",
    }
}

/// Makes a receipt.
pub(super) async fn receipt(args: MakeReceiptArgs) -> Result<(), NodeError> {
    let file = CallFile::read(&args.call)?;
    let mut client = on_chain(&args.node, &file.application.to_string()).await?;
    check_chain(&client, &file)?;
    let shown = Shown { caller: args.show_caller, result: args.show_result };
    let receipt = client.receipt(&file, shown).await?;
    write_private(&args.out, &receipt)?;
    let shown = json!({
        "tx": file.tx_id, "receipt": args.out.display().to_string(), "bytes": receipt.len(),
        "chain": client.chain.chain_context(),
    });
    output::print(&shown, args.node.json)
}

/// Verifies a receipt offline.
pub(super) fn verify(args: &VerifyReceiptArgs) -> Result<(), NodeError> {
    let read = |file: &Path| {
        std::fs::read(file).map_err(|e| NodeError::io(file.display().to_string(), &e))
    };
    let what = args.genesis.display().to_string();
    let text = String::from_utf8(read(&args.genesis)?).map_err(|e| NodeError::usage(&what, e))?;
    let genesis = GenesisInfo::parse(&text)?;
    if args.chain.is_some_and(|chain| chain != genesis.context) {
        let reason = format!("it is the document of another chain, {}", genesis.context);
        return Err(NodeError::usage(what, reason));
    }
    let verified = verify_receipt(&genesis.document, &read(&args.receipt)?)
        .map_err(|error| NodeError::Refused(Error::from(error)))?;
    let result = verified.output.as_ref().map(shown_output).transpose()?;
    let response = &verified.response;
    let shown = json!({
        "verified": true, "chain": genesis.context, "tx": response.tx_id,
        "chaincode": response.application, "ledger": response.ledger,
        "sequence": response.sequence, "round": verified.round, "pinned": verified.pinned,
        "organisations": verified.organisations, "caller": verified.client, "result": result,
    });
    output::print(&shown, args.json)
}

/// Revokes a certificate.
pub(super) async fn revoke(args: RevokeArgs) -> Result<(), NodeError> {
    let mut client = on_chain(&args.node, &args.chaincode).await?;
    let key = args.signer.key(client.chain.genesis())?;
    client.options = args.ledger.options();
    let revoke = Revoke { application: client.runtime.id, serial: args.serial };
    let call = Call { method: "revoke".to_string(), args: revoke.encode() };
    let confirmed = client.submit(&key, call).await?;
    value(confirmed.output)?;
    let shown = json!({
        "chaincode": client.runtime.id, "issuer": key.public(), "serial": args.serial,
        "round": confirmed.header.round,
    });
    output::print(&shown, args.node.json)
}
