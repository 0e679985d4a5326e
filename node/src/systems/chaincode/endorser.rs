//! The endorser's passes: with every block it reads state, compares it with what its enclave has said,
//! and does what is missing. A pass that fails is tried again with the next block.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use paralith_attest::Claims;
use paralith_chaincode_endorser::{EndorserHost, HostError};
use paralith_chaincode_grpc::pb;
use paralith_chaincode_messages::Definition;
use paralith_consensus_api::registry::{
    self, CapabilityTee, Enclave as EnclaveRecord, NodeRuntime, Runtime,
};
use paralith_proto::Canonical as _;
use paralith_runtime_worker::{Chain, Follower, FollowerHandle};
use paralith_tee_channel::{BoundaryError, Role};
use paralith_types::{CodeId, Epoch, PublicKey, RuntimeId};
use tokio::sync::{Semaphore, watch};

use super::RoleConfig;
use super::limits::{CALLS_AT_ONCE, Quota};
use crate::enclave::{Kind, RunningEnclave};
use crate::error::NodeError;
use crate::roles::compute::{is_evidence_due, module};
use crate::roles::{BridgeServices, KeySource, Registrar, prove_freshness, start_call};
use crate::state::NodeState;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic of another thread leaves the values whole: each change is one assignment.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An endorser that runs, as its service sees it.
#[derive(Debug, Clone)]
pub(super) struct Running {
    pub(super) host: Arc<EndorserHost>,
    pub(super) follower: FollowerHandle,
}

/// What the passes and the service share.
#[derive(Debug)]
pub(super) struct Shared {
    running: Mutex<Option<Running>>,
    status: Mutex<pb::StatusResponse>,
    quota: Mutex<Quota>,
    pub(super) places: Arc<Semaphore>,
    /// The newest epoch whose keys the enclave has.
    keyed: watch::Sender<Epoch>,
}

impl Shared {
    pub(super) fn new(calls_per_block: u32) -> Self {
        let status = pb::StatusResponse {
            state: pb::EndorserState::Starting as i32,
            reason: "the node has just started".to_string(),
            ..pb::StatusResponse::default()
        };
        Self {
            running: Mutex::new(None),
            status: Mutex::new(status),
            quota: Mutex::new(Quota::new(calls_per_block)),
            places: Arc::new(Semaphore::new(CALLS_AT_ONCE)),
            keyed: watch::channel(Epoch(0)).0,
        }
    }

    pub(super) fn running(&self) -> Option<Running> {
        lock(&self.running).clone()
    }

    pub(super) fn quota(&self) -> MutexGuard<'_, Quota> {
        lock(&self.quota)
    }

    pub(super) fn keyed(&self) -> watch::Receiver<Epoch> {
        self.keyed.subscribe()
    }

    pub(super) fn reason(&self) -> String {
        lock(&self.status).reason.clone()
    }

    pub(super) fn status(&self) -> pb::StatusResponse {
        let mut status = lock(&self.status).clone();
        if let Some(running) = self.running() {
            let applied = *running.follower.applied().borrow();
            (status.round, status.height) = (applied.round.0, applied.height.0);
        }
        status
    }

    fn set(&self, state: pb::EndorserState, reason: &str) {
        let mut status = lock(&self.status);
        (status.state, status.reason) = (state as i32, reason.to_string());
    }
}

/// The enclave of one version of the application's code.
struct Enclave {
    application: RuntimeId,
    code: CodeId,
    host: Arc<EndorserHost>,
    /// The enclave that was last attested, and the height of its evidence.
    attested: Option<(PublicKey, u64)>,
    /// How many enclaves the host had started when it last proved its freshness and got its keys.
    launches: u64,
    fresh: Option<Epoch>,
    keyed: Option<Epoch>,
}

/// Runs the role.
pub(super) struct Endorser {
    config: RoleConfig,
    shared: Arc<Shared>,
    state: Arc<NodeState>,
    registrar: Arc<Registrar>,
    follower: Option<(RuntimeId, FollowerHandle)>,
    enclave: Option<Enclave>,
}

/// Why a pass ends, and how far the endorser is.
struct Stop {
    state: pb::EndorserState,
    error: NodeError,
}

fn stop<E: Into<NodeError>>(state: pb::EndorserState) -> impl Fn(E) -> Stop {
    move |error| Stop { state, error: error.into() }
}

impl From<HostError> for NodeError {
    fn from(error: HostError) -> Self {
        match error {
            HostError::Enclave(error) => Self::Enclave(error),
            other => Self::internal(&other),
        }
    }
}

fn not_ready(reason: &str) -> NodeError {
    NodeError::NotReady { reason: reason.to_string() }
}

impl Endorser {
    pub(super) fn new(
        config: RoleConfig,
        shared: Arc<Shared>,
        state: Arc<NodeState>,
        registrar: Arc<Registrar>,
    ) -> Self {
        Self { config, shared, state, registrar, follower: None, enclave: None }
    }

    /// Until the node stops.
    pub(super) async fn run(mut self) {
        let stop = self.state.stop.clone();
        let mut blocks = self.state.chain.subscribe();
        loop {
            match self.pass().await {
                Ok(()) => self.shared.set(pb::EndorserState::Serving, ""),
                Err(Stop { state, error }) => {
                    tracing::debug!(%error, "the endorser does not serve yet");
                    self.shared.set(state, &error.to_string());
                }
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                block = blocks.recv() => {
                    if matches!(block, Err(tokio::sync::broadcast::error::RecvError::Closed)) {
                        return;
                    }
                    // One pass for all blocks that came meanwhile.
                    while blocks.try_recv().is_ok() {}
                }
            }
        }
    }

    async fn pass(&mut self) -> Result<(), Stop> {
        let starting = pb::EndorserState::Starting;
        let runtime = self.application().await.map_err(stop(starting))?;
        let definition = Definition::read(&runtime.id, &runtime.encode())
            .map_err(|e| NodeError::usage(&runtime.name, e))
            .map_err(stop(starting))?;
        self.follow(definition.terms.ledger);
        self.start(&runtime, &definition).await.map_err(stop(starting))?;
        let unregistered = pb::EndorserState::Unregistered;
        let stale = pb::EndorserState::Stale;
        let epoch = self.state.chain.epoch().await.map_err(stop(stale))?;
        if self.is_another(&runtime).await.map_err(stop(unregistered))? {
            // CC-1: an identity of before, put back, must not take the place of the registered one: asked for
            // its freshness it refuses, and its host removes it.
            self.prove_freshness(epoch).await.map_err(stop(stale))?;
        }
        self.attest(&runtime).await.map_err(stop(unregistered))?;
        self.registered(&runtime).await.map_err(stop(unregistered))?;
        self.prove_freshness(epoch).await.map_err(stop(stale))?;
        self.fetch_keys(epoch).await.map_err(stop(pb::EndorserState::Keyless))
    }

    /// The application's descriptor.
    async fn application(&self) -> Result<Runtime, NodeError> {
        let (chain, name) = (&self.state.chain, &self.config.endorser.application);
        let id = match name.parse::<RuntimeId>() {
            Ok(id) => id,
            Err(_) => {
                let runtimes = chain.runtimes(None).await?;
                let mut named = runtimes.iter().filter(|runtime| runtime.name == *name);
                // Anybody may register a runtime of any name.
                let (Some(found), None) = (named.next(), named.next()) else {
                    return Err(not_ready("the chain has no runtime of this name yet, or several"));
                };
                found.id
            }
        };
        let known: Option<Runtime> = chain.get(&registry::keys::runtime(&id)).await?;
        known.ok_or_else(|| not_ready("the application is not approved yet"))
    }

    /// Follows the application's ledger. The follower of another one ends.
    fn follow(&mut self, ledger: RuntimeId) {
        if self.follower.as_ref().is_some_and(|(known, _)| *known == ledger) {
            return;
        }
        let chain = Arc::clone(&self.state.chain) as Arc<dyn Chain>;
        let links = Arc::clone(&self.state.links) as _;
        let (follower, _) = Follower::start(ledger, self.config.kv.clone(), chain, links);
        if let Some((_, before)) = self.follower.replace((ledger, follower)) {
            before.stop();
        }
        // The host serves its enclave from one ledger's tree.
        self.enclave = None;
        *lock(&self.shared.running) = None;
    }

    /// Starts the enclave of the code in force. One that is gone is started again by its host, with the
    /// identity that was kept.
    async fn start(&mut self, runtime: &Runtime, definition: &Definition) -> Result<(), NodeError> {
        let same = |one: &Enclave| (one.application, one.code) == (runtime.id, definition.code);
        if self.enclave.as_ref().is_some_and(same) {
            return Ok(());
        }
        let Some((ledger, follower)) = &self.follower else { return Ok(()) };
        let (state, node) = (&self.state, self.registrar.node_id());
        let code =
            module(&definition.code, &node, &state.chain, &state.links, &state.services).await?;
        let host = Arc::new(self.host(runtime, ledger, code));
        *lock(&self.shared.running) =
            Some(Running { host: Arc::clone(&host), follower: follower.clone() });
        {
            let mut status = lock(&self.shared.status);
            status.application = runtime.id.as_bytes().to_vec();
            status.code_id = definition.code.as_bytes().to_vec();
        }
        if let Some(before) = self.enclave.replace(Enclave {
            application: runtime.id,
            code: definition.code,
            host,
            attested: None,
            launches: 0,
            fresh: None,
            keyed: None,
        }) {
            before.host.close();
        }
        tracing::info!(application = %runtime.name, code = %definition.code, "endorsing");
        Ok(())
    }

    fn host(&self, runtime: &Runtime, ledger: &RuntimeId, code: Vec<u8>) -> EndorserHost {
        let config = &self.config;
        let start = start_call(&config.genesis, &config.node_key, &runtime.id, code);
        let name = format!("{}/{}", runtime.name, self.registrar.node_id());
        let (chain, kv) = (Arc::clone(&self.state.chain), config.kv.clone());
        let services = Arc::new(BridgeServices::new(name, chain, kv, ledger));
        let (placement, recorder) = (config.placement.clone(), config.recorder.clone());
        // Ends with the host; a new one takes the place of the one before.
        let process: Mutex<Option<RunningEnclave>> = Mutex::new(None);
        let launch = move || {
            let services = Arc::clone(&services) as _;
            let started =
                RunningEnclave::start(Kind::Endorser, &placement, services, recorder.clone())
                    .map_err(|e| HostError::Launch(e.to_string()))?;
            let client = started.client().clone();
            *lock(&process) = Some(started);
            Ok(client)
        };
        EndorserHost::new(runtime.id, config.kv.clone(), start, Box::new(launch))
    }

    /// The claims of the enclave. One that was started anew has proven nothing and has no keys.
    fn claims(&mut self) -> Result<Claims, NodeError> {
        let Some(enclave) = &mut self.enclave else { return Err(not_ready("no enclave")) };
        let host = Arc::clone(&enclave.host);
        let claims = decoded(&in_place(|| host.claims())?)?;
        let launches = host.launches();
        if enclave.launches != launches {
            enclave.launches = launches;
            (enclave.fresh, enclave.keyed) = (None, None);
        }
        lock(&self.shared.status).rak = claims.rak.as_bytes().to_vec();
        Ok(claims)
    }

    /// Whether the registry names another enclave for this node and application.
    async fn is_another(&mut self, runtime: &Runtime) -> Result<bool, NodeError> {
        let claims = self.claims()?;
        let registered = self.registrar.registered().await?;
        let known = registered.as_ref().and_then(|node| node.runtime(&runtime.id)?.tee.as_ref());
        Ok(known.is_some_and(|tee| tee.rak != claims.rak))
    }

    /// Offers the enclave for registration: with evidence that the registry has, as long as that
    /// counts, so that a restart registers nothing.
    async fn attest(&mut self, runtime: &Runtime) -> Result<(), NodeError> {
        let claims = self.claims()?;
        let Some(enclave) = &mut self.enclave else { return Err(not_ready("no enclave")) };
        let Some(policy) = &runtime.tee else { return Err(not_ready("no policy for enclaves")) };
        let height = self.state.chain.height()?;
        let host = Arc::clone(&enclave.host);
        if let Some((rak, at)) = enclave.attested
            && rak == claims.rak
            && !is_evidence_due(at, policy.max_age_blocks, height)
        {
            return Ok(());
        }
        // CC-2: a restart registers nothing.
        if let Some((offer, at)) = known(&self.state, &self.registrar, &runtime.id, &claims).await?
            && !is_evidence_due(at, policy.max_age_blocks, height)
        {
            self.registrar.offer(offer);
            enclave.attested = Some((claims.rak, at));
            return Ok(());
        }
        let claims = decoded(&in_place(|| host.attest(height))?)?;
        let chain = self.state.chain.chain_context();
        let evidence = self.config.platform.quote(&claims, &chain);
        let tee = Some(CapabilityTee { rak: claims.rak, rek: claims.rek, evidence });
        let offer = NodeRuntime { runtime_id: runtime.id, tee, extra_info: Vec::new() };
        self.registrar.offer(offer);
        enclave.attested = Some((claims.rak, height));
        Ok(())
    }

    /// Whether the registry names the enclave for this node.
    async fn registered(&self, runtime: &Runtime) -> Result<(), NodeError> {
        self.registrar.pass().await?;
        let Some((rak, _)) = self.enclave.as_ref().and_then(|one| one.attested) else {
            return Err(not_ready("no enclave"));
        };
        let key = registry::keys::enclave(&runtime.id, &rak);
        let record: Option<EnclaveRecord> = self.state.chain.get(&key).await?;
        match record {
            Some(_) => Ok(()),
            None => {
                let reason = "the registry does not have the enclave yet: if this stays, the node's \
                              log says why it refuses the registration";
                Err(not_ready(reason))
            }
        }
    }

    async fn prove_freshness(&mut self, epoch: Epoch) -> Result<(), NodeError> {
        let Some(enclave) = &mut self.enclave else { return Ok(()) };
        if enclave.fresh == Some(epoch) {
            return Ok(());
        }
        let (chain, node) = (&self.state.chain, self.registrar.node_id());
        let height = chain.height()?;
        let host = Arc::clone(&enclave.host);
        in_place(|| host.sync(height))?;
        let client = host.client()?;
        let id = enclave.application;
        let proven = prove_freshness(chain, &node, Role::Runtime, &id, &client, height).await;
        noticed(&host, proven)?;
        enclave.fresh = Some(epoch);
        Ok(())
    }

    async fn fetch_keys(&mut self, epoch: Epoch) -> Result<(), NodeError> {
        let Some(enclave) = &mut self.enclave else { return Ok(()) };
        if enclave.keyed == Some(epoch) {
            return Ok(());
        }
        let (node, state) = (self.registrar.node_id(), &self.state);
        let (chain, links, services) = (&*state.chain, &*state.links, &*state.services);
        let source = KeySource { node, chain, links, services };
        let client = enclave.host.client()?;
        let fetched = source.fetch(&enclave.application, &client, epoch).await;
        if let Err(error) = noticed(&enclave.host, fetched) {
            // The refusal may be about freshness, so the next attempt proves it anew.
            enclave.fresh = None;
            return Err(error);
        }
        enclave.keyed = Some(epoch);
        self.shared.keyed.send_replace(epoch);
        Ok(())
    }
}

fn decoded(claims: &[u8]) -> Result<Claims, NodeError> {
    Claims::decode(claims).map_err(|e| NodeError::internal(&e))
}

/// Calls of the enclave block.
fn in_place<T>(call: impl FnOnce() -> Result<T, HostError>) -> Result<T, NodeError> {
    Ok(paralith_rt::in_place(call)?)
}

/// Has the host see why a call of its enclave failed: it removes an identity that was replaced.
fn noticed<T>(host: &EndorserHost, result: Result<T, NodeError>) -> Result<T, NodeError> {
    if let Err(NodeError::Enclave(error @ BoundaryError::Failure(_))) = &result {
        host.noticed(error)?;
    }
    result
}

/// What the registry has of this enclave, and the height of its evidence.
async fn known(
    state: &NodeState,
    registrar: &Registrar,
    application: &RuntimeId,
    claims: &Claims,
) -> Result<Option<(NodeRuntime, u64)>, NodeError> {
    let Some(node) = registrar.registered().await? else { return Ok(None) };
    let Some(offer) = node.runtime(application) else { return Ok(None) };
    if offer.tee.as_ref().is_none_or(|tee| tee.rak != claims.rak) {
        return Ok(None);
    }
    let key = registry::keys::enclave(application, &claims.rak);
    let record: Option<EnclaveRecord> = state.chain.get(&key).await?;
    Ok(record.map(|record| (offer.clone(), record.attested_height.0)))
}
