//! `paralith runtime deploy`

use std::time::Duration;

use paralith_consensus_api::registry::{RegisterEntity, RegisterRuntime, Runtime, RuntimeKind};
use paralith_consensus_api::{keymanager, registry};
use paralith_crypto::SigningKey;
use paralith_crypto::hash::{Domain, hash};
use paralith_proto::pb::paratime::v1 as ppb;
use paralith_types::{Error, Retry, RuntimeId};
use serde_json::json;

use super::{DeployArgs, RulesArgs, output};
use crate::client::{ChainClient, TxOptions, refused};
use crate::dev::network_spec;
use crate::error::NodeError;
use crate::network;

const RUNTIME_ID_DOMAIN: Domain = Domain::new("paralith/runtime-id/v1");

/// How often, and after which pause, a module is offered to a node that does not know yet that the
/// chain names it.
const UPLOAD_TRIES: u32 = 60;
const UPLOAD_PAUSE: Duration = Duration::from_millis(500);

/// Registers a ParaTime, then uploads its module: nodes take only modules that the chain names.
pub(super) async fn run(args: DeployArgs) -> Result<(), NodeError> {
    let file = args.module.display().to_string();
    let module = std::fs::read(&args.module).map_err(|e| NodeError::io(&file, &e))?;
    // What every node would refuse after the registration is refused before it is paid for.
    paralith_runtime_vm::check(&module)
        .map_err(|error| NodeError::Refused(Error::new("upload", error.code(), &error)))?;
    let mut chain = args.node.connect().await?;
    let key = args.signer.key(chain.genesis())?;
    let fee = args.fee.options();
    let owner = key.public();

    let key_manager = key_manager(&args, &mut chain).await?;
    let code = network::code_of(&module);
    let development = chain.genesis().is_development();
    let runtime = Runtime {
        id: runtime_id(&owner, &args.name, code.id.as_bytes()),
        allow_plain_calls: args.allow_plain,
        key_manager,
        ..descriptor(&args, development, owner, &module)
    };
    let entity: Option<registry::Entity> = chain.get(&registry::keys::entity(&owner)).await?;
    if entity.is_none() {
        let entity = registry::Entity { id: owner, nodes: Vec::new() };
        chain.submit(&key, RegisterEntity { entity }, fee).await?;
    }
    let included = chain.submit(&key, RegisterRuntime { runtime: runtime.clone() }, fee).await?;
    upload(&chain, &module, code.id.as_bytes()).await?;
    if let Some(manager) = key_manager {
        allow(&mut chain, &key, fee, &manager, &runtime.id).await?;
    }
    let shown = json!({
        "runtime": runtime.id, "name": runtime.name, "code": code.id,
        "confidential": runtime.confidential, "height": included.height,
        "gas_used": included.gas_used, "gas_limit": included.gas_limit, "fee": included.fee,
        "executor": runtime.executor, "batching": runtime.batching,
        "min_gas_price": runtime.min_gas_price,
        "next": format!("it runs from the next epoch on: paralith runtime watch {}", runtime.name),
    });
    output::print(&shown, args.node.json)
}

/// The id that the command line gives a runtime. `code` is empty for one that has none.
pub(crate) fn runtime_id(owner: &paralith_types::PublicKey, name: &str, code: &[u8]) -> RuntimeId {
    let parts: [&[u8]; 3] = [owner.as_bytes(), name.as_bytes(), code];
    RuntimeId(hash(RUNTIME_ID_DOMAIN, &parts).0)
}

async fn key_manager(
    args: &DeployArgs,
    chain: &mut ChainClient,
) -> Result<Option<RuntimeId>, NodeError> {
    if !args.confidential {
        return Ok(None);
    }
    let runtimes = chain.runtimes().await?;
    let manager = runtimes.iter().find(|runtime| runtime.kind == RuntimeKind::KeyManager);
    match manager {
        Some(manager) => Ok(Some(manager.id)),
        None => Err(NodeError::usage("--confidential", "this chain has no key manager")),
    }
}

/// The descriptor, with the rules of the options; the others follow from the kind of chain, since
/// timeouts for one machine would fail every round of a network across the world.
fn descriptor(
    args: &DeployArgs,
    development: bool,
    owner: paralith_types::PublicKey,
    module: &[u8],
) -> Runtime {
    let mut spec = network_spec(0);
    if !development {
        (spec.executor, spec.batching) = network::wide_rules();
    }
    let RulesArgs {
        workers,
        backups,
        stragglers,
        round_timeout_blocks,
        flush_timeout_ms,
        propose_timeout_ms,
        min_gas_price,
    } = &args.rules;
    let executor = &mut spec.executor;
    set(&mut executor.workers, *workers);
    set(&mut executor.backups, *backups);
    set(&mut executor.allowed_stragglers, *stragglers);
    set(&mut executor.round_timeout_blocks, *round_timeout_blocks);
    set(&mut spec.batching.flush_timeout_ms, *flush_timeout_ms);
    set(&mut spec.batching.propose_timeout_ms, *propose_timeout_ms);
    let init = args.init.clone().into_bytes();
    let mut runtime = spec.runtime(&args.name, owner, module, args.confidential, init);
    set(&mut runtime.min_gas_price, *min_gas_price);
    runtime
}

fn set<T: Copy>(field: &mut T, given: Option<T>) {
    if let Some(value) = given {
        *field = value;
    }
}

pub(crate) async fn upload(
    chain: &ChainClient,
    module: &[u8],
    code_id: &[u8],
) -> Result<(), NodeError> {
    use ppb::para_time_service_client::ParaTimeServiceClient;
    let mut service = ParaTimeServiceClient::new(chain.channel())
        .max_encoding_message_size(paralith_consensus_client::RESPONSE_MAX_BYTES);
    let mut tries = 0;
    loop {
        let request = ppb::UploadCodeRequest { module: module.to_vec() };
        let error = match service.upload_code(request).await {
            Ok(uploaded) if uploaded.get_ref().code_id == code_id => return Ok(()),
            Ok(_) => {
                let reason = "another module was kept".to_string();
                return Err(NodeError::Unverifiable { reason });
            }
            Err(status) => refused(&status),
        };
        tries += 1;
        let passes = matches!(&error, NodeError::Refused(Error { retry: Retry::Later, .. }));
        if !passes || tries == UPLOAD_TRIES {
            return Err(error);
        }
        paralith_rt::sleep(UPLOAD_PAUSE).await;
    }
}

/// Lets the enclaves of a confidential ParaTime ask for its keys. The key manager's owner decides.
pub(crate) async fn allow(
    chain: &mut ChainClient,
    key: &SigningKey,
    fee: TxOptions,
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
    let update = keymanager::UpdatePolicy { policy };
    match chain.submit(key, update, fee).await.map_err(NodeError::from) {
        Ok(_) => Ok(()),
        Err(NodeError::Refused(error)) => Err(NodeError::Refused(Error {
            message: format!(
                "{}. The ParaTime is registered, but the key manager's owner must allow its enclaves \
                 before it can run",
                error.message
            ),
            ..error
        })),
        Err(other) => Err(other),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::super::{Cli, Command, RuntimeCommand};
    use super::*;

    fn args(more: &[&str]) -> DeployArgs {
        let words = ["paralith", "runtime", "deploy", "m.wasm", "--name", "n"];
        match Cli::parse_from(words.iter().chain(more)).command {
            Command::Runtime(RuntimeCommand::Deploy(args)) => args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_public_chain_gets_no_development_timeouts() {
        let owner = SigningKey::from_seed([1; 32]).public();
        let development = descriptor(&args(&[]), true, owner, b"m");
        let known = network_spec(0).executor;
        assert_eq!(development.executor.round_timeout_blocks, known.round_timeout_blocks);
        let public = descriptor(&args(&[]), false, owner, b"m");
        assert_eq!(public.executor.allowed_stragglers, 0);
        assert!(public.batching.propose_timeout_ms > development.batching.propose_timeout_ms);
        assert!(public.executor.round_timeout_blocks > development.executor.round_timeout_blocks);
        let given = ["--workers", "5", "--round-timeout-blocks", "7", "--min-gas-price", "3"];
        let chosen = descriptor(&args(&given), false, owner, b"m");
        assert_eq!((chosen.executor.workers, chosen.executor.round_timeout_blocks), (5, 7));
        assert_eq!(chosen.min_gas_price.0, 3);
    }
}
