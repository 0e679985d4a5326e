//! `paralith chaincode init`: an organisation's endorser.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use paralith_consensus_api::registry::{self, Entity, RegisterEntity};
use paralith_consensus_api::{address, staking};
use paralith_crypto::SigningKey;
use paralith_types::{Amount, PublicKey};
use serde_json::json;

use super::{InitArgs, deploy};
use crate::cli::{NodeArgs, output, shared};
use crate::client::{ChainClient, TxOptions};
use crate::config::{Config, EnclavePlacement, EndorserConfig, EngineConfig, ParaTimeConfig, Role};
use crate::error::NodeError;
use crate::keystore::{read_key, write_private};
use crate::links::endpoint::ClientTls;
use crate::network;

/// An endorser's node that is to be made.
#[derive(Debug)]
pub(crate) struct NewEndorser<'a> {
    /// Its folder.
    pub(crate) folder: &'a Path,
    /// The application's id.
    pub(crate) application: String,
    pub(crate) listen: SocketAddr,
    /// Its organisation.
    pub(crate) entity: PublicKey,
    pub(crate) node_key: &'a SigningKey,
    /// Vouches for its enclave.
    pub(crate) platform: &'a SigningKey,
    /// The module, if it brings it.
    pub(crate) module: Option<&'a [u8]>,
    /// The full node by which it follows the chain.
    pub(crate) node: &'a str,
    pub(crate) tls: Option<ClientTls>,
}

impl NewEndorser<'_> {
    /// Writes its keys, configuration, module and genesis document.
    pub(crate) fn make(&self, genesis: &str) -> Result<(), NodeError> {
        let file = |name: &str| self.folder.join(name);
        let secret = |key: &SigningKey| format!("{}\n", hex::encode(&key.seed()[..]));
        write_private(&file("node.key"), secret(self.node_key).as_bytes())?;
        write_private(&file("platform.key"), secret(self.platform).as_bytes())?;
        write_private(&file("genesis.json"), genesis.as_bytes())?;
        if let Some(module) = self.module {
            let id = paralith_runtime_vm::code_id(module);
            write_private(&file("data").join("modules").join(format!("{id}.wasm")), module)?;
        }
        write_private(&file("node.toml"), self.config().to_toml()?.as_bytes())
    }

    fn config(&self) -> Config {
        let (application, calls_per_block) = (self.application.clone(), 64);
        Config {
            name: "endorser".to_string(),
            home: PathBuf::from("data"),
            genesis: PathBuf::from("genesis.json"),
            roles: vec![Role::Endorser],
            node_key: Some(PathBuf::from("node.key")),
            consensus_key: None,
            entity: Some(self.entity.to_string()),
            listen: self.listen,
            tls: None,
            link_listen: None,
            link_address: None,
            data: None,
            stakeholder: None,
            endorser: Some(EndorserConfig { application, calls_per_block }),
            engine: EngineConfig::Light {
                nodes: vec![self.node.to_string()],
                tls: self.tls.clone(),
            },
            runtimes: Vec::new(),
            paratime: ParaTimeConfig::default(),
            enclave: EnclavePlacement::Process,
            software_platform_key: Some(PathBuf::from("platform.key")),
            compression: true,
            record: None,
        }
    }
}

/// Adds a node to the organisation's entity, and gives it something for its fees.
pub(crate) async fn admit(
    chain: &mut ChainClient,
    organisation: &SigningKey,
    node: PublicKey,
    funds: Amount,
    fee: TxOptions,
) -> Result<(), NodeError> {
    let id = organisation.public();
    let known: Option<Entity> = chain.get(&registry::keys::entity(&id)).await?;
    let mut entity = known.unwrap_or(Entity { id, nodes: Vec::new() });
    if let Err(place) = entity.nodes.binary_search(&node) {
        entity.nodes.insert(place, node);
        shared::submit(chain, organisation, RegisterEntity { entity }, fee).await?;
    }
    if funds > Amount::ZERO {
        let transfer = staking::Transfer { to: address::of_key(&node), amount: funds };
        shared::submit(chain, organisation, transfer, fee).await?;
    }
    Ok(())
}

fn platform(args: &InitArgs, development: bool) -> Result<SigningKey, NodeError> {
    match &args.platform_key {
        Some(file) => read_key(file),
        None if development => Ok(network::platform_key(args.seed)),
        None => Err(NodeError::usage(
            "--platform-key",
            "this version knows no TEE of this machine, and the chain is no development chain: name \
             the key that vouches for its software enclaves",
        )),
    }
}

fn tls(node: &NodeArgs) -> Option<ClientTls> {
    let tls = ClientTls { ca: node.tls.tls_ca.clone(), pins: node.tls.tls_pin.clone() };
    (tls != ClientTls::default()).then_some(tls)
}

/// Makes an endorser's folder and has its organisation admit the node.
pub(super) async fn run(args: InitArgs) -> Result<(), NodeError> {
    let listen = args.listen.parse().map_err(|e| NodeError::usage("--listen", e))?;
    let config_file = args.folder.join("node.toml");
    if config_file.exists() {
        let reason = "it is there already: move it away first";
        return Err(NodeError::usage(config_file.display().to_string(), reason));
    }
    let module = args.module.as_deref().map(deploy::module).transpose()?;
    let mut chain = args.node.connect().await?;
    let key = args.signer.key(chain.genesis())?;
    // By its id: anybody may register a runtime of the same name.
    let application = shared::id_of(&mut chain, &args.chaincode).await?.to_string();
    let seed = paralith_rt::random().map_err(|e| NodeError::internal(&e))?;
    let node_key = SigningKey::from_seed(seed);
    let platform = platform(&args, chain.genesis().is_development())?;
    let genesis = chain.genesis().json.clone();
    let new = NewEndorser {
        folder: &args.folder,
        application,
        listen,
        entity: key.public(),
        node_key: &node_key,
        platform: &platform,
        module: module.as_deref(),
        node: &args.node.node,
        tls: tls(&args.node),
    };
    new.make(&genesis)?;
    admit(&mut chain, &key, node_key.public(), args.funds, args.fee.options()).await?;
    let shown = json!({
        "node": node_key.public(), "organisation": key.public(),
        "chain": chain.chain_context(), "config": config_file.display().to_string(),
        "endorser": format!("http://{listen}"),
        "next": format!("paralith start --config {}", config_file.display()),
    });
    output::print(&shown, args.node.json)
}
