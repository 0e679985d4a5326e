//! A compute node's host: starts an enclave and a worker for each ParaTime that it runs, and
//! gets the ParaTime's keys for it in every epoch.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use paralith_attest::SoftwarePlatform;
use paralith_consensus_api::keymanager::{Status as KmStatus, keys};
use paralith_consensus_api::registry::{self, NodeRuntime, Runtime, RuntimeKind};
use paralith_consensus_api::scheduler;
use paralith_crypto::SigningKey;
use paralith_rt::TaskSet;
use paralith_runtime_worker::{
    Connections, Links as _, PoolLimits, Worker, WorkerConfig, WorkerHandle,
};
use paralith_storage::Kv;
use paralith_tee_channel::{BoundaryError, Client, Recorder, Role, pb};
use paralith_types::{CodeId, Epoch, PublicKey, RuntimeId};
use pb::runtime_call::Kind as Call;
use pb::runtime_reply::Kind as Reply;

use super::keymanager::prove_freshness;
use super::{BridgeServices, Registrar, StartInput, WorkerEnclave, attest_and_start};
use crate::chain::ChainAccess;
use crate::enclave::{Kind, Placement, RunningEnclave};
use crate::error::NodeError;
use crate::genesis_info::GenesisInfo;
use crate::links::NodeLinks;
use crate::state::Services;

/// Gives the connections that a worker uses in place of those that the node made. A node gives them
/// back as they are; test programs watch or change what goes over them.
pub type Connect = Arc<dyn Fn(&WorkerConfig, Connections) -> Connections + Send + Sync>;

/// Connections as the node made them.
pub fn as_made() -> Connect {
    Arc::new(|_: &WorkerConfig, connections| connections)
}

/// What a compute node runs with.
pub struct ComputeConfig {
    /// The genesis document.
    pub genesis: GenesisInfo,
    /// The node's key.
    pub node_key: SigningKey,
    /// Only these; all if empty.
    pub only: Vec<RuntimeId>,
    /// For how many blocks the state after each round is kept; none: for ever.
    pub state_kept_blocks: Option<u64>,
    /// Where enclaves run.
    pub placement: Placement,
    /// The software platform that vouches for them. Test chains only.
    pub platform: Option<SoftwarePlatform>,
    /// Wraps the connections of every worker, where a test program asks for it.
    pub connect: Connect,
    /// The node's store.
    pub kv: Kv,
    /// Where sealed state is kept; none for a chain in memory.
    pub home: Option<PathBuf>,
    /// Gets every frame of the boundary.
    pub recorder: Option<Recorder>,
}

impl std::fmt::Debug for ComputeConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ComputeConfig")
    }
}

/// One ParaTime that runs here.
struct Running {
    enclave: Arc<RunningEnclave>,
    worker: WorkerHandle,
    confidential: bool,
    /// The height of the newest evidence; none without attestation.
    attested: Option<u64>,
    fresh: Option<Epoch>,
    keyed: Option<Epoch>,
}

/// A compute node's host.
pub struct ComputeHost {
    config: ComputeConfig,
    chain: Arc<ChainAccess>,
    registrar: Arc<Registrar>,
    links: Arc<NodeLinks>,
    services: Arc<Services>,
    running: Mutex<BTreeMap<RuntimeId, Running>>,
    /// The workers' tasks.
    tasks: Mutex<TaskSet>,
}

impl std::fmt::Debug for ComputeHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ComputeHost")
    }
}

impl ComputeHost {
    /// Runs nothing yet; [`ComputeHost::pass`] starts what is registered.
    pub fn new(
        config: ComputeConfig,
        chain: Arc<ChainAccess>,
        registrar: Arc<Registrar>,
        links: Arc<NodeLinks>,
        services: Arc<Services>,
    ) -> Arc<Self> {
        let (running, tasks) = (Mutex::default(), Mutex::default());
        Arc::new(Self { config, chain, registrar, links, services, running, tasks })
    }

    /// Does whatever is missing. Called for every block.
    pub async fn pass(&self) -> Result<(), NodeError> {
        self.drop_dead();
        let ended = |tasks: &Mutex<TaskSet>| {
            tasks.lock().unwrap_or_else(PoisonError::into_inner).try_join_next().is_some()
        };
        while ended(&self.tasks) {}
        let runtimes = self.chain.runtimes(None).await?;
        for runtime in &runtimes {
            let wanted = runtime.kind == RuntimeKind::Compute
                && (self.config.only.is_empty() || self.config.only.contains(&runtime.id));
            if wanted
                && !self.is_running(&runtime.id)
                && let Err(error) = self.start(runtime).await
            {
                tracing::debug!(runtime = %runtime.name, %error, "cannot run this ParaTime yet");
            }
            if let Err(error) = self.renew_evidence(runtime) {
                tracing::warn!(runtime = %runtime.name, %error, "cannot attest the enclave anew");
            }
        }
        self.registrar.pass().await?;
        let ids: Vec<RuntimeId> = self.lock().keys().copied().collect();
        for id in ids {
            if let Err(error) = self.renew_keys(&id).await {
                tracing::debug!(runtime = %id, %error, "no keys yet");
            }
        }
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<RuntimeId, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_running(&self, id: &RuntimeId) -> bool {
        self.lock().contains_key(id)
    }

    /// An enclave that is gone takes its worker with it; both are started anew, with new keys.
    fn drop_dead(&self) {
        let mut running = self.lock();
        running.retain(|id, one| {
            let alive = !one.enclave.client().is_closed();
            if !alive {
                tracing::warn!(runtime = %id, "the enclave is gone: starting it anew");
                one.worker.stop();
                self.services.remove_worker(id);
            }
            alive
        });
    }

    async fn start(&self, runtime: &Runtime) -> Result<(), NodeError> {
        let code = runtime.code.as_ref().ok_or_else(|| NodeError::NotFound {
            what: "code of ParaTime",
            name: runtime.name.clone(),
            hint: String::new(),
        })?;
        let (node, links) = (self.registrar.node_id(), &self.links);
        let module = module(&code.id, &node, &self.chain, links, &self.services).await?;
        let name = format!("{}/{}", runtime.name, self.registrar.node_id());
        let kv = self.config.kv.clone();
        let services = BridgeServices::new(name, Arc::clone(&self.chain), kv, &runtime.id);
        let enclave = Arc::new(RunningEnclave::start(
            Kind::Runtime,
            &self.config.placement,
            Arc::new(services),
            self.config.recorder.clone(),
        )?);
        let client = enclave.client().clone();
        let height = self.chain.height()?;
        let attested = self.attest(runtime, &client, height, module)?;
        let config = WorkerConfig {
            runtime_id: runtime.id,
            node_key: self.config.node_key.clone(),
            chain_context: self.chain.chain_context(),
            kv: self.config.kv.clone(),
            pool: PoolLimits::default(),
            peers: Vec::new(),
            state_kept_blocks: self.config.state_kept_blocks,
        };
        let connections = Connections {
            chain: Arc::clone(&self.chain) as Arc<dyn paralith_runtime_worker::Chain>,
            links: Arc::clone(&self.links) as Arc<dyn paralith_runtime_worker::Links>,
            enclave: Arc::new(WorkerEnclave(client)),
        };
        let connections = (self.config.connect)(&config, connections);
        let (worker, task) = Worker::start(config, connections);
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).spawn(async move {
            if let Err(error) = task.await {
                tracing::error!(%error, "a worker's task failed");
            }
        });
        self.services.add_worker(runtime.id, worker.clone());
        let (confidential, attested) = (runtime.confidential, attested.then_some(height));
        let one = Running { enclave, worker, confidential, attested, fresh: None, keyed: None };
        self.lock().insert(runtime.id, one);
        tracing::info!(runtime = %runtime.name, "running this ParaTime");
        Ok(())
    }

    /// Starts the enclave, or has a started one attested anew, and offers what it says for the
    /// node's registration. Gives whether there is evidence.
    fn attest(
        &self,
        runtime: &Runtime,
        client: &Client,
        height: u64,
        code: Vec<u8>,
    ) -> Result<bool, NodeError> {
        let home = self.config.home.as_ref();
        let input = StartInput {
            genesis: &self.config.genesis,
            node: &self.config.node_key,
            runtime_id: runtime.id,
            code,
            sealed: home.map(|home| home.join(format!("sealed-{}", runtime.id))),
            platform: self.config.platform.as_ref().filter(|_| runtime.confidential),
        };
        let attested =
            paralith_rt::in_place(|| attest_and_start(client, Role::Runtime, height, input))?;
        let has_evidence = attested.capability.is_some();
        self.registrar.offer(NodeRuntime {
            runtime_id: runtime.id,
            tee: attested.capability,
            extra_info: Vec::new(),
        });
        Ok(has_evidence)
    }

    /// Has an enclave attested anew before its evidence is too old for the descriptor's policy. The
    /// keys stay; the next pass of the registrar registers the evidence.
    fn renew_evidence(&self, runtime: &Runtime) -> Result<(), NodeError> {
        let (client, attested) = match self.lock().get(&runtime.id) {
            Some(one) => (one.enclave.client().clone(), one.attested),
            None => return Ok(()),
        };
        let (Some(attested), Some(policy)) = (attested, &runtime.tee) else { return Ok(()) };
        let height = self.chain.height()?;
        if !is_evidence_due(attested, policy.max_age_blocks, height) {
            return Ok(());
        }
        // A started enclave has its code already.
        self.attest(runtime, &client, height, Vec::new())?;
        if let Some(one) = self.lock().get_mut(&runtime.id) {
            one.attested = Some(height);
        }
        tracing::info!(runtime = %runtime.name, height, "attested the enclave anew");
        Ok(())
    }

    /// Proves freshness and fetches keys for a ParaTime, once an epoch.
    async fn renew_keys(&self, id: &RuntimeId) -> Result<(), NodeError> {
        let epoch = self.chain.epoch().await?;
        let (client, confidential, fresh, keyed) = match self.lock().get(id) {
            Some(one) => (one.enclave.client().clone(), one.confidential, one.fresh, one.keyed),
            None => return Ok(()),
        };
        if !confidential || keyed == Some(epoch) {
            return Ok(());
        }
        let height = self.chain.height()?;
        let node = self.registrar.node_id();
        if fresh != Some(epoch) {
            call(&client, Call::Sync(pb::Sync { height })).await?;
            let role = Role::Runtime;
            prove_freshness(&self.chain, &node, role, id, &client, height).await?;
            if let Some(one) = self.lock().get_mut(id) {
                one.fresh = Some(epoch);
            }
        }
        let committee: Option<scheduler::Committee> =
            self.chain.get(&scheduler::keys::committee(id)).await?;
        let elected = committee.is_some_and(|committee| {
            committee.workers.contains(&node) || committee.backups.contains(&node)
        });
        if !elected {
            return Ok(());
        }
        let (chain, links, services) = (&*self.chain, &*self.links, &*self.services);
        let source = KeySource { node, chain, links, services };
        if let Err(error) = source.fetch(id, &client, epoch).await {
            // The refusal may be about freshness, so the next attempt proves it anew.
            if let Some(one) = self.lock().get_mut(id) {
                one.fresh = None;
            }
            return Err(error);
        }
        if let Some(one) = self.lock().get_mut(id) {
            one.keyed = Some(epoch);
        }
        Ok(())
    }
}

/// The module with this hash: from the node's own store, or the first compute node that has it.
pub async fn module(
    id: &CodeId,
    me: &PublicKey,
    chain: &ChainAccess,
    links: &NodeLinks,
    services: &Services,
) -> Result<Vec<u8>, NodeError> {
    if let Some(module) = services.code.get(id)? {
        return Ok(module);
    }
    for node in chain.nodes(None).await? {
        if !node.has_role(registry::ROLE_COMPUTE) || node.id == *me {
            continue;
        }
        let Ok(module) = links.fetch_code(node.id, *id).await else { continue };
        if paralith_runtime_vm::code_id(&module) == *id {
            services.code.put(&module)?;
            return Ok(module);
        }
    }
    Err(NodeError::NotFound {
        what: "module",
        name: id.to_string(),
        hint: ": no compute node has it".to_string(),
    })
}

/// Whether an enclave is to be attested anew: half of the time that its evidence counts is over, so
/// that a node that is down for a while, or refused once, still has evidence that counts.
pub(crate) fn is_evidence_due(attested: u64, max_age_blocks: u64, height: u64) -> bool {
    height > attested && height.saturating_sub(attested) >= max_age_blocks / 2
}

/// Where a compute node's enclaves get their keys from.
#[derive(Debug, Clone, Copy)]
pub struct KeySource<'a> {
    /// The node.
    pub node: PublicKey,
    /// Names the key managers.
    pub chain: &'a ChainAccess,
    /// The way to other nodes' key managers.
    pub links: &'a NodeLinks,
    /// The node's own key manager, if it is one.
    pub services: &'a Services,
}

impl KeySource<'_> {
    /// Fetches a ParaTime's keys of an epoch for its enclave, from the first key manager whose
    /// reply it takes. A ParaTime without key manager has none.
    pub async fn fetch(
        &self,
        id: &RuntimeId,
        client: &Client,
        epoch: Epoch,
    ) -> Result<(), NodeError> {
        let runtime: Option<Runtime> = self.chain.get(&registry::keys::runtime(id)).await?;
        let Some(manager) = runtime.and_then(|runtime| runtime.key_manager) else {
            return Ok(());
        };
        let status: Option<KmStatus> = self.chain.get(&keys::status(&manager)).await?;
        let ask = Call::KeyRequestFor(pb::KeyRequestFor { epoch: epoch.0 });
        let Reply::Bytes(request) = call(client, ask).await? else {
            return Err(BoundaryError::WrongReply.into());
        };
        let mut last =
            NodeError::NotReady { reason: "no key manager is registered yet".to_string() };
        for peer in status.map(|status| status.nodes).unwrap_or_default() {
            let answered = match self.services.keymanager(&manager) {
                Ok(host) if peer == self.node => {
                    host.answer_keys(request.clone()).await.map_err(|e| e.to_string())
                }
                _ => self
                    .links
                    .answer_keys(&peer, &manager, request.clone())
                    .await
                    .map_err(|e| e.to_string()),
            };
            let reply = match answered {
                Ok(reply) => reply,
                Err(reason) => {
                    last = NodeError::NotReady { reason };
                    continue;
                }
            };
            match call(client, Call::ProvideKeys(pb::ProvideKeys { reply })).await {
                Ok(_) => return Ok(()),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

async fn call(client: &Client, call: Call) -> Result<Reply, NodeError> {
    let client = client.clone();
    paralith_rt::blocking(move || client.call(call))
        .await
        .map_err(|e| NodeError::internal(&e))?
        .map_err(NodeError::Enclave)
}

#[cfg(test)]
mod tests {
    use super::is_evidence_due;

    #[test]
    fn evidence_is_renewed_once_in_half_of_its_time_and_never_counts_no_more() {
        for max_age in 1..40 {
            let (mut attested, mut renewals) = (0, 0);
            for height in 1..400 {
                assert!(height - attested <= max_age, "max {max_age}, height {height}: too old");
                if is_evidence_due(attested, max_age, height) {
                    attested = height;
                    renewals += 1;
                    assert!(!is_evidence_due(attested, max_age, height), "once a block at most");
                }
            }
            assert!(renewals <= 400 / (max_age / 2).max(1), "max {max_age}: {renewals}");
        }
    }
}
