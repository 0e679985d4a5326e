//! `paralith dev`: a whole chain in one process.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use paralith_consensus_abci::Application;
use paralith_consensus_api::keymanager::{Status as KmStatus, keys};
use paralith_consensus_api::registry::{Batching, Executor, Liveness};
use paralith_consensus_engine::headers::ConsensusKey;
use paralith_consensus_engine::{
    CometEngine, CometOptions, Engine, SoloEngine, SoloOptions, system_clock,
};
use paralith_genesis::GenesisTime;
use paralith_storage::Kv;
use tokio_util::sync::CancellationToken;

use crate::assemble::{Node, NodeConfig, assemble};
use crate::chain::Source;
use crate::cli::{DevArgs, EngineKind};
use crate::config::{ParaTimeConfig, Role};
use crate::enclave::Placement;
use crate::error::NodeError;
use crate::genesis_info::GenesisInfo;
use crate::keystore::write_private;
use crate::links::{BothNetworks, MemberServices, Neighbours, ProcessNetwork, TlsNetwork, bind};
use crate::network::{Network, NetworkSpec};
use crate::roles::compute::as_made;
use crate::rpc;
use crate::state::NodeState;
use crate::store;

/// How often a block is made when nothing happens.
const EMPTY_BLOCK_INTERVAL: Duration = Duration::from_secs(1);

/// The same on CometBFT, which cannot be hurried: epochs count blocks, and the first few bring the
/// secrets.
pub const COMET_BLOCK_INTERVAL_MS: u64 = 50;

/// The first secrets take three epochs: the first ones are short.
const FIRST_EPOCHS: (u64, u64) = (8, 16);

/// A running development chain.
pub struct DevChain {
    /// Where users connect.
    pub endpoint: SocketAddr,
    /// The network.
    pub network: Network,
    engine: Arc<dyn Engine>,
    gateway: Arc<NodeState>,
    /// Their roles run as long as this is kept.
    _nodes: Vec<Node>,
    stop: CancellationToken,
}

impl std::fmt::Debug for DevChain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DevChain({})", self.endpoint)
    }
}

/// What a development chain is made of.
pub fn network_spec(seed: u64) -> NetworkSpec {
    NetworkSpec {
        chain_name: "dev",
        seed,
        validators: 1,
        compute: 3,
        keymanagers: 1,
        client: false,
        epoch_blocks: 40,
        first_epochs: FIRST_EPOCHS,
        executor: Executor {
            workers: 3,
            backups: 3,
            allowed_stragglers: 1,
            round_timeout_blocks: 5,
            max_messages: 32,
            max_in_messages: 32,
            max_failed_rounds: 3,
            liveness: Liveness::STANDARD,
        },
        batching: Batching {
            max_batch_size: 1000,
            max_batch_bytes: 1024 * 1024,
            flush_timeout_ms: 50,
            propose_timeout_ms: 2000,
            max_batch_gas: 10_000_000_000,
            empty_round_blocks: 0,
        },
        confidential: true,
        mediator: false,
        ledger: false,
    }
}

impl DevChain {
    /// Starts a chain, or goes on with the one of a home.
    pub async fn start(args: &DevArgs, home: Option<&Path>) -> Result<Self, NodeError> {
        let network = network(args, home)?;
        let kv = match home {
            Some(home) => store::open(&home.join("store"), true)?,
            None => Kv::memory(),
        };
        let stop = CancellationToken::new();
        let engine = start_engine(args, &network, kv.clone(), home).await?;
        engine.set_hurry(true);
        let neighbours = Neighbours::default();
        let links = OpenLinks::of(args);
        let mut gateway = None;
        let mut nodes = Vec::new();
        for member in &network.members {
            let listen = links.address(member.role).await?;
            let inside = ProcessNetwork::new(member.node_key.public(), Arc::clone(&neighbours));
            let config = NodeConfig {
                name: member.name.clone(),
                genesis: network.genesis.clone(),
                node_key: member.node_key.clone(),
                consensus_key: member.consensus_key.clone(),
                entity: member.entity,
                roles: vec![member.role],
                addresses: listen.iter().map(ToString::to_string).collect(),
                runtimes: match member.role {
                    Role::Keymanager => vec![network.key_manager],
                    _ => Vec::new(),
                },
                state_kept_blocks: ParaTimeConfig::default().kept_blocks(),
                modules: network.modules.clone(),
                placement: Placement::InProcess,
                platform: Some(network.platform.clone()),
                connect: as_made(),
                // Each node keeps its own: what one has the others must fetch.
                kv: member_store(home, &member.name)?,
                home: home.map(|home| home.join(&member.name)),
                engine_name: engine.status().engine,
                network: match listen {
                    None => inside,
                    Some(_) => {
                        let outside = TlsNetwork::new(member.node_key.clone(), None);
                        BothNetworks::new(inside, outside)
                    }
                },
                record: None,
                members: MemberServices::default(),
                data: None,
                public: Vec::new(),
                stop: stop.clone(),
            };
            let node = assemble(config, Source::Engine(Arc::clone(&engine)))?;
            node.serve_links(listen).await?;
            // A committee member: it reports soft confirmations to its users, too.
            if member.role == Role::Compute && gateway.is_none() {
                gateway = Some(Arc::clone(&node.state));
            }
            nodes.push(node);
        }
        let gateway = gateway.ok_or_else(|| NodeError::internal(&"a chain has compute nodes"))?;
        let listen: SocketAddr =
            args.listen.parse().map_err(|e| NodeError::usage("--listen", e))?;
        let endpoint = rpc::serve(listen, None, Arc::clone(&gateway)).await?;
        Ok(Self { endpoint, network, engine, gateway, _nodes: nodes, stop })
    }

    /// Waits until key managers and compute nodes have their secrets and keys. Until then blocks
    /// follow one another without pause.
    pub async fn ready(&self) -> Result<(), NodeError> {
        use paralith_runtime_worker::Chain as _;
        let mut blocks = self.gateway.chain.subscribe();
        let began = paralith_rt::Instant::now();
        loop {
            if self.is_ready().await.unwrap_or(false) {
                self.engine.set_hurry(false);
                return Ok(());
            }
            if began.elapsed() > Duration::from_secs(120) {
                return Err(NodeError::NotReady {
                    reason: "the key managers have no secrets after two minutes: run with RUST_LOG=debug to see why".to_string(),
                });
            }
            let _ = paralith_rt::timeout(Duration::from_secs(1), blocks.recv()).await;
        }
    }

    async fn is_ready(&self) -> Result<bool, NodeError> {
        let status: Option<KmStatus> =
            self.gateway.chain.get(&keys::status(&self.network.key_manager)).await?;
        if !status.is_some_and(|status| status.initialised) {
            return Ok(false);
        }
        for runtime in self.gateway.chain.runtimes(None).await? {
            if runtime.code.is_none() {
                continue;
            }
            let state: Option<paralith_consensus_api::roothash::RuntimeState> = self
                .gateway
                .chain
                .get(&paralith_consensus_api::roothash::keys::runtime_state(&runtime.id))
                .await?;
            // `init` runs in the first normal round; that it has shows that keys have arrived.
            if state.is_none_or(|state| state.last_normal_round.0 == 0) {
                return Ok(false);
            }
            // After a restart the enclaves have new keys and none of the epoch's secrets.
            let worker = self.gateway.services.worker(&runtime.id);
            let can_work = worker.map(|worker| worker.status()).is_some_and(|status| {
                status.is_ready
                    && status.applied_round == status.last_round
                    && (status.has_keys || !runtime.confidential)
            });
            if !can_work {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The chain.
    pub fn gateway(&self) -> &Arc<NodeState> {
        &self.gateway
    }

    /// Becomes the reason when the engine cannot go on.
    pub async fn failed(&self) -> String {
        let mut fatal = self.engine.fatal();
        loop {
            if let Some(reason) = fatal.borrow().clone() {
                return reason;
            }
            if fatal.changed().await.is_err() {
                return "the engine has ended".to_string();
            }
        }
    }

    /// Ends everything in good order.
    pub async fn stop(self) -> Result<(), NodeError> {
        self.stop.cancel();
        self.engine.shutdown().await.map_err(|e| crate::chain::engine_error(&e))
    }
}

/// Which nodes are reached from other processes, too.
#[derive(Debug, Clone, Copy)]
struct OpenLinks {
    compute: bool,
    keymanager: bool,
}

impl OpenLinks {
    fn of(args: &DevArgs) -> Self {
        // Endorsers are in other processes, and ask for their keys.
        let keymanager = args.chaincode;
        Self { compute: args.private_contracts || keymanager, keymanager }
    }

    /// Where a node of this role listens for links; none if only nodes of this process reach it.
    async fn address(self, role: Role) -> Result<Option<SocketAddr>, NodeError> {
        let open = match role {
            Role::Compute => self.compute,
            Role::Keymanager => self.keymanager,
            _ => false,
        };
        if !open {
            return Ok(None);
        }
        // The node registers its address before it listens there: the system names a free port.
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let (_released, address) = bind(any, "the links of a node").await?;
        Ok(Some(address))
    }
}

/// The network of a home, or a new one, written there.
fn network(args: &DevArgs, home: Option<&Path>) -> Result<Network, NodeError> {
    let spec = NetworkSpec {
        mediator: args.private_contracts,
        ledger: args.chaincode,
        ..network_spec(args.seed)
    };
    let Some(home) = home else { return spec.network(now()?) };
    let file = home.join("genesis.json");
    if !file.exists() {
        let network = spec.network(now()?)?;
        write_private(&file, network.genesis.json.as_bytes())?;
        return Ok(network);
    }
    let text = std::fs::read_to_string(&file)
        .map_err(|e| NodeError::io(file.display().to_string(), &e))?;
    let genesis = GenesisInfo::parse(&text)?;
    let network = spec.network(genesis.document.genesis_time)?;
    if network.genesis.context != genesis.context {
        return Err(NodeError::usage(
            home.display().to_string(),
            "it holds the chain of another seed, of another version, or with another choice of \
             --private-contracts or --chaincode: use that, or another --home",
        ));
    }
    Ok(network)
}

pub(crate) fn now() -> Result<GenesisTime, NodeError> {
    let seconds = (system_clock())().as_secs();
    GenesisTime::from_seconds(seconds).map_err(|e| NodeError::internal(&e))
}

fn member_store(home: Option<&Path>, name: &str) -> Result<Kv, NodeError> {
    match home {
        None => Ok(Kv::memory()),
        Some(home) => store::open(&home.join(name).join("store"), true),
    }
}

async fn start_engine(
    args: &DevArgs,
    network: &Network,
    kv: Kv,
    home: Option<&Path>,
) -> Result<Arc<dyn Engine>, NodeError> {
    let engine_error = |e| crate::chain::engine_error(&e);
    let application = Application::open(kv.clone()).map_err(|e| NodeError::internal(&e))?;
    let validator = network
        .members
        .iter()
        .find(|member| member.role == Role::Validator)
        .ok_or_else(|| NodeError::internal(&"a chain has a validator"))?;
    match args.engine {
        EngineKind::Solo => {
            let options = SoloOptions {
                document: network.genesis.document.clone(),
                kv,
                home: home.map(Path::to_path_buf),
                keys: vec![ConsensusKey::from_seed(*validator.consensus_key.seed())],
                empty_block_interval: EMPTY_BLOCK_INTERVAL,
                max_block_bytes: 4 * 1024 * 1024,
                clock: system_clock(),
            };
            let engine = SoloEngine::start(&application, options).await.map_err(engine_error)?;
            Ok(Arc::new(engine))
        }
        EngineKind::Cometbft => {
            let home = home.ok_or_else(|| NodeError::internal(&"CometBFT needs a folder"))?;
            let mut options = CometOptions::local(
                network.genesis.document.clone(),
                home.join("cometbft"),
                validator.consensus_key.clone(),
            );
            options.timing.empty_block_interval_ms = COMET_BLOCK_INTERVAL_MS;
            let engine = CometEngine::start(&application, options).await.map_err(engine_error)?;
            Ok(Arc::new(engine))
        }
    }
}
