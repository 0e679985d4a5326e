//! Puts a node together from its parts and keeps it going.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use paralith_attest::SoftwarePlatform;
use paralith_consensus_api::registry::{ROLE_COMPUTE, ROLE_KEYMANAGER, ROLE_VALIDATOR};
use paralith_crypto::SigningKey;
use paralith_runtime_worker::{Byzantine, Chain as _, ChainBlock};
use paralith_storage::Kv;
use paralith_tee_channel::Recorder;
use paralith_types::{PublicKey, RuntimeId};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use crate::chain::{ChainAccess, Source};
use crate::config::Role;
use crate::error::NodeError;
use crate::genesis_info::GenesisInfo;
use crate::links::{LinkServer, Neighbours, NodeLinks};
use crate::roles::compute::{ComputeConfig, ComputeHost};
use crate::roles::keymanager::KeyManagerHost;
use crate::roles::registration::{Identity, Registrar};
use crate::roles::{BridgeServices, StartInput, attest_and_start};
use crate::state::{CodeStore, NodeState, Services};
use crate::trusted::{Kind, Placement, TrustedSide};

/// How long a role waits after a pass that failed before blocks wake it again.
const AFTER_FAILURE: Duration = Duration::from_millis(50);

/// What a node is put together from.
pub struct Parts {
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
    /// Modules that it has from the beginning.
    pub modules: Vec<&'static [u8]>,
    /// Where trusted sides run.
    pub placement: Placement,
    /// The key that vouches for software enclaves. Test chains only.
    pub platform: Option<SigningKey>,
    /// How to misbehave. Test chains only.
    pub byzantine: Option<String>,
    /// Its store.
    pub kv: Kv,
    /// Where its files are; none for a chain in memory.
    pub home: Option<PathBuf>,
    /// "solo", "cometbft" or "light".
    pub engine_name: &'static str,
    /// The nodes of this process.
    pub neighbours: Neighbours,
    /// Where frames are recorded.
    pub record: Option<PathBuf>,
    /// Ends everything.
    pub stop: CancellationToken,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Parts({})", self.name)
    }
}

/// Puts a node together and starts what its roles ask for.
pub fn assemble(parts: Parts, source: Source) -> Result<Arc<NodeState>, NodeError> {
    let byzantine = byzantine(&parts)?;
    let key = || parts.node_key.clone();
    let node_id = parts.node_key.public();
    let chain = ChainAccess::new(source, parts.genesis.context, key());
    let links = NodeLinks::new(
        key(),
        Arc::clone(&chain),
        Arc::clone(&parts.neighbours),
        parts.record.clone(),
    );
    let services = Services::new(CodeStore::new(parts.kv.clone()));
    if let Some(home) = &parts.home {
        services.code.import(&home.join("modules"))?;
    }
    for module in &parts.modules {
        services.code.put(module)?;
    }
    parts
        .neighbours
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
        .insert(node_id, LinkServer::new(Arc::clone(&services)));
    let registrar = Registrar::new(
        Arc::clone(&chain),
        Identity {
            node: key(),
            consensus: parts.consensus_key.clone(),
            entity: parts.entity,
            roles: role_bits(&parts.roles),
            addresses: parts.addresses.clone(),
        },
    );
    let state = Arc::new(NodeState {
        name: parts.name.clone(),
        node_id,
        roles: parts.roles.clone(),
        engine_name: parts.engine_name,
        byzantine: parts.byzantine.clone(),
        genesis: parts.genesis.clone(),
        chain: Arc::clone(&chain),
        links: Arc::clone(&links),
        services: Arc::clone(&services),
        home: parts.home.clone(),
        stop: parts.stop.clone(),
    });
    let recorder = recorder(&parts)?;
    if parts.roles.contains(&Role::Keymanager) {
        for id in &parts.runtimes {
            let role = KeyManagerRole {
                id: *id,
                state: Arc::clone(&state),
                registrar: Arc::clone(&registrar),
                node_key: key(),
                placement: parts.placement.clone(),
                platform: parts.platform.clone(),
                recorder: recorder.clone(),
                kv: parts.kv.clone(),
            };
            tokio::spawn(role.run());
        }
    }
    if parts.roles.contains(&Role::Compute) {
        let config = ComputeConfig {
            genesis: parts.genesis.clone(),
            node_key: key(),
            only: parts.runtimes.clone(),
            placement: parts.placement.clone(),
            platform: parts.platform.map(SoftwarePlatform::new),
            byzantine,
            kv: parts.kv.clone(),
            home: parts.home.clone(),
            recorder,
        };
        let host = ComputeHost::new(config, chain, registrar, links, services);
        tokio::spawn(run_compute(Arc::clone(&state), host));
    }
    Ok(state)
}

fn byzantine(parts: &Parts) -> Result<Option<Byzantine>, NodeError> {
    let Some(how) = &parts.byzantine else { return Ok(None) };
    if !parts.genesis.document.genesis.params.registry.allow_byzantine {
        return Err(NodeError::usage(
            "byzantine",
            "this chain's genesis does not allow nodes that misbehave on purpose",
        ));
    }
    how.parse().map(Some).map_err(|e| NodeError::usage("byzantine", e))
}

fn role_bits(roles: &[Role]) -> u32 {
    roles.iter().fold(0, |bits, role| {
        bits | match role {
            Role::Validator => ROLE_VALIDATOR,
            Role::Compute => ROLE_COMPUTE,
            Role::Keymanager => ROLE_KEYMANAGER,
            Role::Client => 0,
        }
    })
}

fn recorder(parts: &Parts) -> Result<Option<Recorder>, NodeError> {
    let Some(folder) = &parts.record else { return Ok(None) };
    let failed = |e: std::io::Error| NodeError::io(folder.display().to_string(), &e);
    std::fs::create_dir_all(folder).map_err(failed)?;
    let file = std::fs::File::create(folder.join(format!("boundary-{}", parts.name)));
    Ok(Some(Arc::new(Mutex::new(file.map_err(failed)?))))
}

/// Says that a pass failed, or nothing, and waits for the next block. Returns whether the node goes on.
async fn after_pass(
    state: &NodeState,
    role: &'static str,
    passed: Result<(), NodeError>,
    blocks: &mut Receiver<ChainBlock>,
) -> bool {
    if let Err(error) = passed {
        tracing::debug!(node = %state.name, role, %error, "not done yet");
        tokio::time::sleep(AFTER_FAILURE).await;
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

/// Keeps a key manager's trusted side going: one that is gone is started anew.
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
        let trusted = Arc::new(TrustedSide::start(
            Kind::KeyManager,
            &self.placement,
            Arc::new(services),
            self.recorder.clone(),
        )?);
        let sealed = self.state.home.as_ref().map(|home| home.join(format!("sealed-{}", self.id)));
        let attested = tokio::task::block_in_place(|| {
            attest_and_start(
                trusted.client(),
                StartInput {
                    genesis: &self.state.genesis,
                    node: &self.node_key,
                    runtime_id: self.id,
                    code: Vec::new(),
                    sealed: sealed.clone(),
                    platform: Some(&platform),
                    byzantine: String::new(),
                },
            )
        })?;
        let capability = attested
            .capability
            .ok_or_else(|| NodeError::internal(&"a quoted enclave has a capability"))?;
        let host = KeyManagerHost::new(
            self.id,
            Arc::clone(&self.state.chain),
            Arc::clone(&self.registrar),
            Arc::clone(&self.state.links),
            trusted,
            capability,
            sealed,
        );
        self.state.services.add_keymanager(self.id, Arc::clone(&host));
        Ok(host)
    }
}

/// Serves other nodes on a socket.
pub async fn serve_links(
    state: &NodeState,
    key: &SigningKey,
    listen: SocketAddr,
    record: Option<PathBuf>,
) -> Result<SocketAddr, NodeError> {
    let server = LinkServer::new(Arc::clone(&state.services));
    crate::links::serve(listen, key, server, record, state.stop.clone()).await
}
