//! Which member of a ParaTime this node is, and the others.

use std::sync::{Arc, Mutex, PoisonError};

use paralith_consensus_api::registry::Runtime;
use paralith_crypto::ed25519::SigningKey;
use paralith_types::{ChainContext, PublicKey, RuntimeId};
use tokio::sync::watch;

use crate::config::WorkerConfig;
use crate::round::ChainSnapshot;

/// This node in one ParaTime. The worker's loop publishes the chain's newest state here; all tasks
/// read it.
#[derive(Debug)]
pub(crate) struct Member {
    /// Signs proposals and votes.
    pub(crate) key: SigningKey,
    pub(crate) me: PublicKey,
    pub(crate) runtime_id: RuntimeId,
    pub(crate) chain_context: ChainContext,
    snapshot: watch::Sender<Option<Arc<ChainSnapshot>>>,
    /// The descriptor of the same height.
    runtime: Mutex<Option<Runtime>>,
}

impl Member {
    pub(crate) fn new(config: &WorkerConfig) -> Self {
        Self {
            key: config.node_key.clone(),
            me: config.node_key.public(),
            runtime_id: config.runtime_id,
            chain_context: config.chain_context,
            snapshot: watch::Sender::new(None),
            runtime: Mutex::default(),
        }
    }

    pub(crate) fn publish(&self, snapshot: Arc<ChainSnapshot>, runtime: &Runtime) {
        *self.runtime.lock().unwrap_or_else(PoisonError::into_inner) = Some(runtime.clone());
        self.snapshot.send_replace(Some(snapshot));
    }

    /// The chain's newest state; none before the runtime has any.
    pub(crate) fn current(&self) -> Option<Arc<ChainSnapshot>> {
        self.snapshot.borrow().clone()
    }

    /// The ParaTime's descriptor; none before the runtime has any state.
    pub(crate) fn runtime(&self) -> Option<Runtime> {
        self.runtime.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The committee without this node, each once.
    pub(crate) fn members(&self) -> Vec<PublicKey> {
        let Some(snapshot) = self.current() else { return Vec::new() };
        let Some(committee) = &snapshot.committee else { return Vec::new() };
        let mut members: Vec<PublicKey> = committee.workers.clone();
        for backup in &committee.backups {
            if !members.contains(backup) {
                members.push(*backup);
            }
        }
        members.retain(|member| *member != self.me);
        members
    }

    /// The workers without this node.
    pub(crate) fn workers(&self) -> Vec<PublicKey> {
        let snapshot = self.current();
        let committee = snapshot.as_ref().and_then(|snapshot| snapshot.committee.as_ref());
        let workers = committee.map(|committee| committee.workers.clone()).unwrap_or_default();
        workers.into_iter().filter(|worker| *worker != self.me).collect()
    }
}
