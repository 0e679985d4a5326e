//! The role `stakeholder`: a member of private contracts. `systems/private-contract/SPEC.md` is the
//! specification.
//!
//! * [`StakeholderRole`] follows the mediator, runs a member for each contract whose package is installed,
//!   and publishes the member's keys; `rotation` brings new ones into force and erases old ones.
//! * `links` carries what members ask each other, `mediator` submits their calls, `origins` fetches contents
//!   from data stores, `tickets` says who may use this node's own one.
//! * `member` and `public` are the services for users; [`request`] is how their requests are signed.

pub mod client;
pub mod demo;
mod follow;
mod links;
mod mediator;
mod member;
mod origins;
mod public;
pub mod request;
mod rotation;
mod serve;
#[cfg(test)]
mod tests;
mod tickets;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use paralith_private_contract_core::ids::Place;
use paralith_private_contract_grpc::LINKS_SERVICE;
use paralith_private_contract_messages::ContractId;
use paralith_private_contract_stakeholder::{
    Contract, ContractStore, Keys, MediatorState, Server, ServiceError, Snapshot,
};
use paralith_rt::TaskSet;
use paralith_runtime_vm::Engine;
use paralith_runtime_worker::FollowerHandle;
use paralith_storage::{Column, Durability, Files, Kv, WriteBatch};
use paralith_types::{ChainContext, PublicKey, RuntimeId};
use tokio::sync::{mpsc, watch};

use crate::assemble::NodeConfig;
use crate::config::{Config, StakeholderConfig};
use crate::error::NodeError;
use crate::links::endpoint::Trust;
use crate::links::{Members, Network};
use crate::password::Passwords;
use crate::state::NodeState;

/// Where the store has the contracts whose packages are installed.
const INSTALLED: &[u8] = b"private-contracts/";
/// Most contracts of a member.
const MAX_CONTRACTS: usize = 1024;

/// Opens the keys of a stakeholder's configuration, and where their files are; none if the node is no stakeholder.
pub fn keys(config: &Config) -> Result<Option<(Keys, Files)>, NodeError> {
    let Some(section) = &config.stakeholder else { return Ok(None) };
    open_keys(section).map(Some)
}

fn open_keys(section: &StakeholderConfig) -> Result<(Keys, Files), NodeError> {
    let what = section.keys.display().to_string();
    if !section.keys.is_dir() {
        let reason = "there are no keys: make them with `paralith contract init`";
        return Err(NodeError::usage(what, reason));
    }
    let files = Files::folder(&section.keys).map_err(|e| NodeError::usage(&what, e))?;
    let passwords = Passwords::from_file(section.password_file.clone());
    let password = passwords.of_key("the stakeholder")?;
    let keys = Keys::open(&files, password.as_bytes()).map_err(|e| NodeError::usage(what, e))?;
    Ok((keys, files))
}

/// A node through which calls to the mediator are submitted.
#[derive(Debug, Clone)]
pub struct Via {
    /// Its address.
    pub node: String,
    /// Which certificate it must show.
    pub trust: Trust,
}

/// What a stakeholder's role is made of.
#[derive(Debug)]
pub struct RoleConfig {
    /// Its keys.
    pub keys: Keys,
    /// Where their files are.
    pub key_files: Files,
    /// The mediator's name or id.
    pub mediator: String,
    /// Gas limit of its calls to the mediator; none: the most there is, where gas costs nothing.
    pub gas_limit: Option<u64>,
    /// "host:port" of its links, as published.
    pub link_address: String,
    /// Its data store, as published, or empty.
    pub origin: String,
    /// Which certificates data stores of `https` addresses must show.
    pub origins: Trust,
    /// The chain.
    pub chain_context: ChainContext,
    /// Its store.
    pub kv: Kv,
}

/// A contract that runs at this member.
#[derive(Debug, Clone, Default)]
struct Running {
    /// Answers other members; none while it does not run.
    server: Option<Server>,
    /// Why it does not run, or empty.
    fault: String,
}

/// The contracts whose packages are installed in a store.
fn installed_in(kv: &Kv) -> Result<Vec<ContractId>, ServiceError> {
    let found = kv.prefix(Column::Blocks, INSTALLED, None, MAX_CONTRACTS)?;
    let id = |key: &Vec<u8>| ContractId::try_from(key.strip_prefix(INSTALLED)?).ok();
    Ok(found.iter().filter_map(|(key, _)| id(key)).collect())
}

/// PC-4: marks every contract of a store as restored from a backup, and gives them. Until a batch of a
/// contract has ended, the member gives no vote there unless the others know the one that it gave.
pub fn mark_restored(kv: &Kv) -> Result<Vec<ContractId>, ServiceError> {
    let contracts = installed_in(kv)?;
    for id in &contracts {
        ContractStore::new(kv.clone(), id).mark_restored()?;
    }
    Ok(contracts)
}

/// What the parts of the role share.
#[derive(Debug)]
struct Shared {
    config: RoleConfig,
    engine: Engine,
    /// Whom the links serve.
    members: Arc<Members>,
    mediator: OnceLock<RuntimeId>,
    follower: OnceLock<FollowerHandle>,
    snapshots: watch::Sender<Option<Snapshot>>,
    contracts: Mutex<BTreeMap<ContractId, Running>>,
    /// Contracts to be started.
    installed: mpsc::Sender<ContractId>,
}

/// A panic of another thread leaves the values whole: each change is one call.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the mediator's state is not known for yet.
fn not_ready() -> NodeError {
    let reason = "this node does not follow the mediator yet: try again in a moment";
    NodeError::NotReady { reason: reason.to_string() }
}

impl Shared {
    fn account(&self) -> PublicKey {
        self.config.keys.account()
    }

    fn place(&self, contract_id: ContractId) -> Result<Place, NodeError> {
        let mediator = *self.mediator.get().ok_or_else(not_ready)?;
        Ok(Place { chain_context: self.config.chain_context, mediator, contract_id })
    }

    fn snapshot(&self) -> Result<Snapshot, NodeError> {
        self.snapshots.borrow().clone().ok_or_else(not_ready)
    }

    fn state(&self) -> Result<MediatorState, NodeError> {
        Ok(self.snapshot()?.state)
    }

    /// A contract in the newest proven state of the mediator.
    fn contract(&self, id: ContractId) -> Result<Contract, NodeError> {
        Ok(Contract::new(self.snapshot()?, self.place(id)?))
    }

    fn store(&self, id: &ContractId) -> ContractStore {
        ContractStore::new(self.config.kv.clone(), id)
    }

    /// The contracts whose packages are installed.
    fn installed(&self) -> Result<Vec<ContractId>, ServiceError> {
        installed_in(&self.config.kv)
    }

    fn is_installed(&self, id: &ContractId) -> Result<bool, ServiceError> {
        let key = [INSTALLED, id.as_bytes()].concat();
        Ok(self.config.kv.get(Column::Blocks, &key)?.is_some())
    }

    fn mark_installed(&self, id: &ContractId) -> Result<(), ServiceError> {
        let mut batch = WriteBatch::new();
        batch.put(Column::Blocks, [INSTALLED, id.as_bytes()].concat(), vec![1]);
        Ok(self.config.kv.write(batch, Durability::Synced)?)
    }

    /// Lists the members of this node's contracts anew: whom the links serve.
    fn list_members(&self) -> Result<(), ServiceError> {
        if let Ok(snapshot) = self.snapshot() {
            self.members.set(follow::listed(self, &snapshot)?);
        }
        Ok(())
    }

    /// What answers other members about a contract.
    fn server(&self, id: &ContractId) -> Option<Server> {
        lock(&self.contracts).get(id).and_then(|running| running.server.clone())
    }

    fn set(&self, id: ContractId, server: Option<Server>, fault: String) {
        lock(&self.contracts).insert(id, Running { server, fault });
    }
}

/// The role of a node.
#[derive(Debug)]
pub struct StakeholderRole {
    shared: Arc<Shared>,
    to_start: mpsc::Receiver<ContractId>,
}

impl StakeholderRole {
    /// Of these parts. Nothing runs yet.
    pub fn new(config: RoleConfig) -> Result<Self, NodeError> {
        let engine = Engine::new().map_err(|e| NodeError::internal(&e))?;
        let (installed, to_start) = mpsc::channel(MAX_CONTRACTS);
        let (snapshots, _) = watch::channel(None);
        let shared = Arc::new(Shared {
            config,
            engine,
            members: Members::new([LINKS_SERVICE]),
            mediator: OnceLock::new(),
            follower: OnceLock::new(),
            snapshots,
            contracts: Mutex::default(),
            installed,
        });
        Ok(Self { shared, to_start })
    }

    /// Adds what the role serves to a node's configuration.
    pub fn add_to(&self, node: &mut NodeConfig) {
        node.members.services.push(serve::service(&self.shared));
        node.public.push(public::services(&self.shared));
        if let Some(data) = &mut node.data {
            data.rules.push(tickets::rule(&self.shared));
        }
    }

    /// Runs until the node stops or the tasks are dropped.
    #[must_use]
    pub fn start(
        self,
        state: &Arc<NodeState>,
        network: Arc<dyn Network>,
        via: Vec<Via>,
    ) -> TaskSet {
        let mut tasks = TaskSet::new();
        tasks.spawn(follow::run(self.shared, self.to_start, Arc::clone(state), network, via));
        tasks
    }
}
