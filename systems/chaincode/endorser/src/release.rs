//! `Release`: opens the output of a committed call.

use paralith_chaincode_core::release::{ReleaseFacts, admit};
use paralith_chaincode_core::{EndorseError, hashes};
use paralith_chaincode_messages::state::{Committed, committed_key, runtime_key};
use paralith_chaincode_messages::{Message as _, OpenedOutput, Response};
use paralith_runtime_api::output::commitment;
use paralith_runtime_enclave::{Application, At, EnclaveError};
use paralith_types::{Hash, RuntimeId};

use crate::endorse::context_of;
use crate::proven::{self, Newest};
use crate::refused;

/// Opens the output that a response seals, if the newest proven final state of the application's
/// ledger has that response.
pub(crate) fn release(application: &Application, bytes: Vec<u8>) -> Result<Vec<u8>, EnclaveError> {
    let me = proven::me(application)?;
    let form = |e: &dyn std::fmt::Display| refused(EndorseError::Form(e.to_string()));
    let decoded = Response::decode(&bytes).map_err(|e| form(&e))?;
    if decoded.application != me.application {
        let (mine, got) = (me.application, decoded.application);
        return Err(refused(EndorseError::Application { mine, got }));
    }
    let newest = proven::newest(application, &me)?;
    // The caller names the ledger in the response, and another ledger's state may hold any record.
    let (expected, got) = (newest.definition.terms.ledger, decoded.ledger);
    if expected != got {
        return Err(refused(EndorseError::OtherLedger { expected, got }));
    }
    let (newest, committed) = committed(application, newest, &decoded.tx_id)?;
    let facts = ReleaseFacts {
        fresh: true,
        descriptor: descriptor(application, &me.application)?,
        ledger: descriptor(application, &got)?,
        committed,
    };
    let response = admit(&me, bytes, &facts).map_err(refused)?;
    let place = hashes::place(&response.tx_id, &response.snapshot_root);
    let context = context_of(response.snapshot_round, place);
    let sealer = newest.keys.sealer();
    let bad = |what: &str| EnclaveError::BadOutputs(format!("{}: {what}", response.tx_id));
    let opened = sealer
        .open_output(&context, &response.tx_id, &response.sealed_output)
        .map_err(|_| bad("it does not open as the output of this call"))?;
    let (blinding, output) = opened.split_first_chunk().ok_or_else(|| bad("it is too short"))?;
    let (blinding, output) = (Hash(*blinding), output.to_vec());
    if commitment(&blinding, &output) != response.output_commitment {
        return Err(bad("the response commits to another output"));
    }
    Ok(OpenedOutput { tx_id: response.tx_id, blinding, output }.encode())
}

/// A runtime's descriptor at the newest proven height.
fn descriptor(
    application: &Application,
    runtime: &RuntimeId,
) -> Result<Option<Vec<u8>>, EnclaveError> {
    application.prove(|view, callbacks| {
        At::new(view, callbacks, view.proven_height()).get_raw(&runtime_key(runtime))
    })
}

/// The ledger's record of a call. If there is none, the chain may have gone on since: it is followed
/// to its newest block before the answer is no.
pub(crate) fn committed(
    application: &Application,
    newest: Newest,
    tx_id: &Hash,
) -> Result<(Newest, Option<Vec<u8>>), EnclaveError> {
    let read = |newest: &Newest| {
        let (round, root) = (newest.state.last_normal_round, newest.state.last_block.state_root);
        application.with_tree(round, root, |tree| tree.get(&committed_key(tx_id)))
    };
    if let Some(record) = read(&newest)? {
        return Ok((newest, Some(record)));
    }
    application.prove(|view, callbacks| Ok(view.sync_to_newest(callbacks)?))?;
    let me = proven::me(application)?;
    let newest = proven::newest(application, &me)?;
    let record = read(&newest)?;
    Ok((newest, record))
}

/// That a call of this application is committed.
pub(crate) fn record_of(
    application: &Application,
    record: Option<&[u8]>,
) -> Result<Committed, EnclaveError> {
    let record = record.and_then(Committed::from_bytes);
    let record = record.filter(|one| one.application == application.id());
    record.ok_or_else(|| refused(EndorseError::NotCommitted))
}
