//! When an output leaves an enclave, and how its caller opens it.

use paralith_chaincode_messages::state::Committed;
use paralith_chaincode_messages::{Definition, Message, OpenedOutput, Response, Written};
use paralith_proto::Canonical;
use paralith_runtime_api::envelope::open_reply;
use paralith_runtime_api::output::{Output, SealedReply, commitment};
use paralith_types::RuntimeId;

use crate::endorse::{Me, ledger_is_approved};
use crate::{ClientError, EndorseError, hashes};

/// What an enclave has proven at the newest height that it knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseFacts {
    /// Its view was shown to be alive since it started.
    pub fresh: bool,
    /// The application's descriptor.
    pub descriptor: Option<Vec<u8>>,
    /// The descriptor of the ledger that the response names.
    pub ledger: Option<Vec<u8>>,
    /// `t/tx_id` in the ledger's newest final state.
    pub committed: Option<Vec<u8>>,
}

/// Whether an enclave opens this encoded response: form, application, freshness, that its ledger is the
/// application's, the ledger's approval, and that it is committed. A ledger of somebody else's could
/// "commit" what was only endorsed. Its `sealed_output` then opens at
/// [`hashes::place`].
pub fn admit(
    me: &Me,
    response: Vec<u8>,
    facts: &ReleaseFacts,
) -> Result<Written<Response>, EndorseError> {
    let response =
        Written::<Response>::decode(response).map_err(|e| EndorseError::Form(e.to_string()))?;
    if response.application != me.application {
        let (mine, got) = (me.application, response.application);
        return Err(EndorseError::Application { mine, got });
    }
    if !facts.fresh {
        return Err(EndorseError::NotFresh);
    }
    let undefined = |reason| EndorseError::Undefined { reason };
    let descriptor = facts.descriptor.as_deref();
    let descriptor = descriptor.ok_or_else(|| undefined("it is not registered".into()))?;
    let definition =
        Definition::read(&me.application, descriptor).map_err(|e| undefined(e.to_string()))?;
    let (expected, got) = (definition.terms.ledger, response.ledger);
    if expected != got {
        return Err(EndorseError::OtherLedger { expected, got });
    }
    ledger_is_approved(&response.ledger, facts.ledger.as_deref())?;
    committed(&me.application, &response, facts.committed.as_deref())?;
    Ok(response)
}

fn committed(
    application: &RuntimeId,
    response: &Written<Response>,
    record: Option<&[u8]>,
) -> Result<(), EndorseError> {
    let record = record.and_then(Committed::from_bytes).ok_or(EndorseError::NotCommitted)?;
    let got = hashes::response_hash(response.bytes());
    if record.response != got || record.application != *application {
        return Err(EndorseError::OtherResponse { committed: record.response, got });
    }
    Ok(())
}

/// Whether an opened output is the one that the response commits to.
pub fn matches(response: &Response, opened: &OpenedOutput) -> Result<(), ClientError> {
    let commits = commitment(&opened.blinding, &opened.output) == response.output_commitment;
    if commits && opened.tx_id == response.tx_id { Ok(()) } else { Err(ClientError::OtherOutput) }
}

/// Opens what `Release` gave with the key of the call's reply.
pub fn open(
    response: &Response,
    opened: &OpenedOutput,
    reply_key: &[u8; 32],
) -> Result<Output, ClientError> {
    matches(response, opened)?;
    let limit = opened.output.len();
    let reply = SealedReply::decode(&opened.output, limit).map_err(|_| ClientError::OtherOutput)?;
    let place = hashes::place(&response.tx_id, &response.snapshot_root);
    let (subject, round) = (&response.tx_id, response.snapshot_round);
    let output = open_reply(reply_key, subject, round, &place, &reply.sealed)
        .map_err(|_| ClientError::CannotOpen)?;
    Output::decode(&output, output.len()).map_err(|_| ClientError::OtherOutput)
}

const _: () = assert!(Response::MAX_BYTES == OpenedOutput::MAX_BYTES);
