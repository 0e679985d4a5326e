//! Consensus state as the enclave reads it: always at one height, always proven.

use std::sync::Mutex;

use paralith_consensus_api::beacon::{self, EpochState};
use paralith_consensus_api::keymanager::{self, Status};
use paralith_consensus_api::registry::{self, Runtime};
use paralith_consensus_api::roothash::{
    self, Header, HeaderType, IncomingMessage, ResultQueue, RuntimeState,
};
use paralith_consensus_api::scheduler::{self, Committee};
use paralith_proto::Canonical;
use paralith_runtime_abi as abi;
use paralith_tee_channel::{Callbacks, ChainView, with_fetched};
use paralith_types::{ChainContext, Hash, Height, PublicKey, Round, RuntimeId};

use super::error::EnclaveError;
use super::session::lock;
use paralith_runtime_vm::{ConsensusRead, Module, StateError};

/// Consensus state at one height that is proven.
#[derive(Clone, Copy)]
pub struct At<'a> {
    pub(crate) view: &'a ChainView,
    pub(crate) callbacks: &'a Callbacks,
    pub(crate) height: Height,
}

impl std::fmt::Debug for At<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "At(height {})", self.height)
    }
}

impl<'a> At<'a> {
    /// The state at a height; reads fail if the view has not proven it.
    pub fn new(view: &'a ChainView, callbacks: &'a Callbacks, height: Height) -> Self {
        Self { view, callbacks, height }
    }

    /// The height.
    pub fn height(&self) -> Height {
        self.height
    }

    /// The bytes under a key.
    pub fn get_raw(&self, key: &[u8]) -> Result<Option<Vec<u8>>, EnclaveError> {
        Ok(self.view.get_raw(self.callbacks, self.height, key)?)
    }

    /// The enclave that a node has registered for a runtime.
    pub fn registered_rak(
        &self,
        node: &PublicKey,
        id: &RuntimeId,
    ) -> Result<Option<PublicKey>, EnclaveError> {
        let node: Option<registry::Node> = self.get(&registry::keys::node(node))?;
        Ok(node.and_then(|node| Some(node.runtime(id)?.tee.as_ref()?.rak)))
    }

    /// The value under a key.
    pub fn get<T: Canonical>(&self, key: &[u8]) -> Result<Option<T>, EnclaveError> {
        Ok(self.view.get(self.callbacks, self.height, key)?)
    }

    pub(crate) fn need<T: Canonical>(
        &self,
        what: &'static str,
        key: &[u8],
    ) -> Result<T, EnclaveError> {
        self.get(key)?.ok_or(EnclaveError::NotProven { what, height: self.height.0 })
    }

    /// The epoch.
    pub fn epoch(&self) -> Result<EpochState, EnclaveError> {
        self.need("epoch", &beacon::keys::epoch())
    }

    /// A runtime's descriptor.
    pub fn runtime(&self, id: &RuntimeId) -> Result<Runtime, EnclaveError> {
        self.need("runtime", &registry::keys::runtime(id))
    }

    pub(crate) fn registry_params(&self) -> Result<registry::Params, EnclaveError> {
        self.need("registry parameters", &registry::keys::params())
    }

    /// How far a ParaTime has come.
    pub fn runtime_state(&self, id: &RuntimeId) -> Result<RuntimeState, EnclaveError> {
        self.need("ParaTime", &roothash::keys::runtime_state(id))
    }

    pub(crate) fn committee(&self, id: &RuntimeId) -> Result<Option<Committee>, EnclaveError> {
        self.get(&scheduler::keys::committee(id))
    }

    pub(crate) fn status(&self, key_manager: &RuntimeId) -> Result<Option<Status>, EnclaveError> {
        self.get(&keymanager::keys::status(key_manager))
    }

    /// The header of a round that is final and has results; none if it is not known here.
    pub fn normal_header(
        &self,
        id: &RuntimeId,
        round: Round,
    ) -> Result<Option<Header>, EnclaveError> {
        let header: Option<Header> = self.get(&roothash::keys::header(id, round))?;
        Ok(header.filter(|one| one.header_type == HeaderType::Normal && one.round == round))
    }

    /// The first messages of the queue, as many as a round takes.
    pub(crate) fn incoming(
        &self,
        id: &RuntimeId,
        max: u32,
    ) -> Result<Vec<IncomingMessage>, EnclaveError> {
        let queue: Option<roothash::IncomingQueue> =
            self.get(&roothash::keys::incoming_queue(id))?;
        let queue = queue.unwrap_or_default();
        let first = queue.first_id();
        let count = u64::from(queue.size.min(max));
        (first..first.saturating_add(count))
            .map(|number| self.need("incoming message", &roothash::keys::incoming(id, number)))
            .collect()
    }

    /// Results of the runtime's own messages that no round has taken yet.
    pub(crate) fn result_queue(&self, id: &RuntimeId) -> Result<ResultQueue, EnclaveError> {
        Ok(self.get(&roothash::keys::result_queue(id))?.unwrap_or_default())
    }

    pub(crate) fn roothash_params(&self) -> Result<roothash::Params, EnclaveError> {
        self.need("roothash parameters", &roothash::keys::params())
    }

    /// The generation under which a confidential runtime's rounds are sealed at this height.
    pub fn generation(&self, runtime: &Runtime) -> Result<u64, EnclaveError> {
        let Some(key_manager) = runtime.key_manager else {
            return Err(EnclaveError::NoKeys("the runtime has no key manager".into()));
        };
        let status = self.status(&key_manager)?.filter(|status| status.initialised);
        let status = status
            .ok_or_else(|| EnclaveError::NoKeys("the key manager has no generation yet".into()))?;
        Ok(status.generation)
    }
}

/// Consensus state at one height, for the calls of a guest.
pub struct PinnedState<'a> {
    pub(crate) view: &'a Mutex<ChainView>,
    pub(crate) callbacks: &'a Callbacks,
    pub(crate) height: Height,
}

impl std::fmt::Debug for PinnedState<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PinnedState(height {})", self.height)
    }
}

impl ConsensusRead for PinnedState<'_> {
    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        // The view is not locked while the host is asked.
        with_fetched(self.callbacks, |fetched| lock(self.view).get_raw(fetched, self.height, key))
            .map_err(|error| StateError { reason: error.to_string() })
    }
}

/// Whether this module is the one that the chain names, under versions that this enclave serves.
pub(crate) fn check_code(runtime: &Runtime, module: &Module) -> Result<(), EnclaveError> {
    let got = module.code_id().to_string();
    let Some(code) = &runtime.code else {
        return Err(EnclaveError::WrongCode { expected: "none".into(), got });
    };
    if code.id != module.code_id() {
        return Err(EnclaveError::WrongCode { expected: code.id.to_string(), got });
    }
    // AB-1: each version of the ABI has the gas schedule of the same number.
    let served = module.abi_version()..=abi::ABI_VERSION;
    if !served.contains(&code.abi_version) || code.gas_schedule_version != code.abi_version {
        let (named, gas) = (code.abi_version, code.gas_schedule_version);
        let expected = format!("ABI {named} with gas schedule {gas}");
        let got = format!("a module for ABI {} to {}", served.start(), served.end());
        return Err(EnclaveError::WrongCode { expected, got });
    }
    Ok(())
}

/// The version of the ABI under which a runtime's code runs.
pub(crate) fn abi_version(runtime: &Runtime) -> u32 {
    runtime.code.as_ref().map_or(abi::OLDEST_ABI_VERSION, |code| code.abi_version)
}

/// Whether entries under [`abi::PUBLIC_KEY_PREFIX`] are public: from version 2 on.
pub(crate) fn has_public_entries(runtime: &Runtime) -> bool {
    abi_version(runtime) >= 2
}

/// Where and when a call runs. `previous` is the block before the round, in calls of a round.
pub(crate) fn context(
    chain: &ChainContext,
    runtime: &Runtime,
    round: Round,
    epoch: u64,
    height: Height,
    previous: Option<&Hash>,
) -> abi::Context {
    let previous = previous.filter(|_| abi_version(runtime) >= 2);
    abi::Context {
        runtime_id: runtime.id.as_bytes().to_vec(),
        chain_context: chain.as_bytes().to_vec(),
        round: round.0,
        epoch,
        consensus_height: height.0,
        confidential: runtime.confidential,
        runtime_address: paralith_consensus_api::address::of_runtime(&runtime.id)
            .as_bytes()
            .to_vec(),
        time: 0,
        previous_hash: previous.map(|hash| hash.as_bytes().to_vec()).unwrap_or_default(),
    }
}
