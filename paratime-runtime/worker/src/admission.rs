//! How transactions come into the pool: read, checked by the enclave, added, forwarded.
//!
//! Many at once share one call of the enclave and one message to each other worker. Whether a
//! signature is valid is for the enclave to say: here a transaction is only read.

use std::fmt;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::join_all;
use paralith_proto::pb::paratime::v1::Error as CheckError;
use paralith_proto::pb::paratime::v1::output::Result as OutputResult;
use paralith_runtime_api::{EnvelopeError, TxError, tx};
use paralith_types::{Error, Retry};
use tokio::sync::mpsc;

use crate::batcher::Batcher;
use crate::enclave::{self, EnclaveCalls};
use crate::error::WorkerError;
use crate::forwarding::Forward;
use crate::ledger::Ledger;
use crate::links::Admitted;
use crate::member::Member;
use crate::mempool::Mempool;
use crate::reports::Reports;
use crate::round::PoolTx;

/// A transaction on its way into a pool. One that was read on the way is not read again.
#[derive(Debug, Clone)]
pub struct Submission {
    raw: Vec<u8>,
    read: Option<Arc<tx::Unverified>>,
}

impl Submission {
    /// As it came over a link.
    pub fn raw(raw: Vec<u8>) -> Self {
        Self { raw, read: None }
    }

    /// With what was read of these very bytes.
    pub fn read(raw: Vec<u8>, read: tx::Unverified) -> Self {
        Self { raw, read: Some(Arc::new(read)) }
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.raw
    }

    fn size(&self) -> usize {
        self.raw.len()
    }
}

/// What admission needs of the worker.
pub(crate) struct Gate {
    pub(crate) member: Arc<Member>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) mempool: Arc<Mempool>,
    pub(crate) reports: Arc<Reports>,
    pub(crate) enclave: EnclaveCalls,
    /// To the worker's loop, which sends them.
    pub(crate) forwards: mpsc::Sender<Forward>,
}

/// The way into the pool.
pub(crate) struct Admission {
    /// What users submit is forwarded to the other workers.
    users: Batcher<Submission, Admitted>,
    /// What workers forward has been sent to all of them.
    workers: Batcher<Submission, Admitted>,
}

impl Admission {
    pub(crate) fn start(gate: Gate) -> Self {
        let gate = Arc::new(gate);
        let batcher = |forward: bool| {
            let gate = Arc::clone(&gate);
            Batcher::start(Submission::size, move |submissions| {
                admit(Arc::clone(&gate), submissions, forward).boxed()
            })
        };
        Self { users: batcher(true), workers: batcher(false) }
    }

    /// Takes transactions in; one result each.
    pub(crate) async fn take(
        &self,
        from_worker: bool,
        submissions: Vec<Submission>,
    ) -> Vec<Admitted> {
        let batcher = if from_worker { &self.workers } else { &self.users };
        let outcomes = join_all(submissions.into_iter().map(|one| batcher.call(one))).await;
        let stopped = || Err(WorkerError::Stopped.refusal());
        outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(stopped)).collect()
    }
}

async fn admit(gate: Arc<Gate>, submissions: Vec<Submission>, forward: bool) -> Vec<Admitted> {
    let read: Vec<Result<PoolTx, Error>> =
        submissions.into_iter().map(|one| read(&gate, one)).collect();
    let ask: Vec<Vec<u8>> = read.iter().flatten().map(|tx| tx.raw.clone()).collect();
    let checked = match ask.is_empty() {
        true => Ok(Vec::new()),
        false => gate.enclave.call(move |enclave| enclave::check(enclave, ask)).await,
    };
    let mut checked = match checked {
        Ok(results) => results.into_iter(),
        Err(error) => {
            return read.into_iter().map(|tx| tx.and_then(|_| Err(error.refusal()))).collect();
        }
    };
    // RD-18: the runtime's own `check` has the last word.
    let mut new = Vec::new();
    let outcomes = read
        .into_iter()
        .map(|tx| {
            let tx = tx?;
            match checked.next().and_then(|output| output.result) {
                Some(OutputResult::Ok(value)) => gate.mempool.lock().expect(tx.sender, &value),
                Some(OutputResult::Error(e)) => return Err(refused_by_check(e)),
                None => return Err(WorkerError::NotReady.refusal()),
            }
            let raw = if forward { tx.raw.clone() } else { Vec::new() };
            let added = gate.mempool.lock().add(gate.mempool.now_ms(), tx);
            added.map_err(|e| WorkerError::from(e).refusal())?;
            new.push(raw);
            Ok(())
        })
        .collect();
    if forward && !new.is_empty() {
        // Closed: the worker stops.
        let _ = gate.forwards.send(Forward { to: gate.member.workers(), raws: new }).await;
    }
    outcomes
}

/// What can be said without the enclave.
fn read(gate: &Gate, submission: Submission) -> Result<PoolTx, Error> {
    let not_ready = || WorkerError::NotReady.refusal();
    let snapshot = gate.member.current().ok_or_else(not_ready)?;
    // Old state would refuse what the newest takes.
    if !gate.reports.has_newest_state() {
        return Err(not_ready());
    }
    let (member, limits) = (&gate.member, &snapshot.batching);
    let bytes_max = limits.max_batch_bytes as usize;
    let Submission { raw, read } = submission;
    if raw.len() > bytes_max {
        return Err(paratime(TxError::Oversized { limit: bytes_max, got: raw.len() }));
    }
    let read = match read {
        Some(read) => read,
        None => Arc::new(tx::decode(&raw, bytes_max).map_err(paratime)?),
    };
    read.check_place(&member.chain_context, &member.runtime_id).map_err(paratime)?;
    let transaction = read.transaction();
    let (nonce, fee, gas_limit) = (transaction.nonce, transaction.fee, transaction.gas_limit);
    let gas_max = snapshot.max_tx_gas.min(limits.max_batch_gas);
    if gas_limit > gas_max {
        return Err(paratime(TxError::GasLimit { limit: gas_max, got: gas_limit }));
    }
    let (hash, sender) = (*read.hash(), *read.signer());
    match gate.ledger.store.round_of_tx(hash.as_bytes()) {
        Ok(None) => {}
        Ok(Some(round)) => return Err(WorkerError::AlreadyFinal { round }.refusal()),
        Err(e) => return Err(WorkerError::from(e).refusal()),
    }
    let tx = PoolTx { hash, sender, nonce, fee, gas_limit, raw };
    gate.mempool.lock().admits(&tx).map_err(|e| WorkerError::from(e).refusal())?;
    Ok(tx)
}

/// A transaction that no member takes.
fn paratime(error: TxError) -> Error {
    Error::new("paratime", error.code(), &error as &dyn fmt::Display)
}

/// What the runtime's `check` found, on the newest state here.
fn refused_by_check(error: CheckError) -> Error {
    // RD-34: an epoch that has not begun here begins soon, and may have begun at another member.
    // Anything else another member has the same.
    let begins_soon = error.module == EnvelopeError::MODULE && error.code == EnvelopeError::NOT_YET;
    let retry = if begins_soon { Retry::Later } else { Retry::Never };
    Error::new(&error.module, error.code, error.message).with_retry(retry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_envelope_of_the_epoch_to_come_may_be_submitted_again() {
        let not_yet = EnvelopeError::NotYet { got: 4 };
        let over = EnvelopeError::WrongEpoch { oldest: 2, newest: 3, got: 1 };
        let retry = |module: &str, error: EnvelopeError| {
            let (code, message) = (error.code(), error.to_string());
            refused_by_check(CheckError { module: module.to_string(), code, message }).retry
        };
        assert_eq!(retry(EnvelopeError::MODULE, not_yet), Retry::Later);
        assert_eq!(retry(EnvelopeError::MODULE, over), Retry::Never);
        assert_eq!(retry("tokens", not_yet), Retry::Never);
    }
}
