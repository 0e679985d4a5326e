//! How transactions come into the pool: read, checked by the enclave, added, forwarded.
//!
//! Many at once share one call of the enclave and one message to each other worker. Whether a
//! signature is valid is for the enclave to say: here a transaction is only read.

use std::fmt;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::join_all;
use paralith_proto::pb::paratime::v1::output::Result as OutputResult;
use paralith_runtime_api::{TxError, tx};
use paralith_types::Error;

use crate::batcher::Batcher;
use crate::enclave;
use crate::error::WorkerError;
use crate::forwarding::Forward;
use crate::links::Admitted;
use crate::round::PoolTx;
use crate::shared::Shared;

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

/// The way into the pool.
pub(crate) struct Admission {
    /// What users submit is forwarded to the other workers.
    users: Batcher<Submission, Admitted>,
    /// What workers forward has been sent to all of them.
    workers: Batcher<Submission, Admitted>,
}

impl Admission {
    pub(crate) fn start(shared: &Arc<Shared>) -> Self {
        let batcher = |forward: bool| {
            let shared = Arc::clone(shared);
            Batcher::start(Submission::size, move |submissions| {
                admit(Arc::clone(&shared), submissions, forward).boxed()
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

async fn admit(shared: Arc<Shared>, submissions: Vec<Submission>, forward: bool) -> Vec<Admitted> {
    let read: Vec<Result<PoolTx, Error>> =
        submissions.into_iter().map(|one| read(&shared, one)).collect();
    let ask: Vec<Vec<u8>> = read.iter().flatten().map(|tx| tx.raw.clone()).collect();
    let checked = match ask.is_empty() {
        true => Ok(Vec::new()),
        false => shared.enclave(move |enclave| enclave::check(enclave, ask)).await,
    };
    let mut checked = match checked {
        Ok(results) => results.into_iter(),
        Err(error) => {
            return read.into_iter().map(|tx| tx.and_then(|_| Err(error.refusal()))).collect();
        }
    };
    let mut new = Vec::new();
    let outcomes = read
        .into_iter()
        .map(|tx| {
            let tx = tx?;
            match checked.next().and_then(|output| output.result) {
                Some(OutputResult::Ok(value)) => shared.pool().expect(tx.sender, &value),
                // The runtime's own word on its newest state: another member has the same.
                Some(OutputResult::Error(e)) => {
                    return Err(Error::new(&e.module, e.code, e.message));
                }
                None => return Err(WorkerError::NotReady.refusal()),
            }
            let raw = if forward { tx.raw.clone() } else { Vec::new() };
            let added = shared.pool().add(shared.now_ms(), tx);
            added.map_err(|e| WorkerError::from(e).refusal())?;
            new.push(raw);
            Ok(())
        })
        .collect();
    if forward && !new.is_empty() {
        // Closed: the worker stops.
        let _ = shared.queues.forwards.send(Forward { to: shared.workers(), raws: new }).await;
    }
    outcomes
}

/// What can be said without the enclave.
fn read(shared: &Shared, submission: Submission) -> Result<PoolTx, Error> {
    let not_ready = || WorkerError::NotReady.refusal();
    let snapshot = shared.current().ok_or_else(not_ready)?;
    // Old state would refuse what the newest takes.
    if !shared.status.borrow().has_newest_state() {
        return Err(not_ready());
    }
    let (config, limits) = (&shared.config, &snapshot.batching);
    let bytes_max = limits.max_batch_bytes as usize;
    let Submission { raw, read } = submission;
    if raw.len() > bytes_max {
        return Err(paratime(TxError::Oversized { limit: bytes_max, got: raw.len() }));
    }
    let read = match read {
        Some(read) => read,
        None => Arc::new(tx::decode(&raw, bytes_max).map_err(paratime)?),
    };
    read.check_place(&config.chain_context, &config.runtime_id).map_err(paratime)?;
    let transaction = read.transaction();
    let (nonce, fee, gas_limit) = (transaction.nonce, transaction.fee, transaction.gas_limit);
    let gas_max = snapshot.max_tx_gas.min(limits.max_batch_gas);
    if gas_limit > gas_max {
        return Err(paratime(TxError::GasLimit { limit: gas_max, got: gas_limit }));
    }
    let (hash, sender) = (*read.hash(), *read.signer());
    match shared.store.round_of_tx(hash.as_bytes()) {
        Ok(None) => {}
        Ok(Some(round)) => return Err(WorkerError::AlreadyFinal { round }.refusal()),
        Err(e) => return Err(WorkerError::from(e).refusal()),
    }
    let tx = PoolTx { hash, sender, nonce, fee, gas_limit, raw };
    shared.pool().admits(&tx).map_err(|e| WorkerError::from(e).refusal())?;
    Ok(tx)
}

/// A transaction that no member takes.
fn paratime(error: TxError) -> Error {
    Error::new("paratime", error.code(), &error as &dyn fmt::Display)
}
