//! What a running node consists of, shared by its services.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use paralith_runtime_worker::WorkerHandle;
use paralith_types::{PublicKey, RuntimeId};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use crate::chain::ChainAccess;
use crate::code::CodeStore;
use crate::config::Role;
use crate::genesis_info::GenesisInfo;
use crate::links::NodeLinks;
use crate::roles::Alarms;
use crate::roles::keymanager::KeyManagerHost;
use crate::rpc::{PublicService, refusal};

/// What a node runs for others.
#[derive(Debug)]
pub struct Services {
    /// Modules that were uploaded or fetched.
    pub code: CodeStore,
    workers: Mutex<BTreeMap<RuntimeId, WorkerHandle>>,
    keymanagers: Mutex<BTreeMap<RuntimeId, Arc<KeyManagerHost>>>,
}

impl Services {
    /// None yet.
    pub fn new(code: CodeStore) -> Arc<Self> {
        Arc::new(Self { code, workers: Mutex::default(), keymanagers: Mutex::default() })
    }

    /// The worker of a ParaTime, if this node runs it.
    pub fn worker(&self, id: &RuntimeId) -> Option<WorkerHandle> {
        lock(&self.workers).get(id).cloned()
    }

    /// All workers.
    pub fn workers(&self) -> Vec<(RuntimeId, WorkerHandle)> {
        lock(&self.workers).iter().map(|(id, worker)| (*id, worker.clone())).collect()
    }

    /// Begins to serve a ParaTime.
    pub fn add_worker(&self, id: RuntimeId, worker: WorkerHandle) {
        lock(&self.workers).insert(id, worker);
    }

    /// No longer serves a ParaTime: its enclave is gone.
    pub fn remove_worker(&self, id: &RuntimeId) {
        lock(&self.workers).remove(id);
    }

    /// The key manager of this id, if this node is part of it.
    pub fn keymanager(&self, id: &RuntimeId) -> Result<Arc<KeyManagerHost>, Status> {
        lock(&self.keymanagers).get(id).cloned().ok_or_else(|| {
            refusal(Code::NotFound, "node", 6, format!("this node is no part of key manager {id}"))
        })
    }

    /// Begins to serve a key manager.
    pub fn add_keymanager(&self, id: RuntimeId, host: Arc<KeyManagerHost>) {
        lock(&self.keymanagers).insert(id, host);
    }

    /// No longer serves a key manager: its enclave is gone.
    pub fn remove_keymanager(&self, id: &RuntimeId) {
        lock(&self.keymanagers).remove(id);
    }
}

/// A running node.
#[derive(Debug)]
pub struct NodeState {
    /// Its name in logs and listings.
    pub name: String,
    /// Its id.
    pub node_id: PublicKey,
    /// What it does.
    pub roles: Vec<Role>,
    /// "solo", "cometbft" or "light".
    pub engine_name: &'static str,
    /// The genesis document.
    pub genesis: GenesisInfo,
    /// The consensus layer.
    pub chain: Arc<ChainAccess>,
    /// Calls to other nodes.
    pub links: Arc<NodeLinks>,
    /// What it runs for others.
    pub services: Arc<Services>,
    /// What it keeps for others by its hash.
    pub data: Option<paralith_data::Service>,
    /// What its operator must look at.
    pub alarms: Alarms,
    /// What it serves users besides its own services.
    pub public: Vec<PublicService>,
    /// Where its data is; none for a chain in memory.
    pub home: Option<PathBuf>,
    /// Ends everything.
    pub stop: CancellationToken,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
