//! `paralith start`

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use paralith_consensus_abci::Application;
use paralith_consensus_engine::headers::ConsensusKey;
use paralith_consensus_engine::{
    CometEngine, CometOptions, Engine, SoloEngine, SoloOptions, system_clock,
};
use paralith_crypto::SigningKey;
use paralith_crypto::hash::{Domain, hash};
use paralith_genesis::Document;
use paralith_private_contract_stakeholder::Keys;
use paralith_storage::{Files, Kv};
use tokio_util::sync::CancellationToken;

use super::StartArgs;
use super::signals::EndSignals;
use crate::assemble::{NodeConfig, assemble};
use crate::chain::{Source, engine_error};
use crate::config::{Config, EnclavePlacement, EngineConfig, Profile};
use crate::data::DataHost;
use crate::enclave::Placement;
use crate::error::NodeError;
use crate::genesis_info::GenesisInfo;
use crate::keystore::read_key;
use crate::links::endpoint::{ClientTls, Trust};
use crate::links::{MemberServices, TlsNetwork};
use crate::remote::RemoteChain;
use crate::roles::compute::Connect;
use crate::rpc;
use crate::store;
use crate::systems::chaincode::EndorserRole;
use crate::systems::private_contract::{self, RoleConfig, StakeholderRole, Via};

/// Names the process that started this node as part of a local network.
pub(super) const PARENT_VARIABLE: &str = "PARALITH_PARENT";

const NO_VALIDATOR: Domain = Domain::new("paralith/key-of-no-validator/v1");

/// Runs one node until a signal stops it.
pub async fn run(args: StartArgs, connect: Connect) -> Result<(), NodeError> {
    end_with_parent()?;
    let mut signals = EndSignals::listen()?;
    let config = Config::load(&args.config)?;
    let stop = CancellationToken::new();
    let keys = private_contract::keys(&config)?;
    let (source, engine, kv) = source(&config, &stop).await?;
    let node_key = node_key(&config, keys.as_ref().map(|(keys, _)| keys))?;
    let mut parts = node_config(&config, node_key, kv, &source, stop.clone(), connect)?;
    let stakeholder = keys.map(|keys| stakeholder(&config, keys, &parts)).transpose()?;
    if let Some(role) = &stakeholder {
        role.add_to(&mut parts);
    }
    let endorser = config.endorser.clone().map(|section| EndorserRole::new(section, &parts));
    let endorser = endorser.transpose()?;
    if let Some(role) = &endorser {
        role.add_to(&mut parts);
    }
    let network = Arc::clone(&parts.network);
    let node = assemble(parts, source)?;
    node.serve_links(config.link_listen).await?;
    let endpoint = rpc::serve(config.listen, config.tls.as_ref(), Arc::clone(&node.state)).await?;
    let via = submits_by(&config, endpoint)?;
    let _endorser = endorser.map(|role| role.start(&node));
    let _role = stakeholder.map(|role| role.start(&node.state, network, via));
    tracing::info!(name = %config.name, %endpoint, "running");
    let ended = wait(engine.as_ref(), &mut signals).await;
    stop.cancel();
    if let Some(engine) = engine {
        engine.shutdown().await.map_err(|e| engine_error(&e))?;
    }
    ended
}

/// The role of a stakeholder's node.
fn stakeholder(
    config: &Config,
    (keys, key_files): (Keys, Files),
    parts: &NodeConfig,
) -> Result<StakeholderRole, NodeError> {
    let section = config.stakeholder.as_ref();
    let origins = section.and_then(|one| one.tls.as_ref()).map(ClientTls::trust);
    StakeholderRole::new(RoleConfig {
        keys,
        key_files,
        mediator: section.map(|one| one.mediator.clone()).unwrap_or_default(),
        gas_limit: section.and_then(|one| one.gas_limit),
        link_address: config.link_address.clone().unwrap_or_default(),
        origin: section.map(|one| one.origin.clone()).unwrap_or_default(),
        origins: origins.transpose()?.unwrap_or_default(),
        chain_context: parts.genesis.context,
        kv: parts.kv.clone(),
    })
}

/// Through which nodes a stakeholder submits: those that it follows the chain by, or itself.
fn submits_by(config: &Config, endpoint: SocketAddr) -> Result<Vec<Via>, NodeError> {
    match &config.engine {
        EngineConfig::Light { nodes, tls } => {
            let trust = tls.as_ref().map(ClientTls::trust).transpose()?.unwrap_or_default();
            Ok(nodes.iter().map(|node| Via { node: node.clone(), trust: trust.clone() }).collect())
        }
        EngineConfig::Solo | EngineConfig::Cometbft { .. } => {
            Ok(vec![Via { node: format!("http://{endpoint}"), trust: Trust::System }])
        }
    }
}

/// The node's key: that of its file, or a stakeholder's account key.
fn node_key(config: &Config, keys: Option<&Keys>) -> Result<SigningKey, NodeError> {
    match (keys, &config.node_key) {
        (Some(keys), _) => Ok(keys.account_key().clone()),
        (None, Some(file)) => read_key(file),
        (None, None) => Err(NodeError::usage("node_key", "the configuration names no key")),
    }
}

/// A node of a local network ends with the program that started it, however that ends: there are no
/// orphans.
fn end_with_parent() -> Result<(), NodeError> {
    let Some(parent) = std::env::var(PARENT_VARIABLE).ok().and_then(|pid| pid.parse::<i32>().ok())
    else {
        return Ok(());
    };
    let failed = |e: rustix::io::Errno| NodeError::io("watching the local network", &e.into());
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM))
        .map_err(failed)?;
    // It may have ended before the signal was asked for.
    let now = rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get());
    if now == parent {
        Ok(())
    } else {
        Err(NodeError::NotReady { reason: "the local network has ended".to_string() })
    }
}

/// Until it is asked to stop, or the engine cannot go on.
async fn wait(engine: Option<&Arc<dyn Engine>>, signals: &mut EndSignals) -> Result<(), NodeError> {
    let failed = async {
        let Some(engine) = engine else { return std::future::pending().await };
        let mut fatal = engine.fatal();
        loop {
            if let Some(reason) = fatal.borrow().clone() {
                return reason;
            }
            if fatal.changed().await.is_err() {
                return "the engine has ended".to_string();
            }
        }
    };
    tokio::select! {
        biased;
        () = signals.received() => Ok(()),
        reason = failed => Err(NodeError::NotReady { reason }),
    }
}

fn genesis(config: &Config) -> Result<GenesisInfo, NodeError> {
    let text = std::fs::read_to_string(&config.genesis)
        .map_err(|e| NodeError::io(config.genesis.display().to_string(), &e))?;
    Ok(GenesisInfo::parse(&text)?)
}

async fn source(
    config: &Config,
    stop: &CancellationToken,
) -> Result<(Source, Option<Arc<dyn Engine>>, Kv), NodeError> {
    let genesis = genesis(config)?;
    store::check_build(config)?;
    let kv = store::open(&config.home.join("store"), config.compression)?;
    let engine: Arc<dyn Engine> = match &config.engine {
        EngineConfig::Light { nodes, tls } => {
            let trust = tls.as_ref().map_or(Ok(Trust::System), ClientTls::trust)?;
            let remote = RemoteChain::start(&genesis, nodes, &trust, stop.clone())?;
            return Ok((Source::Remote(remote), None, kv));
        }
        EngineConfig::Solo => {
            let application = Application::open(kv.clone()).map_err(|e| NodeError::internal(&e))?;
            let key = consensus_key(config, &node_key(config, None)?)?;
            let options = SoloOptions {
                document: genesis.document,
                kv: kv.clone(),
                home: Some(config.home.clone()),
                keys: vec![ConsensusKey::from_seed(*key.seed())],
                empty_block_interval: std::time::Duration::from_secs(1),
                max_block_bytes: 4 * 1024 * 1024,
                clock: system_clock(),
            };
            let engine = SoloEngine::start(&application, options).await;
            Arc::new(engine.map_err(|e| engine_error(&e))?)
        }
        EngineConfig::Cometbft { .. } => {
            let application = Application::open(kv.clone()).map_err(|e| NodeError::internal(&e))?;
            let key = consensus_key(config, &node_key(config, None)?)?;
            let options = comet_options(config, genesis.document, key)?;
            let engine = CometEngine::start(&application, options).await;
            Arc::new(engine.map_err(|e| engine_error(&e))?)
        }
    };
    Ok((Source::Engine(Arc::clone(&engine)), Some(engine), kv))
}

/// How CometBFT runs, by the configuration.
fn comet_options(
    config: &Config,
    document: Document,
    key: SigningKey,
) -> Result<CometOptions, NodeError> {
    let EngineConfig::Cometbft {
        p2p_listen,
        persistent_peers,
        profile,
        seeds,
        external_address,
        prometheus,
        empty_block_interval_ms,
        took_over_key,
    } = &config.engine
    else {
        return Err(NodeError::internal(&"the engine is not CometBFT"));
    };
    let home = config.home.join("cometbft");
    let mut options = match profile {
        // Many nodes share the machine.
        Profile::Local => {
            CometOptions { max_procs: Some(1), ..CometOptions::local(document, home, key) }
        }
        Profile::Wide => CometOptions::wide(document, home, key),
    };
    options.p2p_listen = p2p_listen.to_string();
    options.p2p_external = external_address.clone().unwrap_or_default();
    options.persistent_peers = persistent_peers.clone();
    options.seeds = seeds.clone();
    options.prometheus = prometheus.map(|address| address.to_string());
    options.moniker = config.name.clone();
    options.node_key = node_key(config, None)?;
    options.took_over_key = *took_over_key;
    if let Some(interval) = empty_block_interval_ms {
        options.timing.empty_block_interval_ms = *interval;
    }
    Ok(options)
}

/// A node that is no validator has a consensus key too, since registrations name one; nothing signs
/// with it but the registration.
fn consensus_key(config: &Config, node_key: &SigningKey) -> Result<SigningKey, NodeError> {
    match &config.consensus_key {
        Some(file) => read_key(file),
        None => Ok(SigningKey::from_seed(hash(NO_VALIDATOR, &[&node_key.seed()[..]]).0)),
    }
}

fn node_config(
    config: &Config,
    node_key: SigningKey,
    kv: Kv,
    source: &Source,
    stop: CancellationToken,
    connect: Connect,
) -> Result<NodeConfig, NodeError> {
    let entity = match &config.entity {
        Some(entity) => entity.parse().map_err(|e| NodeError::usage("entity", e))?,
        None => node_key.public(),
    };
    let program = || -> Result<PathBuf, NodeError> {
        std::env::current_exe().map_err(|e| NodeError::io("this program's own file", &e))
    };
    Ok(NodeConfig {
        name: config.name.clone(),
        genesis: genesis(config)?,
        consensus_key: consensus_key(config, &node_key)?,
        entity,
        roles: config.roles.clone(),
        addresses: config.link_address.iter().cloned().collect(),
        runtimes: config.runtimes.clone(),
        state_kept_blocks: config.paratime.kept_blocks(),
        modules: Vec::new(),
        placement: match config.enclave {
            EnclavePlacement::Inprocess => Placement::InProcess,
            EnclavePlacement::Process => Placement::Process { program: program()? },
        },
        platform: config.software_platform_key.as_deref().map(read_key).transpose()?,
        connect,
        kv,
        home: Some(config.home.clone()),
        engine_name: match (source, &config.engine) {
            (Source::Remote(_), _) => "light",
            (_, EngineConfig::Solo) => "solo",
            _ => "cometbft",
        },
        network: TlsNetwork::new(node_key.clone(), config.record.clone()),
        record: config.record.clone(),
        // The systems that a node runs add their services and rules.
        public: Vec::new(),
        members: MemberServices::default(),
        data: config.data.map(|limits| DataHost { limits, rules: Vec::new() }),
        stop,
        node_key,
    })
}
