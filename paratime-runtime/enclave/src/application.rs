//! The parts on which a system builds the calls of an application's enclave.
//!
//! What is common to all enclaves is answered by [`RuntimeEnclave`](super::RuntimeEnclave): start, chain,
//! freshness, keys. A call of the system's own reads consensus state by proof ([`Application::prove`]),
//! reads the state of a ParaTime under a root that it has proven ([`Application::with_tree`]), runs
//! the module, and uses the application's keys ([`Application::keys`]).

use std::sync::Arc;

use paralith_consensus_api::registry::Runtime;
use paralith_crypto::{HpkeSecret, SigningKey};
use paralith_keymanager_core::RuntimeKeys;
use paralith_runtime_abi as abi;
use paralith_runtime_vm::Module;
use paralith_tee_channel::{Callbacks, ChainView};
use paralith_types::{ChainContext, Epoch, Hash, Height, PublicKey, Round, RuntimeId};

use super::error::EnclaveError;
use super::kept::HostTree;
use super::proven_state::{self, At, PinnedState};
use super::sealer::Sealer;
use super::session::Session;

/// A started enclave of an application, and its host while one call runs.
#[derive(Debug)]
pub struct Application {
    session: Arc<Session>,
    callbacks: Callbacks,
}

impl Application {
    pub(crate) fn new(session: Arc<Session>, callbacks: Callbacks) -> Self {
        Self { session, callbacks }
    }

    /// The chain.
    pub fn chain(&self) -> ChainContext {
        self.session.chain
    }

    /// The application.
    pub fn id(&self) -> RuntimeId {
        self.session.runtime_id
    }

    /// The node.
    pub fn node(&self) -> PublicKey {
        self.session.node
    }

    /// Signs what this enclave says.
    pub fn rak(&self) -> &SigningKey {
        &self.session.rak
    }

    /// The module that the enclave was started with. Whether the chain names it is for the caller
    /// to check, by [`Application::check_code`].
    pub fn module(&self) -> Result<&Module, EnclaveError> {
        self.session.module.as_ref().ok_or(EnclaveError::NoCode)
    }

    /// Whether the module is the one that a descriptor names, under versions that are served here.
    pub fn check_code(&self, runtime: &Runtime) -> Result<(), EnclaveError> {
        proven_state::check_code(runtime, self.module()?)
    }

    /// Follows the chain and reads its state. `read` runs anew whenever it lacked something that the
    /// host then gave, so it changes nothing but the view. The view is locked only while `read` runs.
    pub fn prove<T>(
        &self,
        read: impl FnMut(&mut ChainView, &Callbacks) -> Result<T, EnclaveError>,
    ) -> Result<T, EnclaveError> {
        self.session.with_view(&self.callbacks, read)
    }

    /// Whether the enclave has proven in this epoch, or in the one before, that it sees the living
    /// chain.
    pub fn is_fresh(&self, epoch: Epoch) -> bool {
        self.session.secrets().is_fresh(epoch)
    }

    /// The application's keys, if this enclave may use them at the newest proven height. Erases what
    /// the epoch there makes too old.
    pub fn keys(
        &self,
        at_newest: &At<'_>,
        runtime: &Runtime,
    ) -> Result<ApplicationKeys, EnclaveError> {
        let keys = self.session.keys(at_newest, runtime)?;
        let keys = keys.ok_or_else(|| EnclaveError::NoKeys("it is not confidential".into()))?;
        Ok(ApplicationKeys { sealer: Sealer::new(self.chain(), self.id(), &keys), keys })
    }

    /// Reads the state of a ParaTime that `round` led to. Its root is proven by the caller; what the
    /// host gives is verified under it. Only so many calls have a tree at once: one in `read` must not
    /// ask for another.
    pub fn with_tree<T>(
        &self,
        round: Round,
        root: Hash,
        read: impl FnOnce(&mut StateTree<'_>) -> Result<T, EnclaveError>,
    ) -> Result<T, EnclaveError> {
        let mut kept = self.session.reads.take();
        let result = read(&mut StateTree(kept.at(&self.callbacks, round, root)));
        kept.read(&result);
        result
    }

    /// Consensus state at a proven height, for the calls of the module.
    pub fn consensus(&self, height: Height) -> PinnedState<'_> {
        PinnedState { view: &self.session.view, callbacks: &self.callbacks, height }
    }

    /// Where and when a call runs.
    pub fn context(
        &self,
        runtime: &Runtime,
        round: Round,
        epoch: Epoch,
        height: Height,
        previous: Option<&Hash>,
    ) -> abi::Context {
        proven_state::context(&self.session.chain, runtime, round, epoch.0, height, previous)
    }
}

/// The keys of an application.
#[derive(Debug)]
pub struct ApplicationKeys {
    keys: RuntimeKeys,
    sealer: Sealer,
}

impl ApplicationKeys {
    /// What opens envelopes of an epoch; none if it is not here any more, or not yet.
    pub fn epoch_key(&self, epoch: Epoch) -> Option<&HpkeSecret> {
        self.keys.epoch_key(epoch)
    }

    /// The newest generation.
    pub fn generation(&self) -> u64 {
        self.keys.generation()
    }

    /// Seals and opens what the application stores.
    pub fn sealer(&self) -> &Sealer {
        &self.sealer
    }
}

/// A ParaTime's state under one root.
pub struct StateTree<'a>(&'a mut HostTree);

impl std::fmt::Debug for StateTree<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StateTree({})", self.0.root())
    }
}

impl StateTree<'_> {
    /// The value under a key.
    pub fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, EnclaveError> {
        Ok(self.0.get(key)?)
    }
}
