//! The enclave as a worker calls it: one function a call of the boundary.

use paralith_proto::Message as _;
use paralith_proto::pb::host::v1::{self as pb, runtime_call, runtime_reply};
use paralith_proto::pb::paratime::v1::{IoLeaf, OpenedOutput, Output, Query, SealedOutput};
use paralith_proto::pb::worker::v1::Proposal;

use crate::error::EnclaveError;

/// The stream to the enclave. Calls block; several may run at once.
pub trait Enclave: Send + Sync {
    /// Calls the enclave and waits for its reply.
    fn call(&self, call: runtime_call::Kind) -> Result<runtime_reply::Kind, EnclaveError>;
}

/// Follows the chain to this height.
pub(crate) fn sync(enclave: &dyn Enclave, height: u64) -> Result<pb::Synced, EnclaveError> {
    match enclave.call(runtime_call::Kind::Sync(pb::Sync { height }))? {
        runtime_reply::Kind::Synced(synced) => Ok(synced),
        _ => Err(EnclaveError::wrong_reply()),
    }
}

/// Asks whether transactions would be authenticated; one result each.
pub(crate) fn check(
    enclave: &dyn Enclave,
    transactions: Vec<Vec<u8>>,
) -> Result<Vec<Output>, EnclaveError> {
    let count = transactions.len();
    let reply = enclave.call(runtime_call::Kind::Check(pb::Check { transactions }))?;
    let runtime_reply::Kind::Bytes(bytes) = reply else { return Err(EnclaveError::wrong_reply()) };
    let results = pb::CheckResults::decode(bytes.as_slice())
        .map_err(|_| EnclaveError::wrong_reply())?
        .results;
    if results.len() == count { Ok(results) } else { Err(EnclaveError::wrong_reply()) }
}

/// Executes a proposed batch.
pub(crate) fn execute(
    enclave: &dyn Enclave,
    proposal: Proposal,
) -> Result<pb::Executed, EnclaveError> {
    let Proposal { proposal, transactions } = proposal;
    match enclave.call(runtime_call::Kind::Execute(pb::Execute { proposal, transactions }))? {
        runtime_reply::Kind::Executed(executed) => Ok(executed),
        _ => Err(EnclaveError::wrong_reply()),
    }
}

/// Opens the outputs of a final round.
pub(crate) fn release(
    enclave: &dyn Enclave,
    round: u64,
    leaves: Vec<IoLeaf>,
    outputs: Vec<SealedOutput>,
) -> Result<Vec<OpenedOutput>, EnclaveError> {
    let release = pb::Release { round, leaves, outputs };
    match enclave.call(runtime_call::Kind::Release(release))? {
        runtime_reply::Kind::Released(released) => Ok(released.outputs),
        _ => Err(EnclaveError::wrong_reply()),
    }
}

/// Answers a query on the newest final root.
pub(crate) fn run_query(enclave: &dyn Enclave, query: Query) -> Result<pb::Answer, EnclaveError> {
    answer(enclave, runtime_call::Kind::RunQuery(pb::RunQuery { query: Some(query) }))
}

/// Reveals what a final round asked to reveal.
pub(crate) fn reveal(
    enclave: &dyn Enclave,
    round: u64,
    handle: Vec<u8>,
) -> Result<pb::Answer, EnclaveError> {
    answer(enclave, runtime_call::Kind::Reveal(pb::Reveal { round, handle }))
}

fn answer(enclave: &dyn Enclave, call: runtime_call::Kind) -> Result<pb::Answer, EnclaveError> {
    match enclave.call(call)? {
        runtime_reply::Kind::Answer(answer) => Ok(answer),
        _ => Err(EnclaveError::wrong_reply()),
    }
}
