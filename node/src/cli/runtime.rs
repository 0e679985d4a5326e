//! `paralith runtime …`

use std::time::Duration;

use paralith_consensus_api::registry::{RegisterEntity, RegisterRuntime, Runtime};
use paralith_consensus_api::{address, keymanager, registry};
use paralith_crypto::hash::{Domain, hash};
use paralith_proto::pb::paratime::v1 as ppb;
use paralith_proto::status::error_of;
use paralith_runtime_api::output::Output;
use paralith_runtime_api::tx::Call;
use paralith_types::{Retry, Round, RuntimeId};
use serde_json::json;

use super::{CallArgs, DeployArgs, RevealArgs, RuntimeCommand, WatchArgs, output};
use crate::client::{ChainClient, ParaTimeClient, refused};
use crate::dev::shape;
use crate::error::NodeError;
use crate::keystore::Keystore;
use crate::network;

/// How often an upload is tried while the node has not seen the descriptor, and how long apart.
const UPLOAD_TRIES: u32 = 100;
const UPLOAD_RETRY: Duration = Duration::from_millis(300);

const RUNTIME_ID_DOMAIN: Domain = Domain::new("paralith/runtime-id/v1");

/// Deploys, calls, asks and watches ParaTimes.
pub async fn run(command: RuntimeCommand) -> Result<(), NodeError> {
    match command {
        RuntimeCommand::Deploy(args) => deploy(args).await,
        RuntimeCommand::Call(args) => call(args).await,
        RuntimeCommand::Query(args) => query(args).await,
        RuntimeCommand::Watch(args) => watch(args).await,
        RuntimeCommand::Reveal(args) => reveal(args).await,
    }
}

async fn deploy(args: DeployArgs) -> Result<(), NodeError> {
    let file = args.module.display().to_string();
    let module = std::fs::read(&args.module).map_err(|e| NodeError::io(&file, &e))?;
    let key = Keystore::open(args.signer.keystore.clone())?.signing_key(&args.signer.from)?;
    let owner = key.public();
    let mut chain = ChainClient::connect(&args.node.node).await?;

    // The node accepts only code that a descriptor names, so the descriptor goes first: refuse here
    // what the node would refuse then, before anything is paid.
    paralith_runtime_vm::check(&module).map_err(|error| NodeError::Refused {
        module: "upload".to_string(),
        code: error.code(),
        message: error.to_string(),
    })?;
    let code = network::code_of(&module);
    let entity: Option<registry::Entity> = chain.get(&registry::keys::entity(&owner)).await?;
    if entity.is_none() {
        let entity = registry::Entity { id: owner, nodes: Vec::new() };
        chain.submit(&key, RegisterEntity { entity }).await?;
    }
    let managers: Vec<Runtime> = chain
        .runtimes()
        .await?
        .into_iter()
        .filter(|runtime| runtime.kind == registry::RuntimeKind::KeyManager)
        .collect();
    let key_manager = match (args.confidential, managers.first()) {
        (false, _) => None,
        (true, Some(manager)) => Some(manager.id),
        (true, None) => {
            return Err(NodeError::usage("--confidential", "this chain has no key manager"));
        }
    };
    let rules = shape(0);
    let parts: [&[u8]; 3] = [owner.as_bytes(), args.name.as_bytes(), code.id.as_bytes()];
    let runtime = Runtime {
        id: RuntimeId(hash(RUNTIME_ID_DOMAIN, &parts).0),
        name: args.name.clone(),
        allow_plain_calls: args.allow_plain,
        key_manager,
        ..rules.runtime(&args.name, owner, &module, args.confidential, args.init.into_bytes())
    };
    let included = chain.submit(&key, RegisterRuntime { runtime: runtime.clone() }).await?;
    upload(&chain, &module).await?;
    if let Some(manager) = key_manager {
        allow(&mut chain, &key, &manager, &runtime.id).await?;
    }
    let shown = json!({
        "runtime": runtime.id, "name": runtime.name, "code": code.id,
        "confidential": runtime.confidential, "height": included.height,
        "next": format!("it runs from the next epoch on: paralith runtime watch {}", runtime.name),
    });
    output::print(&shown, args.node.json)
}

/// Gives the module to the node, which may have to see the descriptor's block first.
async fn upload(chain: &ChainClient, module: &[u8]) -> Result<(), NodeError> {
    use ppb::para_time_service_client::ParaTimeServiceClient;
    let mut service = ParaTimeServiceClient::new(chain.channel());
    let mut tries = 0;
    let uploaded = loop {
        let request = ppb::UploadCodeRequest { module: module.to_vec() };
        match service.upload_code(request).await {
            Ok(uploaded) => break uploaded.into_inner(),
            Err(status) => {
                let later = error_of(&status).is_some_and(|error| error.retry == Retry::Later);
                tries += 1;
                if !later || tries == UPLOAD_TRIES {
                    return Err(refused(&status));
                }
                paralith_rt::sleep(UPLOAD_RETRY).await;
            }
        }
    };
    if uploaded.code_id == paralith_runtime_vm::code_id(module).as_bytes() {
        Ok(())
    } else {
        Err(NodeError::Unverifiable { reason: "the node kept another module".to_string() })
    }
}

/// Lets the enclaves of a confidential ParaTime ask for its keys. The key manager's owner decides.
async fn allow(
    chain: &mut ChainClient,
    key: &paralith_crypto::SigningKey,
    manager: &RuntimeId,
    runtime: &RuntimeId,
) -> Result<(), NodeError> {
    let status: keymanager::Status = chain.require(&keymanager::keys::status(manager)).await?;
    let known = status.next_policy.or(status.policy);
    let mut policy = known.unwrap_or_else(|| network::policy(&[], 0));
    policy.serial = policy.serial.saturating_add(1);
    let measurements = network::tee_policy().measurements;
    policy.runtimes.retain(|known| known.runtime_id != *runtime);
    policy.runtimes.push(keymanager::RuntimePolicy { runtime_id: *runtime, measurements });
    policy.runtimes.sort_by_key(|known| known.runtime_id);
    match chain.submit(key, keymanager::UpdatePolicy { policy }).await {
        Ok(_) => Ok(()),
        Err(NodeError::Refused { module, code, message }) => Err(NodeError::Refused {
            module,
            code,
            message: format!(
                "{message}. The ParaTime is registered, but the key manager's owner must allow its \
                 enclaves before it can run"
            ),
        }),
        Err(other) => Err(other),
    }
}

async fn call(args: CallArgs) -> Result<(), NodeError> {
    let key = Keystore::open(args.signer.keystore.clone())?.signing_key(&args.signer.from)?;
    let mut chain = ChainClient::connect(&args.node.node).await?;
    let mut paratime = ParaTimeClient::new(&mut chain, &args.runtime).await?;
    let nonce = paratime.nonce(&mut chain, &address::of_key(&key.public())).await?;
    let call = Call { method: args.method.clone(), args: args.args.clone().into_bytes() };
    let sent = paratime.prepare(&mut chain, &key, nonce, args.gas, call).await?;
    let json = args.node.json;
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
        "encrypted": paratime.runtime.confidential, "result": shown_output(&confirmed.output)?,
    });
    output::print(&shown, json)
}

/// The runtime's value as JSON, text or hexadecimal; its refusal as an error.
fn shown_output(output: &Output) -> Result<serde_json::Value, NodeError> {
    match output {
        Output::Ok(value) if value.is_empty() => Ok(serde_json::Value::Null),
        Output::Ok(value) => {
            Ok(serde_json::from_slice(value).unwrap_or_else(|_| match std::str::from_utf8(value) {
                Ok(text) => text.into(),
                Err(_) => hex::encode(value).into(),
            }))
        }
        Output::Error(e) => Err(NodeError::Refused {
            module: e.module.clone(),
            code: e.code,
            message: e.message.clone(),
        }),
    }
}

async fn query(args: CallArgs) -> Result<(), NodeError> {
    let key = Keystore::open(args.signer.keystore.clone())?.signing_key(&args.signer.from)?;
    let mut chain = ChainClient::connect(&args.node.node).await?;
    let mut paratime = ParaTimeClient::new(&mut chain, &args.runtime).await?;
    let call = Call { method: args.method.clone(), args: args.args.clone().into_bytes() };
    let answer = paratime.query(&mut chain, Some(&key), call).await?;
    output::print(&shown_output(&answer)?, args.node.json)
}

async fn watch(args: WatchArgs) -> Result<(), NodeError> {
    let mut chain = ChainClient::connect(&args.node.node).await?;
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
    let mut chain = ChainClient::connect(&args.node.node).await?;
    let mut paratime = ParaTimeClient::new(&mut chain, &args.runtime).await?;
    let answer = paratime.reveal(Round(args.round), handle).await?;
    output::print(&shown_output(&answer)?, args.node.json)
}
