//! `paralith chaincode deploy, upload, allow`

use std::path::Path;

use paralith_chaincode_messages::{Message as _, Terms};
use paralith_consensus_api::registry::{
    self, Batching, Entity, Executor, RegisterEntity, RegisterRuntime, Runtime, RuntimeKind,
    RuntimeStaking,
};
use paralith_policy::Policy;
use paralith_types::{Amount, Error, PublicKey, RuntimeId};
use serde_json::{Value, json};

use super::{AllowArgs, DeployArgs, Sample, SampleArgs, UploadArgs};
use crate::cli::{deploy as runtime, output, shared};
use crate::client::ChainClient;
use crate::error::NodeError;
use crate::keystore::Keystore;
use crate::{guests, network};

pub(super) fn module(file: &Path) -> Result<Vec<u8>, NodeError> {
    let module = std::fs::read(file).map_err(|e| NodeError::io(file.display().to_string(), &e))?;
    // What every node would refuse after the registration is refused before it is paid for.
    paralith_runtime_vm::check(&module)
        .map_err(|error| NodeError::Refused(Error::new("upload", error.code(), &error)))?;
    Ok(module)
}

/// Writes a module of this program's.
pub(super) fn sample(args: &SampleArgs) -> Result<(), NodeError> {
    let module = match args.sample {
        Sample::SecretKeeper => guests::SECRET_KEEPER,
        Sample::Auction => guests::AUCTION,
        Sample::Ledger => guests::CHAINCODE_LEDGER,
    };
    let file = args.out.display().to_string();
    std::fs::write(&args.out, module).map_err(|e| NodeError::io(&file, &e))?;
    let code = paralith_runtime_vm::code_id(module);
    output::print(&json!({ "module": file, "code": code, "bytes": module.len() }), args.json)
}

/// Proposes a chaincode, or the next version of one.
pub(super) async fn deploy(args: DeployArgs) -> Result<(), NodeError> {
    let module = module(&args.module)?;
    let mut chain = args.node.connect().await?;
    let key = args.signer.key(chain.genesis())?;
    let named = organisations(&args, &chain)?;
    let terms = terms(&args, &mut chain, &named).await?;
    let (approval, disjoint) = shared::approval_of(named, &args.policy)?;
    let code = network::code_of(&module);
    let fee = args.fee.options();
    let all = chain.runtimes().await?;
    let known =
        all.iter().find(|one| one.kind == RuntimeKind::Application && one.name == args.name);
    let (approval, tee) = (Some(approval), Some(network::tee_policy()));
    let descriptor = match known {
        Some(known) => Runtime {
            code: Some(code),
            sequence: known.sequence.saturating_add(1),
            approval,
            tee,
            terms: terms.encode(),
            ..known.clone()
        },
        None => {
            let owner = key.public();
            let id = runtime::runtime_id(&owner, &args.name, code.id.as_bytes());
            let key_manager = key_manager(&all)?;
            register_entity(&mut chain, &key, fee).await?;
            let (name, terms) = (args.name.clone(), terms.encode());
            let base = application(id, owner, name, key_manager);
            Runtime { code: Some(code), approval, tee, terms, ..base }
        }
    };
    let body = RegisterRuntime { runtime: descriptor.clone() };
    let included = shared::submit(&mut chain, &key, body, fee).await?;
    let hash = descriptor.descriptor_hash();
    let mut shown = json!({
        "runtime": descriptor.id, "name": descriptor.name, "sequence": descriptor.sequence,
        "code": descriptor.code.as_ref().map(|code| code.id), "descriptor": hash,
        "height": included.height, "gas_used": included.gas_used, "fee": included.fee,
        "next": format!("have it approved: paralith runtime approve {} {hash}", descriptor.id),
    });
    if disjoint != Value::Null {
        shown["decide_apart"] = disjoint;
    }
    output::print(&shown, args.node.json)
}

async fn register_entity(
    chain: &mut ChainClient,
    key: &paralith_crypto::SigningKey,
    fee: crate::client::TxOptions,
) -> Result<(), NodeError> {
    let owner = key.public();
    let entity: Option<Entity> = chain.get(&registry::keys::entity(&owner)).await?;
    if entity.is_none() {
        let entity = Entity { id: owner, nodes: Vec::new() };
        shared::submit(chain, key, RegisterEntity { entity }, fee).await?;
    }
    Ok(())
}

fn organisations(
    args: &DeployArgs,
    chain: &ChainClient,
) -> Result<Vec<(String, PublicKey)>, NodeError> {
    let development = chain.genesis().is_development();
    let keystore = Keystore::open(args.signer.keystore.clone())?;
    let named = args.organisation.iter();
    let named = named.map(|text| shared::organisation(&keystore, text, development));
    let mut named = named.collect::<Result<Vec<_>, _>>()?;
    named.sort_by_key(|(_, key)| *key);
    Ok(named)
}

async fn terms(
    args: &DeployArgs,
    chain: &mut ChainClient,
    named: &[(String, PublicKey)],
) -> Result<Terms, NodeError> {
    let ledger = chain.runtime(&args.ledger).await?;
    if ledger.kind != RuntimeKind::Compute || ledger.confidential || ledger.approval.is_none() {
        let reason = "a ledger is a public ParaTime whose changes need an approval: without, its \
                      owner alone could change who orders";
        return Err(NodeError::usage(&args.ledger, reason));
    }
    let names: Vec<&str> = named.iter().map(|(name, _)| name.as_str()).collect();
    let text = args.endorsement.as_ref().unwrap_or(&args.policy);
    let endorsement = Policy::parse(text, &names).map_err(|e| NodeError::usage(text, e))?;
    let mut issuers = args.issuer.clone();
    issuers.sort_unstable();
    let terms = Terms {
        ledger: ledger.id,
        endorsement,
        issuers,
        anchor_blocks: args.anchor_blocks,
        commit_blocks: args.commit_blocks,
        max_gas: args.max_gas,
        max_response_bytes: args.max_response_bytes,
        early_results: args.early_results,
    };
    terms.check(names.len()).map_err(|e| NodeError::usage("the terms", e))?;
    Ok(terms)
}

fn key_manager(all: &[Runtime]) -> Result<RuntimeId, NodeError> {
    let manager = all.iter().find(|runtime| runtime.kind == RuntimeKind::KeyManager);
    let reason = "it has no key manager, which chaincode's keys come from";
    manager.map(|manager| manager.id).ok_or_else(|| NodeError::usage("this chain", reason))
}

/// An application has no rounds: all rules for them are empty.
pub(crate) fn application(
    id: RuntimeId,
    owner: PublicKey,
    name: String,
    key_manager: RuntimeId,
) -> Runtime {
    Runtime {
        id,
        entity_id: owner,
        kind: RuntimeKind::Application,
        name,
        code: None,
        confidential: true,
        allow_plain_calls: false,
        key_manager: Some(key_manager),
        tee: None,
        init_argument: Vec::new(),
        min_gas_price: Amount::ZERO,
        max_tx_gas: 0,
        sequence: 1,
        approval: None,
        terms: Vec::new(),
        raw_transactions: false,
        second_key_manager: None,
        executor: Executor::default(),
        batching: Batching::default(),
        staking: RuntimeStaking::default(),
    }
}

/// Gives a module to a compute node.
pub(super) async fn upload(args: UploadArgs) -> Result<(), NodeError> {
    let module = module(&args.module)?;
    let chain = args.node.connect().await?;
    let code = paralith_runtime_vm::code_id(&module);
    runtime::upload(&chain, &module, code.as_bytes()).await?;
    output::print(&json!({ "code": code, "bytes": module.len() }), args.node.json)
}

/// Lets a chaincode's enclaves ask for its keys.
pub(super) async fn allow(args: AllowArgs) -> Result<(), NodeError> {
    let mut chain = args.node.connect().await?;
    let key = args.signer.key(chain.genesis())?;
    let application = chain.runtime(&args.chaincode).await?;
    let manager = application
        .key_manager
        .ok_or_else(|| NodeError::usage(&args.chaincode, "it is public and needs no keys"))?;
    runtime::allow(&mut chain, &key, args.fee.options(), &manager, &application.id).await?;
    let shown = json!({
        "runtime": application.id, "key_manager": manager,
        "next": "its endorsers get their keys in one of the next epochs",
    });
    output::print(&shown, args.node.json)
}
