//! Consensus state as the enclave reads it: always at one height, always proven.

use paralith_consensus_api::beacon::{self, EpochState};
use paralith_consensus_api::keymanager::{self, Status};
use paralith_consensus_api::registry::{self, Runtime};
use paralith_consensus_api::roothash::{
    self, Header, HeaderType, IncomingMessage, ResultQueue, RuntimeState,
};
use paralith_consensus_api::scheduler::{self, Committee};
use paralith_proto::Canonical;
use paralith_runtime_abi as abi;
use paralith_tee_channel::{Callbacks, ChainView};
use paralith_types::{ChainContext, Height, Round, RuntimeId};

use super::error::EnclaveError;
use paralith_runtime_vm::{GAS_SCHEDULE_VERSION, Module};

/// Consensus state at one height.
#[derive(Clone, Copy)]
pub(crate) struct At<'a> {
    pub(crate) view: &'a ChainView,
    pub(crate) callbacks: &'a Callbacks,
    pub(crate) height: Height,
}

impl At<'_> {
    pub(crate) fn get<T: Canonical>(&self, key: &[u8]) -> Result<Option<T>, EnclaveError> {
        Ok(self.view.get(self.callbacks, self.height, key)?)
    }

    pub(crate) fn need<T: Canonical>(
        &self,
        what: &'static str,
        key: &[u8],
    ) -> Result<T, EnclaveError> {
        self.get(key)?.ok_or(EnclaveError::NotProven { what, height: self.height.0 })
    }

    pub(crate) fn epoch(&self) -> Result<EpochState, EnclaveError> {
        self.need("epoch", &beacon::keys::epoch())
    }

    pub(crate) fn runtime(&self, id: &RuntimeId) -> Result<Runtime, EnclaveError> {
        self.need("runtime", &registry::keys::runtime(id))
    }

    pub(crate) fn registry_params(&self) -> Result<registry::Params, EnclaveError> {
        self.need("registry parameters", &registry::keys::params())
    }

    pub(crate) fn runtime_state(&self, id: &RuntimeId) -> Result<RuntimeState, EnclaveError> {
        self.need("ParaTime", &roothash::keys::runtime_state(id))
    }

    pub(crate) fn committee(&self, id: &RuntimeId) -> Result<Option<Committee>, EnclaveError> {
        self.get(&scheduler::keys::committee(id))
    }

    pub(crate) fn status(&self, key_manager: &RuntimeId) -> Result<Option<Status>, EnclaveError> {
        self.get(&keymanager::keys::status(key_manager))
    }

    /// The header of a round that is final and has results; none if it is not known here.
    pub(crate) fn normal_header(
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
    pub(crate) fn generation(&self, runtime: &Runtime) -> Result<u64, EnclaveError> {
        let Some(key_manager) = runtime.key_manager else {
            return Err(EnclaveError::NoKeys("the runtime has no key manager".into()));
        };
        let status = self.status(&key_manager)?.filter(|status| status.initialised);
        let status = status
            .ok_or_else(|| EnclaveError::NoKeys("the key manager has no generation yet".into()))?;
        Ok(status.generation)
    }
}

/// Whether this module is the one that the chain names.
pub(crate) fn check_code(runtime: &Runtime, module: &Module) -> Result<(), EnclaveError> {
    let got = module.code_id().to_string();
    let Some(code) = &runtime.code else {
        return Err(EnclaveError::WrongCode { expected: "none".into(), got });
    };
    if code.id != module.code_id() {
        return Err(EnclaveError::WrongCode { expected: code.id.to_string(), got });
    }
    let versions = (code.abi_version, code.gas_schedule_version);
    if versions != (abi::ABI_VERSION, GAS_SCHEDULE_VERSION) {
        let expected = format!("ABI {} with gas schedule {}", versions.0, versions.1);
        let got = format!("ABI {} with gas schedule {GAS_SCHEDULE_VERSION}", abi::ABI_VERSION);
        return Err(EnclaveError::WrongCode { expected, got });
    }
    Ok(())
}

/// Where and when a call runs.
pub(crate) fn context(
    chain: &ChainContext,
    runtime: &Runtime,
    round: Round,
    epoch: u64,
    height: Height,
) -> abi::Context {
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
    }
}
