//! Puts a node together from its config and keeps it going.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use paralith_attest::SoftwarePlatform;
use paralith_consensus_api::registry::{
    ROLE_APPLICATION, ROLE_COMPUTE, ROLE_KEYMANAGER, ROLE_VALIDATOR,
};
use paralith_crypto::SigningKey;
use paralith_rt::TaskSet;
use paralith_runtime_worker::{Chain as _, ChainBlock};
use paralith_storage::Kv;
use paralith_tee_channel::Recorder;
use paralith_types::{PublicKey, RuntimeId};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use crate::chain::{ChainAccess, Source};
use crate::code::CodeStore;
use crate::config::Role;
use crate::data::{self, DataHost};
use crate::enclave::{Kind, Placement, RunningEnclave};
use crate::error::NodeError;
use crate::genesis_info::GenesisInfo;
use crate::links::{LinkServer, MemberServices, Network, NodeLinks};
use crate::roles::compute::{ComputeConfig, ComputeHost, Connect};
use crate::roles::keymanager::{KeyManagerHost, KeyManagerStart};
use crate::roles::registration::{Identity, Registrar};
use crate::roles::{Alarms, BridgeServices};
use crate::rpc::PublicService;
use crate::state::{NodeState, Services};

/// How long a role waits after a pass that failed before blocks wake it again.
const AFTER_FAILURE: Duration = Duration::from_millis(50);

/// What a node is put together from.
pub struct NodeConfig {
    /// Its name in logs and listings.
    pub name: String,
    /// The chain.
    pub genesis: GenesisInfo,
    /// Its node key.
    pub node_key: SigningKey,
    /// Its key in CometBFT; of a node that is no validator, a key that nothing signs with.
    pub consensus_key: SigningKey,
    /// Who answers for it.
    pub entity: PublicKey,
    /// What it does.
    pub roles: Vec<Role>,
    /// "host:port" of its links.
    pub addresses: Vec<String>,
    /// What it runs; see [`crate::config::Config::runtimes`].
    pub runtimes: Vec<RuntimeId>,
    /// For how many blocks the state after each round of a ParaTime is kept; none: for ever.
    pub state_kept_blocks: Option<u64>,
    /// Modules that it has from the beginning.
    pub modules: Vec<&'static [u8]>,
    /// Where enclaves run.
    pub placement: Placement,
    /// The key that vouches for software enclaves. Test chains only.
    pub platform: Option<SigningKey>,
    /// Wraps the connections of every worker; see [`Connect`].
    pub connect: Connect,
    /// Its store.
    pub kv: Kv,
    /// Where its files are; none for a chain in memory.
    pub home: Option<PathBuf>,
    /// "solo", "cometbft" or "light".
    pub engine_name: &'static str,
    /// How it reaches other nodes, and they it.
    pub network: Arc<dyn Network>,
    /// Where frames are recorded.
    pub record: Option<PathBuf>,
    /// What it serves over links besides the service of workers and key managers, and whom.
    pub members: MemberServices,
    /// What it keeps for others by its hash, and for whom; none if it keeps nothing.
    pub data: Option<DataHost>,
    /// What it serves users besides its own services.
    pub public: Vec<PublicService>,
    /// Ends everything.
    pub stop: CancellationToken,
}

impl std::fmt::Debug for NodeConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NodeConfig({})", self.name)
    }
}

/// A node with what its roles do. The roles end when this is dropped.
pub struct Node {
    /// What its services share.
    pub state: Arc<NodeState>,
    /// Registers what it offers.
    pub registrar: Arc<Registrar>,
    /// Gets every frame of the boundaries of its enclaves.
    pub recorder: Option<Recorder>,
    network: Arc<dyn Network>,
    members: MemberServices,
    /// Its roles' tasks.
    _roles: TaskSet,
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Node({})", self.state.name)
    }
}

impl Node {
    /// Serves other nodes until the node stops, at an address if the network has any. Returns which
    /// one it got.
    pub async fn serve_links(
        &self,
        address: Option<SocketAddr>,
    ) -> Result<Option<SocketAddr>, NodeError> {
        let state = &self.state;
        let (services, chain) = (Arc::clone(&state.services), Arc::clone(&state.chain));
        let server = LinkServer::new(services, chain, self.members.clone());
        self.network.serve(address, server, state.stop.clone()).await
    }
}

/// Puts a node together and starts what its roles ask for.
pub fn assemble(config: NodeConfig, source: Source) -> Result<Node, NodeError> {
    if config.roles.contains(&Role::Compute) {
        paralith_runtime_vm::check_machine().map_err(|e| NodeError::usage("role compute", e))?;
    }
    let key = || config.node_key.clone();
    let node_id = config.node_key.public();
    let chain = ChainAccess::new(source, config.genesis.context, key());
    let links = NodeLinks::new(Arc::clone(&config.network), Arc::clone(&chain));
    let services = Services::new(CodeStore::new(
        config.kv.clone(),
        Arc::clone(&chain),
        config.placement.clone(),
    ));
    if let Some(home) = &config.home {
        services.code.import(&home.join("modules"))?;
    }
    for module in &config.modules {
        services.code.put(module)?;
    }
    let registrar = Registrar::new(
        Arc::clone(&chain),
        Identity {
            node: key(),
            consensus: config.consensus_key.clone(),
            entity: config.entity,
            roles: role_bits(&config.roles),
            addresses: config.addresses.clone(),
        },
    );
    let recorder = recorder(&config)?;
    let frames = recorder.clone();
    let data = match config.data {
        None => None,
        Some(host) => Some(host.open(config.home.as_deref(), &chain, config.genesis.context)?),
    };
    let state = Arc::new(NodeState {
        data: data.as_ref().map(|(_, service)| service.clone()),
        name: config.name.clone(),
        node_id,
        roles: config.roles.clone(),
        engine_name: config.engine_name,
        genesis: config.genesis.clone(),
        chain: Arc::clone(&chain),
        links: Arc::clone(&links),
        services: Arc::clone(&services),
        alarms: Alarms::default(),
        home: config.home.clone(),
        public: config.public.clone(),
        stop: config.stop.clone(),
    });
    let (mut roles, offers) = (TaskSet::new(), Arc::clone(&registrar));
    if let Some((store, _)) = data {
        roles.spawn(data::expire(store, Arc::clone(&chain), config.stop.clone()));
    }
    if role_bits(&config.roles) != 0 {
        roles.spawn(run_registration(Arc::clone(&state), Arc::clone(&registrar)));
    }
    if config.roles.contains(&Role::Keymanager) {
        for id in &config.runtimes {
            let role = KeyManagerRole {
                id: *id,
                state: Arc::clone(&state),
                registrar: Arc::clone(&registrar),
                node_key: key(),
                placement: config.placement.clone(),
                platform: config.platform.clone(),
                recorder: recorder.clone(),
                kv: config.kv.clone(),
            };
            roles.spawn(role.run());
        }
    }
    if config.roles.contains(&Role::Compute) {
        let compute = ComputeConfig {
            genesis: config.genesis.clone(),
            node_key: key(),
            only: config.runtimes.clone(),
            state_kept_blocks: config.state_kept_blocks,
            placement: config.placement.clone(),
            platform: config.platform.map(SoftwarePlatform::new),
            connect: Arc::clone(&config.connect),
            kv: config.kv.clone(),
            home: config.home.clone(),
            recorder,
        };
        let host = ComputeHost::new(compute, chain, registrar, links, services);
        roles.spawn(run_compute(Arc::clone(&state), host));
    }
    let (network, members) = (config.network, config.members);
    Ok(Node { state, registrar: offers, recorder: frames, network, members, _roles: roles })
}

fn role_bits(roles: &[Role]) -> u32 {
    roles.iter().fold(0, |bits, role| {
        bits | match role {
            Role::Validator => ROLE_VALIDATOR,
            Role::Compute => ROLE_COMPUTE,
            Role::Keymanager => ROLE_KEYMANAGER,
            Role::Endorser => ROLE_APPLICATION,
            Role::Client | Role::Stakeholder => 0,
        }
    })
}

fn recorder(config: &NodeConfig) -> Result<Option<Recorder>, NodeError> {
    let Some(folder) = &config.record else { return Ok(None) };
    let failed = |e: std::io::Error| NodeError::io(folder.display().to_string(), &e);
    std::fs::create_dir_all(folder).map_err(failed)?;
    let file = std::fs::File::create(folder.join(format!("boundary-{}", config.name)));
    Ok(Some(Arc::new(Mutex::new(file.map_err(failed)?))))
}

/// Keeps the node registered, and raises alarms, for every block until the node stops.
async fn run_registration(state: Arc<NodeState>, registrar: Arc<Registrar>) {
    let roles = role_bits(&state.roles);
    let mut blocks = state.chain.subscribe();
    loop {
        let passed = registrar.pass().await.map(|_| ());
        if let Err(NodeError::Refused { .. }) = &passed {
            tracing::warn!(node = %state.name, error = ?passed, "the registration is refused");
        }
        if let Err(error) = state.alarms.look(&state.chain, &state.node_id, roles).await {
            tracing::debug!(node = %state.name, %error, "no alarms without state");
        }
        if !after_pass(&state, "registration", passed, &mut blocks).await {
            return;
        }
    }
}

/// Logs why a pass failed, if it did, and waits for the next block. Returns whether the node goes on.
async fn after_pass(
    state: &NodeState,
    role: &'static str,
    passed: Result<(), NodeError>,
    blocks: &mut Receiver<ChainBlock>,
) -> bool {
    if let Err(error) = passed {
        tracing::debug!(node = %state.name, role, %error, "not done yet");
        paralith_rt::sleep(AFTER_FAILURE).await;
    }
    tokio::select! {
        biased;
        () = state.stop.cancelled() => false,
        block = blocks.recv() => match block {
            Ok(_) => {
                // One pass for all blocks that came meanwhile.
                while blocks.try_recv().is_ok() {}
                true
            }
            Err(RecvError::Lagged(_)) => true,
            Err(RecvError::Closed) => false,
        },
    }
}

/// Runs a compute node's pass for every block until the node stops.
async fn run_compute(state: Arc<NodeState>, host: Arc<ComputeHost>) {
    let mut blocks = state.chain.subscribe();
    loop {
        let passed = host.pass().await;
        if !after_pass(&state, "compute", passed, &mut blocks).await {
            return;
        }
    }
}

/// Keeps a key manager's enclave going: one that is gone is started anew.
struct KeyManagerRole {
    id: RuntimeId,
    state: Arc<NodeState>,
    registrar: Arc<Registrar>,
    node_key: SigningKey,
    placement: Placement,
    platform: Option<SigningKey>,
    recorder: Option<Recorder>,
    kv: Kv,
}

impl KeyManagerRole {
    async fn run(self) {
        let mut blocks = self.state.chain.subscribe();
        let mut host: Option<Arc<KeyManagerHost>> = None;
        loop {
            let passed = self.pass(&mut host).await;
            if !after_pass(&self.state, "keymanager", passed, &mut blocks).await {
                return;
            }
        }
    }

    async fn pass(&self, host: &mut Option<Arc<KeyManagerHost>>) -> Result<(), NodeError> {
        let running = match host {
            Some(running) if !running.is_closed() => Arc::clone(running),
            _ => {
                self.state.services.remove_keymanager(&self.id);
                let started = self.start()?;
                *host = Some(Arc::clone(&started));
                started
            }
        };
        running.pass().await
    }

    fn start(&self) -> Result<Arc<KeyManagerHost>, NodeError> {
        let platform = self.platform.as_ref().ok_or_else(|| {
            NodeError::usage("software_platform_key", "this machine has no TEE that this version knows, and no software platform is configured")
        })?;
        let platform = SoftwarePlatform::new(platform.clone());
        let name = format!("{}/key manager", self.state.name);
        let chain = Arc::clone(&self.state.chain);
        let services = BridgeServices::new(name, chain, self.kv.clone(), &self.id);
        let enclave = Arc::new(RunningEnclave::start(
            Kind::KeyManager,
            &self.placement,
            Arc::new(services),
            self.recorder.clone(),
        )?);
        let sealed = self.state.home.as_ref().map(|home| home.join(format!("sealed-{}", self.id)));
        let start = KeyManagerStart {
            genesis: self.state.genesis.clone(),
            node_key: self.node_key.clone(),
            platform,
            sealed,
        };
        let host = KeyManagerHost::start(
            self.id,
            Arc::clone(&self.state.chain),
            Arc::clone(&self.registrar),
            Arc::clone(&self.state.links),
            enclave,
            start,
        )?;
        self.state.services.add_keymanager(self.id, Arc::clone(&host));
        Ok(host)
    }
}
