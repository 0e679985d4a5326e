//! What a started enclave holds.

use std::sync::{Mutex, MutexGuard, PoisonError};

use paralith_consensus_api::registry::Runtime;
use paralith_crypto::{HpkeSecret, SigningKey};
use paralith_keymanager_core::{KeyRequest, RuntimeKeys};
use paralith_tee_channel::{Callbacks, ChainView, with_fetched};
use paralith_tee_enclave::{EnclaveId, Entropy, Freshness, IdentityOf, SealingKey};
use paralith_types::{ChainContext, Height, PublicKey, RuntimeId};

use super::error::EnclaveError;
use super::kept::KeptTrees;
use super::known::KnownSignatures;
use super::proven_state::{At, check_code};
use super::sealer::Sealer;
use paralith_runtime_vm::Module;

/// What a started enclave holds.
pub(crate) struct Session {
    pub(crate) chain: ChainContext,
    pub(crate) runtime_id: RuntimeId,
    pub(crate) node: PublicKey,
    /// Signs what this enclave says. Made here, or by this enclave in an earlier run.
    pub(crate) rak: SigningKey,
    /// Receives secrets. Made with `rak`.
    pub(crate) rek: HpkeSecret,
    pub(crate) module: Option<Module>,
    /// Of an application's enclave: what its identity is sealed for.
    pub(crate) identity: Option<IdentityOf>,
    /// Whether the keys are those of an earlier run.
    pub(crate) restored: bool,
    /// Seals what the host keeps for the next start.
    pub(crate) sealing_key: Option<SealingKey>,
    pub(crate) randomness: Mutex<Entropy>,
    /// Locked through [`Session::with_view`] where the host may be asked.
    pub(crate) view: Mutex<ChainView>,
    /// The view as the host was last given it to keep.
    pub(crate) kept: Mutex<Vec<u8>>,
    pub(crate) secrets: Mutex<Secrets>,
    pub(crate) known: KnownSignatures,
    pub(crate) execution: KeptTrees,
    pub(crate) reads: KeptTrees,
}

/// What changes with the epochs.
#[derive(Default)]
pub(crate) struct Secrets {
    pub(crate) keys: Option<RuntimeKeys>,
    pub(crate) freshness: Freshness,
    /// Requests that no reply came to yet, with the keys of their replies.
    pub(crate) requests: Vec<(KeyRequest, HpkeSecret)>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session(runtime {}, rak {})", self.runtime_id, self.rak.public())
    }
}

impl Session {
    pub(crate) fn is_at(&self, id: &EnclaveId) -> bool {
        (self.chain, self.runtime_id, self.node) == (id.chain, id.runtime_id, id.node)
    }

    /// The view, for what it holds already: its newest header, roots.
    pub(crate) fn view(&self) -> MutexGuard<'_, ChainView> {
        lock(&self.view)
    }

    /// Follows the chain and reads its state.
    ///
    /// `read` runs with the view locked, and never waits for the host (KM-B3): what the view lacks fails it,
    /// is fetched without the lock, and `read` runs anew. So it reads everything before it changes
    /// anything but the view, or makes changes that may be made twice.
    pub(crate) fn with_view<T>(
        &self,
        callbacks: &Callbacks,
        mut read: impl FnMut(&mut ChainView, &Callbacks) -> Result<T, EnclaveError>,
    ) -> Result<T, EnclaveError> {
        with_fetched(callbacks, |fetched| read(&mut self.view(), fetched))
    }

    pub(crate) fn secrets(&self) -> MutexGuard<'_, Secrets> {
        lock(&self.secrets)
    }

    pub(crate) fn random(&self) -> Result<[u8; 32], EnclaveError> {
        Ok(lock(&self.randomness).bytes()?)
    }

    /// The module, if it is the one that the chain names.
    pub(crate) fn module(&self, runtime: &Runtime) -> Result<&Module, EnclaveError> {
        let module = self.module.as_ref().ok_or(EnclaveError::NoCode)?;
        check_code(runtime, module)?;
        Ok(module)
    }

    /// The keys of a confidential runtime, if this enclave may use them now: it has proven in the
    /// epoch of the newest proven height, or the one before, that it sees the living chain.
    pub(crate) fn keys(
        &self,
        at_newest: &At<'_>,
        runtime: &Runtime,
    ) -> Result<Option<RuntimeKeys>, EnclaveError> {
        if !runtime.confidential {
            return Ok(None);
        }
        let epoch = at_newest.epoch()?.epoch;
        let mut secrets = self.secrets();
        secrets.enter(epoch);
        // EN-19: an enclave that sees no living chain uses no keys.
        if !secrets.is_fresh(epoch) {
            return Err(EnclaveError::NotFresh { epoch: epoch.0 });
        }
        let keys = secrets.keys.clone();
        keys.map(Some).ok_or_else(|| EnclaveError::NoKeys("none were fetched yet".into()))
    }

    /// Refuses an identity of an earlier run if the registry names another enclave for this node.
    pub(crate) fn refuse_replaced(&self, at_newest: &At<'_>) -> Result<(), EnclaveError> {
        // A new identity has yet to take the place of the one before.
        if !self.restored {
            return Ok(());
        }
        // EN-21
        match at_newest.registered_rak(&self.node, &self.runtime_id)? {
            Some(registered) if registered != self.rak.public() => {
                Err(EnclaveError::IdentityReplaced { registered })
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn sealer(&self, keys: Option<&RuntimeKeys>) -> Option<Sealer> {
        keys.map(|keys| Sealer::new(self.chain, self.runtime_id, keys))
    }
}

/// Consensus state at the newest proven height.
pub(crate) fn newest<'a>(view: &'a ChainView, callbacks: &'a Callbacks) -> At<'a> {
    At { view, callbacks, height: view.proven_height() }
}

/// Consensus state at an earlier proven height.
pub(crate) fn at<'a>(view: &'a ChainView, callbacks: &'a Callbacks, height: Height) -> At<'a> {
    At { view, callbacks, height }
}

/// What is behind these locks stays whole if a thread panics: each change is one assignment, and a
/// tree checks what it reads.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
