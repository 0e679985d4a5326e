//! A key manager's host: carries out what [`paralith_keymanager_host`] decides.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use paralith_attest::SoftwarePlatform;
use paralith_consensus_api::beacon;
use paralith_consensus_api::keymanager::{
    EncryptedEpochSecret, EncryptedMasterSecret, PublishEpochSecret, PublishMasterSecret, Status,
    keys,
};
use paralith_consensus_api::registry::{
    self, CapabilityTee, Freshness, NodeRuntime, ProveFreshness,
};
use paralith_consensus_api::tx::Body;
use paralith_crypto::SigningKey;
use paralith_keymanager_host::{Action, KeyManagerHost as Machine, Lacks, Observed, Secret};
use paralith_proto::Canonical;
use paralith_runtime_worker::Chain as _;
use paralith_tee_channel::{BoundaryError, Role, pb};
use paralith_types::{Epoch, Hash, Height, PublicKey, RuntimeId};
use pb::key_manager_call::Kind as Call;
use pb::key_manager_reply::Kind as Reply;

use super::{Registrar, StartInput, attest_and_start};
use crate::chain::ChainAccess;
use crate::enclave::RunningEnclave;
use crate::error::NodeError;
use crate::genesis_info::GenesisInfo;
use crate::keystore::write_private;
use crate::links::NodeLinks;

/// Longest published secret: a ciphertext for each of some hundred enclaves.
const MAX_SECRET_BYTES: usize = 256 * 1024;

/// How many blocks a freshness proof is given before it is taken for lost.
const PROOF_BLOCKS: u64 = 20;

/// What a key manager's enclave is started and attested with.
#[derive(Debug)]
pub struct KeyManagerStart {
    /// The genesis document.
    pub genesis: GenesisInfo,
    /// The node's key.
    pub node_key: SigningKey,
    /// The platform that vouches for the enclave.
    pub platform: SoftwarePlatform,
    /// Where sealed state is kept; none for a chain in memory.
    pub sealed: Option<PathBuf>,
}

/// A key manager's host.
pub struct KeyManagerHost {
    id: RuntimeId,
    chain: Arc<ChainAccess>,
    registrar: Arc<Registrar>,
    links: Arc<NodeLinks>,
    enclave: Arc<RunningEnclave>,
    start: KeyManagerStart,
    state: Mutex<State>,
}

struct State {
    machine: Machine,
    /// The enclave's newest attestation.
    capability: CapabilityTee,
    /// The enclave's newest answer, for the node's registration.
    response: Option<Vec<u8>>,
    lacks: Lacks,
}

impl std::fmt::Debug for KeyManagerHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyManagerHost({})", self.id)
    }
}

impl KeyManagerHost {
    /// Starts the enclave at the other end of a stream.
    pub fn start(
        id: RuntimeId,
        chain: Arc<ChainAccess>,
        registrar: Arc<Registrar>,
        links: Arc<NodeLinks>,
        enclave: Arc<RunningEnclave>,
        start: KeyManagerStart,
    ) -> Result<Arc<Self>, NodeError> {
        let capability = attest(&id, &chain, &enclave, &start)?;
        let machine = Machine::new(registrar.node_id());
        let state = State { machine, capability, response: None, lacks: Lacks::default() };
        let state = Mutex::new(state);
        Ok(Arc::new(Self { id, chain, registrar, links, enclave, start, state }))
    }

    /// Whether the enclave is gone.
    pub fn is_closed(&self) -> bool {
        self.enclave.client().is_closed()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls the enclave from async code.
    pub async fn call(&self, call: Call) -> Result<Reply, NodeError> {
        let client = self.enclave.client().clone();
        paralith_rt::blocking(move || client.call_key_manager(call))
            .await
            .map_err(|e| NodeError::internal(&e))?
            .map_err(NodeError::Enclave)
    }

    async fn call_bytes(&self, call: Call) -> Result<Vec<u8>, NodeError> {
        match self.call(call).await? {
            Reply::Bytes(bytes) => Ok(bytes),
            _ => Err(BoundaryError::WrongReply.into()),
        }
    }

    /// Forwards a compute enclave's request for keys.
    pub async fn answer_keys(&self, request: Vec<u8>) -> Result<Vec<u8>, NodeError> {
        self.follow().await?;
        self.call_bytes(Call::AnswerKeys(pb::AnswerKeys { request })).await
    }

    /// Forwards another key manager's request for secrets.
    pub async fn answer_replication(&self, request: Vec<u8>) -> Result<Vec<u8>, NodeError> {
        self.follow().await?;
        self.call_bytes(Call::AnswerReplication(pb::AnswerReplication { request })).await
    }

    /// A runtime's public key of an epoch.
    pub async fn public_key(
        &self,
        runtime: &RuntimeId,
        epoch: Epoch,
    ) -> Result<Vec<u8>, NodeError> {
        let runtime_id = runtime.as_bytes().to_vec();
        let ask = pb::PublicKeyGet { runtime_id, epoch: epoch.0 };
        self.call_bytes(Call::PublicKeyGet(ask)).await
    }

    async fn follow(&self) -> Result<u64, NodeError> {
        let height = self.chain.height()?;
        match self.call(Call::Sync(pb::Sync { height })).await? {
            Reply::Synced(synced) => {
                self.keep(&synced.sealed)?;
                Ok(synced.height)
            }
            _ => Err(BoundaryError::WrongReply.into()),
        }
    }

    fn keep(&self, sealed: &[u8]) -> Result<(), NodeError> {
        match &self.start.sealed {
            Some(file) if !sealed.is_empty() => write_private(file, sealed),
            _ => Ok(()),
        }
    }

    /// Does what is missing. Called for every block.
    pub async fn pass(&self) -> Result<(), NodeError> {
        self.follow().await?;
        let observed = self.observe().await?;
        let begin = self.state().machine.begin(&observed);
        let mut failed = self.carry_out(begin, &observed).await;
        let rest = {
            let state = self.state();
            state.machine.rest(&observed, state.lacks)
        };
        if let Some(error) = self.carry_out(rest, &observed).await {
            failed.get_or_insert(error);
        }
        failed.map_or(Ok(()), Err)
    }

    /// One action that fails stops no other. Gives the first failure.
    async fn carry_out(&self, actions: Vec<Action>, observed: &Observed) -> Option<NodeError> {
        let mut first = None;
        for action in actions {
            match self.act(&action, observed).await {
                Ok(()) => self.state().machine.done(&action, observed),
                Err(error) => {
                    tracing::debug!(?action, %error, "not done yet");
                    first.get_or_insert(error);
                }
            }
        }
        first
    }

    async fn observe(&self) -> Result<Observed, NodeError> {
        let master: Option<PublishMasterSecret> =
            self.chain.get(&keys::master_secret(&self.id)).await?;
        let proposed = master.and_then(|master| {
            EncryptedMasterSecret::decode(&master.secret, MAX_SECRET_BYTES).ok()
        });
        let secret: Option<PublishEpochSecret> =
            self.chain.get(&keys::epoch_secret(&self.id)).await?;
        let published = secret
            .and_then(|secret| EncryptedEpochSecret::decode(&secret.secret, MAX_SECRET_BYTES).ok());
        let status: Option<Status> = self.chain.get(&keys::status(&self.id)).await?;
        Ok(Observed {
            height: Height(self.chain.height()?),
            epoch: self.chain.require(&beacon::keys::epoch()).await?,
            status,
            proposed: proposed.map(|one| one.epoch),
            published: published.map(|one| one.epoch),
        })
    }

    async fn act(&self, action: &Action, observed: &Observed) -> Result<(), NodeError> {
        match action {
            Action::ProveFreshness => {
                let (node, client) = (self.registrar.node_id(), self.enclave.client());
                let (role, height) = (Role::KeyManager, observed.height.0);
                prove_freshness(&self.chain, &node, role, &self.id, client, height).await
            }
            Action::Attest => {
                let capability = attest(&self.id, &self.chain, &self.enclave, &self.start)?;
                self.state().capability = capability;
                Ok(())
            }
            Action::Initialise => self.initialise(Call::Init(pb::Init {})).await,
            Action::Replicate { from } => self.replicate(from).await,
            Action::Publish(secret, epoch) => self.publish(*secret, *epoch).await,
            Action::LoadProposals => {
                self.initialise(Call::LoadProposals(pb::LoadProposals {})).await
            }
            Action::Register => self.register().await,
        }
    }

    async fn initialise(&self, call: Call) -> Result<(), NodeError> {
        let Reply::Initialised(initialised) = self.call(call).await? else {
            return Err(BoundaryError::WrongReply.into());
        };
        self.keep(&initialised.sealed)?;
        let mut state = self.state();
        state.lacks = Lacks {
            generations: !initialised.missing_generations.is_empty(),
            epochs: !initialised.missing_epochs.is_empty(),
        };
        state.response = Some(initialised.response);
        Ok(())
    }

    /// Fetches what the enclave lacks from the first key manager that has it.
    async fn replicate(&self, from: &[PublicKey]) -> Result<(), NodeError> {
        let ask = Call::ReplicationRequest(pb::ReplicationRequest {});
        let request = self.call_bytes(ask).await?;
        for peer in from {
            let Ok(reply) = self.links.answer_replication(peer, &self.id, request.clone()).await
            else {
                continue;
            };
            match self.initialise(Call::ProvideReplica(pb::ProvideReplica { reply })).await {
                Ok(()) => return Ok(()),
                Err(error) => tracing::debug!(%peer, %error, "a replica was refused"),
            }
        }
        Ok(())
    }

    async fn publish(&self, secret: Secret, epoch: Epoch) -> Result<(), NodeError> {
        let (call, name) = match secret {
            Secret::Master => {
                (Call::GenerateMaster(pb::GenerateMaster { epoch: epoch.0 }), "master secret")
            }
            Secret::Epoch => {
                let ask = pb::GenerateEpochSecret { epoch: epoch.0 };
                (Call::GenerateEpochSecret(ask), "epoch secret")
            }
        };
        let bytes = self.call_bytes(call).await?;
        let body = match secret {
            Secret::Master => PublishMasterSecret::decode(&bytes, MAX_SECRET_BYTES).map(Body::from),
            Secret::Epoch => PublishEpochSecret::decode(&bytes, MAX_SECRET_BYTES).map(Body::from),
        };
        self.chain.submit_body(&body.map_err(|e| NodeError::internal(&e))?).await?;
        tracing::info!(epoch = epoch.0, "published a {name}");
        Ok(())
    }

    async fn register(&self) -> Result<(), NodeError> {
        let (tee, response) = {
            let state = self.state();
            (state.capability.clone(), state.response.clone())
        };
        let Some(extra_info) = response else { return Ok(()) };
        self.registrar.offer(NodeRuntime { runtime_id: self.id, tee: Some(tee), extra_info });
        self.registrar.pass().await?;
        Ok(())
    }
}

/// Starts the enclave, or has a started one attested anew: with the REK of the epoch.
fn attest(
    id: &RuntimeId,
    chain: &ChainAccess,
    enclave: &RunningEnclave,
    start: &KeyManagerStart,
) -> Result<CapabilityTee, NodeError> {
    let height = chain.height()?;
    let input = StartInput {
        genesis: &start.genesis,
        node: &start.node_key,
        runtime_id: *id,
        code: Vec::new(),
        sealed: start.sealed.clone(),
        platform: Some(&start.platform),
    };
    let attested = paralith_rt::in_place(|| {
        attest_and_start(enclave.client(), Role::KeyManager, height, input)
    })?;
    attested.capability.ok_or_else(|| NodeError::internal(&"a quoted enclave has a capability"))
}

/// Has a random blob of an enclave included in the chain and shows it to the enclave: it learns
/// that the chain it sees is alive.
pub async fn prove_freshness(
    chain: &Arc<ChainAccess>,
    node: &PublicKey,
    role: Role,
    runtime_id: &RuntimeId,
    client: &paralith_tee_channel::Client,
    from_height: u64,
) -> Result<(), NodeError> {
    let enclave = client.clone();
    let blob = paralith_rt::blocking(move || enclave.freshness_blob(role))
        .await
        .map_err(|e| NodeError::internal(&e))??;
    let blob = Hash::try_from(blob.as_slice()).map_err(|e| NodeError::internal(&e))?;
    let mut blocks = chain.subscribe();
    chain.submit_body(&Body::from(ProveFreshness { runtime_id: *runtime_id, blob })).await?;
    let submitted_at = chain.height()?;
    let key = registry::keys::freshness(node, runtime_id);
    let mut height = from_height;
    loop {
        let (at, value) = chain.as_ref().get_newest(&key).await?;
        let included = value
            .and_then(|bytes| Freshness::decode(&bytes, 1024).ok())
            .is_some_and(|freshness| freshness.blob == blob);
        if included {
            height = height.max(at);
            break;
        }
        if at > submitted_at.saturating_add(PROOF_BLOCKS) {
            let reason = "a proof of freshness is in no block: it is submitted again".to_string();
            return Err(NodeError::NotReady { reason });
        }
        // Wakes with the next block; what counts is read above.
        if matches!(blocks.recv().await, Err(tokio::sync::broadcast::error::RecvError::Closed)) {
            return Err(NodeError::NotReady { reason: "the engine has stopped".to_string() });
        }
    }
    let enclave = client.clone();
    paralith_rt::blocking(move || enclave.confirm_freshness(role, height))
        .await
        .map_err(|e| NodeError::internal(&e))??;
    Ok(())
}
