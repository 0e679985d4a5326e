//! What an endorser's calls read of the chain, always proven.

use paralith_chaincode_core::EndorseError;
use paralith_chaincode_core::endorse::{Me, is_registered, ledger_is_approved};
use paralith_chaincode_messages::Definition;
use paralith_chaincode_messages::state::{enclave_key, entry_key, runtime_key};
use paralith_consensus_api::registry::{self, Runtime};
use paralith_consensus_api::roothash::{self, RuntimeState};
use paralith_runtime_enclave::{Application, ApplicationKeys, At, EnclaveError, Sealer, StateTree};
use paralith_types::{Epoch, Hash, Height, RuntimeId};

use crate::refused;

/// This enclave's chain, application, code and key.
pub(crate) fn me(application: &Application) -> Result<Me, EnclaveError> {
    Ok(Me {
        chain: application.chain(),
        application: application.id(),
        code: application.module()?.code_id(),
        rak: application.rak().public(),
    })
}

/// How far a ledger has come at a height, if it is a ParaTime.
pub(crate) fn ledger_state(
    at: &At<'_>,
    ledger: &RuntimeId,
) -> Result<Option<RuntimeState>, EnclaveError> {
    at.get(&roothash::keys::runtime_state(ledger))
}

/// This enclave's record in the index, unless the enclave is revoked.
pub(crate) fn record(at: &At<'_>, me: &Me) -> Result<Option<Vec<u8>>, EnclaveError> {
    let revoked = at.get_raw(&registry::keys::revoked(&me.application, &me.rak))?.is_some();
    let record = at.get_raw(&enclave_key(&me.application, &me.rak))?;
    Ok(record.filter(|_| !revoked))
}

/// The newest proven state, for calls that read it.
pub(crate) struct Newest {
    pub(crate) height: Height,
    pub(crate) epoch: Epoch,
    pub(crate) runtime: Runtime,
    pub(crate) definition: Definition,
    pub(crate) state: RuntimeState,
    pub(crate) keys: ApplicationKeys,
}

/// The newest proven state, if this enclave may answer there: its view was shown to be alive, the
/// application is defined, its ledger is approved, and this enclave counts.
pub(crate) fn newest(application: &Application, me: &Me) -> Result<Newest, EnclaveError> {
    application.prove(|view, callbacks| {
        let at = At::new(view, callbacks, view.proven_height());
        let epoch = at.epoch()?.epoch;
        if !application.is_fresh(epoch) {
            return Err(refused(EndorseError::NotFresh));
        }
        let undefined = |reason: String| refused(EndorseError::Undefined { reason });
        let descriptor = at.get_raw(&runtime_key(&me.application))?;
        let descriptor = descriptor.ok_or_else(|| undefined("it is not registered".into()))?;
        let definition =
            Definition::read(&me.application, &descriptor).map_err(|e| undefined(e.to_string()))?;
        if definition.code != me.code {
            let (expected, mine) = (definition.code, me.code);
            return Err(refused(EndorseError::Code { expected, mine }));
        }
        let ledger = definition.terms.ledger;
        let approved = at.get_raw(&runtime_key(&ledger))?;
        ledger_is_approved(&ledger, approved.as_deref()).map_err(refused)?;
        let registered = at.registered_rak(&application.node(), &me.application)?;
        let record = record(&at, me)?;
        is_registered(me, &definition, record.as_deref(), registered, at.height())
            .map_err(refused)?;
        let runtime = at.runtime(&me.application)?;
        application.check_code(&runtime)?;
        let state = at.runtime_state(&ledger)?;
        let keys = application.keys(&at, &runtime)?;
        Ok(Newest { height: at.height(), epoch, runtime, definition, state, keys })
    })
}

/// An entry as the ledger stores it, opened.
pub(crate) struct Opened {
    pub(crate) index: Hash,
    pub(crate) version: Option<paralith_chaincode_messages::Version>,
    pub(crate) value: Option<Vec<u8>>,
}

/// Reads an application's entry.
pub(crate) fn entry(
    tree: &mut StateTree<'_>,
    sealer: &Sealer,
    application: &RuntimeId,
    key: &[u8],
) -> Result<Opened, EnclaveError> {
    let unavailable = |reason: &str| EnclaveError::StateUnavailable(reason.to_string());
    let place = sealer.index(key);
    let index = Hash::try_from(place.as_slice()).map_err(|_| unavailable("an index is short"))?;
    let Some(stored) = tree.get(&entry_key(application, &index))? else {
        return Ok(Opened { index, version: None, value: None });
    };
    let (version, sealed) = paralith_chaincode_messages::state::read_entry(&stored)
        .ok_or_else(|| unavailable("an entry of the ledger has no version"))?;
    // The root vouches for the bytes, so it is a key that is missing or wrong here.
    let value = sealer
        .open_value(&place, sealed)
        .map_err(|_| unavailable("a value does not open with these keys"))?;
    Ok(Opened { index, version: Some(version), value: Some(value) })
}
