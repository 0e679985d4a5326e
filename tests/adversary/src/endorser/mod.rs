//! An endorser's host in an attacker's hands: everything that the owner of such a machine has. It follows the chain
//! and the ledger as a node does, by the node's own code, and runs the real enclave. Then it shows that one what it
//! likes.

mod fork;
mod shown;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use paralith::chain::{ChainAccess, Source};
use paralith::code::CodeStore;
use paralith::config::{Config, EngineConfig};
use paralith::enclave::{Kind, Placement, RunningEnclave};
use paralith::error::NodeError;
use paralith::genesis_info::GenesisInfo;
use paralith::keystore::read_key;
use paralith::links::endpoint::Trust;
use paralith::links::{NodeLinks, TlsNetwork};
use paralith::remote::RemoteChain;
use paralith::roles::compute::module;
use paralith::roles::registration::Identity;
use paralith::roles::{KeySource, Registrar, prove_freshness, start_call};
use paralith::state::Services;
use paralith_attest::{Claims, SoftwarePlatform};
use paralith_chaincode_core::propose::Proposed;
use paralith_chaincode_endorser::calls::{Answered, Endorsed, EvaluateRequest};
use paralith_chaincode_endorser::{EndorserHost, HostError};
use paralith_chaincode_messages::{Definition, Message as _};
use paralith_consensus_api::registry::{
    self, CapabilityTee, NodeRuntime, ROLE_APPLICATION, Runtime,
};
use paralith_crypto::SigningKey;
use paralith_crypto::hash::{Domain, hash};
use paralith_proto::Canonical as _;
use paralith_rt::Handle;
use paralith_runtime_worker::{Chain as _, Follower, FollowerHandle, HostStore};
use paralith_storage::Kv;
use paralith_tee_channel::Role;
use paralith_types::{Error, Height, PublicKey, RuntimeId};
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

pub use fork::{Claim, Fork};
pub use shown::Show;
use shown::Shown;

/// The derivation of the validator key that a node which is no validator registers, as the node does it.
const NO_VALIDATOR: Domain = Domain::new("paralith/key-of-no-validator/v1");
/// Blocks after which what is waited for will not come.
const PATIENCE_BLOCKS: u32 = 120;

/// The host of one application's enclave.
pub struct Host {
    application: RuntimeId,
    ledger: RuntimeId,
    node: SigningKey,
    chain: Arc<ChainAccess>,
    links: Arc<NodeLinks>,
    services: Arc<Services>,
    registrar: Arc<Registrar>,
    enclave: Arc<EndorserHost>,
    shown: Arc<Shown>,
    follower: FollowerHandle,
    stop: CancellationToken,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Host({})", self.application)
    }
}

/// What an endorser's node is configured with.
struct Node {
    genesis: GenesisInfo,
    key: SigningKey,
    entity: PublicKey,
    platform: SoftwarePlatform,
    application: RuntimeId,
    nodes: Vec<String>,
    trust: Trust,
    modules: PathBuf,
}

impl Node {
    fn load(file: &Path) -> Result<Self, NodeError> {
        let config = Config::load(file)?;
        let lacks = |what: &str| NodeError::Config {
            file: file.display().to_string(),
            reason: format!("an endorser has {what}"),
        };
        let text = std::fs::read_to_string(&config.genesis)
            .map_err(|e| NodeError::io(config.genesis.display().to_string(), &e))?;
        let endorser = config.endorser.as_ref().ok_or_else(|| lacks("`[endorser]`"))?;
        let EngineConfig::Light { nodes, tls } = &config.engine else {
            return Err(lacks("an engine of kind \"light\" here"));
        };
        let trust = tls.as_ref().map_or(Ok(Trust::System), |tls| tls.trust())?;
        let entity = config.entity.as_ref().and_then(|entity| entity.parse().ok());
        let platform = config.software_platform_key.as_ref();
        let platform = platform.ok_or_else(|| lacks("`software_platform_key`"))?;
        let key = config.node_key.as_ref().ok_or_else(|| lacks("`node_key`"))?;
        Ok(Self {
            genesis: GenesisInfo::parse(&text)?,
            key: read_key(key)?,
            entity: entity.ok_or_else(|| lacks("`entity`"))?,
            platform: SoftwarePlatform::new(read_key(platform)?),
            application: endorser.application.parse().map_err(|_| lacks("its chaincode's id"))?,
            nodes: nodes.clone(),
            trust,
            modules: config.home.join("modules"),
        })
    }
}

/// Does it with every block until it succeeds; why it does not, once too many came.
async fn with_blocks<T>(
    chain: &ChainAccess,
    mut attempt: impl AsyncFnMut() -> Result<T, NodeError>,
) -> Result<T, NodeError> {
    let mut blocks = chain.subscribe();
    for _ in 0..PATIENCE_BLOCKS {
        if let Ok(done) = attempt().await {
            return Ok(done);
        }
        if matches!(blocks.recv().await, Err(RecvError::Closed)) {
            break;
        }
    }
    attempt().await
}

impl Host {
    /// Of the endorser's node with this configuration, which does not run: registered and with its keys. `program`
    /// serves the enclave. Its store is not the node's: each start registers a new enclave.
    pub async fn start(config: &Path, program: PathBuf) -> Result<Self, NodeError> {
        let (node, kv) = (Node::load(config)?, Kv::memory());
        let stop = CancellationToken::new();
        let remote = RemoteChain::start(&node.genesis, &node.nodes, &node.trust, stop.clone())?;
        let chain =
            ChainAccess::new(Source::Remote(remote), node.genesis.context, node.key.clone());
        let links = NodeLinks::new(TlsNetwork::new(node.key.clone(), None), Arc::clone(&chain));
        let placement = Placement::Process { program };
        let code = CodeStore::new(kv.clone(), Arc::clone(&chain), placement.clone());
        code.import(&node.modules)?;
        let services = Services::new(code);
        let runtime: Runtime = with_blocks(&chain, async || {
            chain.require(&registry::keys::runtime(&node.application)).await
        })
        .await?;
        let definition = Definition::read(&runtime.id, &runtime.encode())
            .map_err(|e| NodeError::usage(&runtime.name, e))?;
        let ledger = definition.terms.ledger;
        let me = node.key.public();
        let code = module(&definition.code, &me, &chain, &links, &services).await?;
        let (follower, _) =
            Follower::start(ledger, kv.clone(), chain.clone() as _, links.clone() as _);
        let own = HostStore::new(chain.clone(), kv.clone(), &ledger, Handle::current());
        let shown = Arc::new(Shown::new(own, ledger));
        let start = start_call(&node.genesis, &node.key, &runtime.id, code);
        let enclave = enclave(runtime.id, kv.clone(), start, placement, Arc::clone(&shown));
        let identity = Identity {
            node: node.key.clone(),
            consensus: SigningKey::from_seed(hash(NO_VALIDATOR, &[&node.key.seed()[..]]).0),
            entity: node.entity,
            roles: ROLE_APPLICATION,
            addresses: Vec::new(),
        };
        let host = Self {
            application: runtime.id,
            ledger,
            node: node.key,
            registrar: Registrar::new(Arc::clone(&chain), identity),
            services,
            enclave: Arc::new(enclave),
            chain,
            links,
            shown,
            follower,
            stop,
        };
        host.register(&node.platform).await?;
        host.renew().await?;
        Ok(host)
    }

    async fn register(&self, platform: &SoftwarePlatform) -> Result<(), NodeError> {
        let height = self.chain.height()?;
        let claims = self.ask(move |enclave| enclave.attest(height)).await?;
        let claims = Claims::decode(&claims).map_err(|e| NodeError::internal(&e))?;
        let evidence = platform.quote(&claims, &self.chain.chain_context());
        let tee = Some(CapabilityTee { rak: claims.rak, rek: claims.rek, evidence });
        let runtime_id = self.application;
        self.registrar.offer(NodeRuntime { runtime_id, tee, extra_info: Vec::new() });
        with_blocks(&self.chain, async || match self.registrar.pass().await? {
            true => Ok(()),
            false => {
                Err(NodeError::NotReady { reason: "the node is not registered yet".to_string() })
            }
        })
        .await
    }

    /// Proves that the enclave sees the living chain, and fetches keys, if the chain is shown to it.
    pub async fn serve(&self) -> Result<(), NodeError> {
        let (epoch, height) = (self.chain.epoch().await?, self.chain.height()?);
        self.ask(move |enclave| enclave.sync(height)).await?;
        let client = self.enclave.client()?;
        let (node, id) = (self.node.public(), self.application);
        prove_freshness(&self.chain, &node, Role::Runtime, &id, &client, height).await?;
        let (chain, links, services) = (&*self.chain, &*self.links, &*self.services);
        let source = KeySource { node, chain, links, services };
        source.fetch(&id, &client, epoch).await
    }

    /// Serves, once the key manager has the keys of the epoch. An epoch may begin at any time.
    pub async fn renew(&self) -> Result<(), NodeError> {
        with_blocks(&self.chain, async || self.serve().await).await
    }

    /// The chaincode.
    pub fn application(&self) -> RuntimeId {
        self.application
    }

    /// What the enclave sees from now on.
    pub fn show(&self, show: Show) {
        self.shown.set(show);
    }

    /// The newest height whose state it has.
    pub fn height(&self) -> Result<u64, NodeError> {
        self.chain.height()
    }

    /// Waits until it has the ledger's state of a height.
    pub async fn reach(&self, height: Height) -> Result<(), NodeError> {
        let mut applied = self.follower.applied();
        let reached = applied.wait_for(|applied| applied.height >= height).await;
        reached.map(drop).map_err(|e| NodeError::internal(&e))
    }

    /// Ends the enclave; the next call starts it again, with its identity.
    pub fn restart(&self) {
        self.enclave.close();
    }

    /// Has the enclave execute a proposal and sign.
    pub async fn endorse(&self, proposed: &Proposed) -> Result<Endorsed, NodeError> {
        let signed = proposed.signed.encode();
        self.ask(move |enclave| enclave.endorse(signed)).await
    }

    /// Has it answer a question.
    pub async fn evaluate(&self, request: EvaluateRequest) -> Result<Answered, NodeError> {
        self.ask(move |enclave| enclave.evaluate(request)).await
    }

    /// Has it open the output of a response.
    pub async fn release(&self, response: Vec<u8>) -> Result<Vec<u8>, NodeError> {
        self.ask(move |enclave| enclave.release(response)).await
    }

    async fn ask<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&EndorserHost) -> Result<T, HostError> + Send + 'static,
    ) -> Result<T, NodeError> {
        let enclave = Arc::clone(&self.enclave);
        let asked = paralith_rt::blocking(move || ask(&enclave)).await;
        let asked = asked.map_err(|e| NodeError::internal(&e))?;
        asked.map_err(|error| NodeError::Refused(Error::from(error)))
    }
}

/// The enclave's process, which sees what is shown to it.
fn enclave(
    application: RuntimeId,
    kv: Kv,
    start: paralith_tee_channel::pb::Start,
    placement: Placement,
    shown: Arc<Shown>,
) -> EndorserHost {
    let process = Mutex::new(None::<RunningEnclave>);
    let launch = move || {
        let services = Arc::clone(&shown) as _;
        let started = RunningEnclave::start(Kind::Endorser, &placement, services, None)
            .map_err(|e| HostError::Launch(e.to_string()))?;
        let client = started.client().clone();
        *process.lock().unwrap_or_else(PoisonError::into_inner) = Some(started);
        Ok(client)
    };
    EndorserHost::new(application, kv, start, Box::new(launch))
}

impl Drop for Host {
    fn drop(&mut self) {
        self.stop.cancel();
        self.follower.stop();
        self.enclave.close();
    }
}
