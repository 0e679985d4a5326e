//! A key manager's host: drives the enclave through the epochs and relays what it says.
//!
//! Each pass: follow the chain; once an epoch prove freshness; let the enclave take over the status;
//! fetch what it lacks from other key managers; make what is due and not published; open what is
//! published; keep the node registered with the enclave's newest answer.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use paralith_consensus_api::keymanager::{
    EncryptedEpochSecret, EncryptedMasterSecret, PublishEpochSecret, PublishMasterSecret, Status,
    keys,
};
use paralith_consensus_api::registry::{
    self, CapabilityTee, Freshness, NodeRuntime, ProveFreshness,
};
use paralith_consensus_api::tx::Body;
use paralith_proto::Canonical;
use paralith_runtime_worker::Chain as _;
use paralith_tee_channel::{BoundaryError, pb};
use paralith_types::{Epoch, Hash, PublicKey, RuntimeId};
use pb::host_call::Kind as Call;
use pb::host_reply::Kind as Reply;

use super::Registrar;
use crate::chain::ChainAccess;
use crate::error::NodeError;
use crate::keystore::write_private;
use crate::links::NodeLinks;
use crate::trusted::TrustedSide;

/// Longest published secret: a ciphertext for each of some hundred enclaves.
const MAX_SECRET_BYTES: usize = 256 * 1024;

/// How many blocks each key manager waits for the one before it in the committee to publish.
const TURN_BLOCKS: u64 = 3;

/// How many blocks a transaction of this host is given before it is taken for lost.
const PATIENCE_BLOCKS: u64 = 20;

/// A key manager's host.
pub struct KeyManagerHost {
    id: RuntimeId,
    chain: Arc<ChainAccess>,
    registrar: Arc<Registrar>,
    links: Arc<NodeLinks>,
    trusted: Arc<TrustedSide>,
    capability: CapabilityTee,
    sealed: Option<PathBuf>,
    fresh: Mutex<Option<Epoch>>,
    /// By epoch and whether it is a master secret: the height at which one was handed in.
    published: Mutex<BTreeMap<(u64, bool), u64>>,
}

impl std::fmt::Debug for KeyManagerHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyManagerHost({})", self.id)
    }
}

impl KeyManagerHost {
    /// For a started trusted side.
    pub fn new(
        id: RuntimeId,
        chain: Arc<ChainAccess>,
        registrar: Arc<Registrar>,
        links: Arc<NodeLinks>,
        trusted: Arc<TrustedSide>,
        capability: CapabilityTee,
        sealed: Option<PathBuf>,
    ) -> Arc<Self> {
        let (fresh, published) = (Mutex::default(), Mutex::default());
        Arc::new(Self {
            id,
            chain,
            registrar,
            links,
            trusted,
            capability,
            sealed,
            fresh,
            published,
        })
    }

    /// Whether the trusted side is gone.
    pub fn is_closed(&self) -> bool {
        self.trusted.client().is_closed()
    }

    /// Calls the enclave from async code.
    pub async fn call(&self, call: Call) -> Result<Reply, NodeError> {
        let client = self.trusted.client().clone();
        tokio::task::spawn_blocking(move || client.call(call))
            .await
            .map_err(|e| NodeError::internal(&e))?
            .map_err(NodeError::Trusted)
    }

    async fn call_bytes(&self, call: Call) -> Result<Vec<u8>, NodeError> {
        match self.call(call).await? {
            Reply::Bytes(bytes) => Ok(bytes),
            _ => Err(BoundaryError::WrongReply.into()),
        }
    }

    /// Relays a compute enclave's request for keys.
    pub async fn answer_keys(&self, request: Vec<u8>) -> Result<Vec<u8>, NodeError> {
        self.follow().await?;
        self.call_bytes(Call::AnswerKeys(pb::AnswerKeys { request })).await
    }

    /// Relays another key manager's request for secrets.
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
        match &self.sealed {
            Some(file) if !sealed.is_empty() => write_private(file, sealed),
            _ => Ok(()),
        }
    }

    /// Does whatever is missing. Called for every block.
    pub async fn pass(&self) -> Result<(), NodeError> {
        let height = self.follow().await?;
        let epoch = self.chain.epoch().await?;
        self.prove_freshness(epoch, height).await?;
        let status: Option<Status> = self.chain.get(&keys::status(&self.id)).await?;
        let Some(status) = status else { return Ok(()) };

        let initialised = self.initialise(Call::Init(pb::Init {})).await?;
        if !initialised.missing_generations.is_empty() || !initialised.missing_epochs.is_empty() {
            self.replicate(&status, !initialised.missing_generations.is_empty()).await?;
        }
        self.make_what_is_due(&status, epoch, height).await?;
        let opened = self.initialise(Call::LoadProposals(pb::LoadProposals {})).await?;
        let extra_info = opened.response;
        self.registrar.offer(NodeRuntime {
            runtime_id: self.id,
            tee: Some(self.capability.clone()),
            extra_info,
        });
        self.registrar.pass().await?;
        Ok(())
    }

    async fn initialise(&self, call: Call) -> Result<pb::Initialised, NodeError> {
        match self.call(call).await? {
            Reply::Initialised(initialised) => {
                self.keep(&initialised.sealed)?;
                Ok(initialised)
            }
            _ => Err(BoundaryError::WrongReply.into()),
        }
    }

    /// Has a blob of the enclave included, once an epoch.
    async fn prove_freshness(&self, epoch: Epoch, height: u64) -> Result<(), NodeError> {
        if *self.fresh.lock().unwrap_or_else(PoisonError::into_inner) == Some(epoch) {
            return Ok(());
        }
        let node = self.registrar.node_id();
        prove_freshness(&self.chain, &node, &self.id, self.trusted.client(), height).await?;
        *self.fresh.lock().unwrap_or_else(PoisonError::into_inner) = Some(epoch);
        Ok(())
    }

    /// Fetches what the enclave lacks from the first key manager that has it. Missing generations
    /// must come; missing epoch secrets may be gone for good.
    async fn replicate(&self, status: &Status, must: bool) -> Result<(), NodeError> {
        let ask = Call::ReplicationRequest(pb::ReplicationRequest {});
        let request = self.call_bytes(ask).await?;
        for peer in status.nodes.iter().filter(|node| **node != self.registrar.node_id()) {
            let Ok(reply) = self.links.answer_replication(peer, &self.id, request.clone()).await
            else {
                continue;
            };
            let provided = Call::ProvideReplica(pb::ProvideReplica { reply });
            match self.initialise(provided).await {
                Ok(_) => return Ok(()),
                Err(error) => tracing::debug!(%peer, %error, "a replica was refused"),
            }
        }
        if must && !status.nodes.contains(&self.registrar.node_id()) {
            tracing::debug!("no key manager has answered for the missing generations yet");
        }
        Ok(())
    }

    /// Publishes the master secret or epoch secret that is due, each member in its turn.
    async fn make_what_is_due(
        &self,
        status: &Status,
        epoch: Epoch,
        height: u64,
    ) -> Result<(), NodeError> {
        let Some(turn) = self.turn(status) else { return Ok(()) };
        let begun: paralith_consensus_api::beacon::EpochState =
            self.chain.require(&paralith_consensus_api::beacon::keys::epoch()).await?;
        if height < begun.height.0.saturating_add(turn.saturating_mul(TURN_BLOCKS)) {
            return Ok(());
        }
        let next = epoch.next();
        if self.master_is_due(status, next).await? && self.may_publish(next, true, height) {
            let bytes =
                self.call_bytes(Call::GenerateMaster(pb::GenerateMaster { epoch: next.0 })).await?;
            self.publish::<PublishMasterSecret>(&bytes).await?;
            tracing::info!(epoch = next.0, "published a master secret");
            self.has_published(next, true, height);
        }
        let due = status.initialised && !self.has_epoch_secret(next).await?;
        if due && self.may_publish(next, false, height) {
            let ask = Call::GenerateEpochSecret(pb::GenerateEpochSecret { epoch: next.0 });
            let bytes = self.call_bytes(ask).await?;
            self.publish::<PublishEpochSecret>(&bytes).await?;
            tracing::info!(epoch = next.0, "published an epoch's secret");
            self.has_published(next, false, height);
        }
        Ok(())
    }

    fn turn(&self, status: &Status) -> Option<u64> {
        let node = self.registrar.node_id();
        let turn = status.nodes.iter().position(|member| *member == node)?;
        u64::try_from(turn).ok()
    }

    /// Whether no secret of this epoch is on its way. One that has been for long is lost, and may
    /// be made anew: state takes the first of an epoch, and all enclaves take it from there.
    fn may_publish(&self, epoch: Epoch, master: bool, height: u64) -> bool {
        let published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        let on_its_way = published.get(&(epoch.0, master));
        on_its_way.is_none_or(|at| height >= at.saturating_add(PATIENCE_BLOCKS))
    }

    fn has_published(&self, epoch: Epoch, master: bool, height: u64) {
        let mut published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        published.retain(|(old, _), _| *old >= epoch.0);
        published.insert((epoch.0, master), height);
    }

    async fn publish<T: Canonical + Into<Body>>(&self, bytes: &[u8]) -> Result<(), NodeError> {
        let body = T::decode(bytes, MAX_SECRET_BYTES).map_err(|e| NodeError::internal(&e))?;
        self.chain.submit_body(&body.into()).await?;
        Ok(())
    }

    async fn master_is_due(&self, status: &Status, next: Epoch) -> Result<bool, NodeError> {
        let rotation = status.policy.as_ref().map_or(0, |policy| policy.rotation_epochs);
        let due = match status.checksum {
            None => true,
            Some(_) => rotation > 0 && next >= status.rotation_epoch.plus(rotation),
        };
        if !due {
            return Ok(false);
        }
        let published: Option<PublishMasterSecret> =
            self.chain.get(&keys::master_secret(&self.id)).await?;
        let proposed = published.and_then(|published| {
            EncryptedMasterSecret::decode(&published.secret, MAX_SECRET_BYTES).ok()
        });
        Ok(proposed.is_none_or(|secret| secret.epoch != next))
    }

    async fn has_epoch_secret(&self, epoch: Epoch) -> Result<bool, NodeError> {
        let published: Option<PublishEpochSecret> =
            self.chain.get(&keys::epoch_secret(&self.id)).await?;
        let secret = published.and_then(|published| {
            EncryptedEpochSecret::decode(&published.secret, MAX_SECRET_BYTES).ok()
        });
        Ok(secret.is_some_and(|secret| secret.epoch == epoch))
    }
}

/// Has a random blob of an enclave included in the chain and shows it to the enclave: it learns
/// that the chain it sees is alive.
pub async fn prove_freshness(
    chain: &Arc<ChainAccess>,
    node: &PublicKey,
    runtime_id: &RuntimeId,
    client: &paralith_tee_channel::Client,
    from_height: u64,
) -> Result<(), NodeError> {
    let call = |call: Call| {
        let client = client.clone();
        async move {
            tokio::task::spawn_blocking(move || client.call(call))
                .await
                .map_err(|e| NodeError::internal(&e))?
                .map_err(NodeError::Trusted)
        }
    };
    let Reply::Bytes(blob) = call(Call::FreshnessBlob(pb::FreshnessBlob {})).await? else {
        return Err(BoundaryError::WrongReply.into());
    };
    let blob = Hash::try_from(blob.as_slice()).map_err(|e| NodeError::internal(&e))?;
    let mut blocks = chain.subscribe();
    chain.submit_body(&Body::from(ProveFreshness { runtime_id: *runtime_id, blob })).await?;
    let handed_in = chain.height()?;
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
        if at > handed_in.saturating_add(PATIENCE_BLOCKS) {
            let reason = "a proof of freshness is in no block: it is handed in again".to_string();
            return Err(NodeError::NotReady { reason });
        }
        // Wakes with the next block; what counts is read above.
        if matches!(blocks.recv().await, Err(tokio::sync::broadcast::error::RecvError::Closed)) {
            return Err(NodeError::NotReady { reason: "the engine has stopped".to_string() });
        }
    }
    call(Call::ConfirmFreshness(pb::ConfirmFreshness { height })).await?;
    Ok(())
}
