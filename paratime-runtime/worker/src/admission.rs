//! How transactions come into the pool: read, asked about in the trusted side, added, passed on.
//!
//! Many at once share one call of the trusted side and one message to each other worker. Whether a
//! signature is right is for the trusted side to say: here a transaction is only read.

use std::fmt;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::join_all;
use paralith_proto::pb::paratime::v1::output::Result as OutputResult;
use paralith_proto::pb::paratime::v1::{Error, Output};
use paralith_runtime_api::{TxError, tx};

use crate::batcher::Batcher;
use crate::error::WorkerError;
use crate::pool::PoolTx;
use crate::shared::Shared;
use crate::{passing, trusted};

/// The way into the pool.
pub(crate) struct Admission {
    /// What users hand in is passed on to the other workers.
    users: Batcher<Output>,
    /// What workers pass on has been passed to all of them.
    workers: Batcher<Output>,
}

impl Admission {
    pub(crate) fn start(shared: &Arc<Shared>) -> Self {
        let batcher = |pass: bool| {
            let shared = Arc::clone(shared);
            Batcher::start(move |raws| admit(Arc::clone(&shared), raws, pass).boxed())
        };
        Self { users: batcher(true), workers: batcher(false) }
    }

    /// Takes transactions in: one result each, empty if it is in.
    pub(crate) async fn take(&self, from_worker: bool, raws: Vec<Vec<u8>>) -> Vec<Output> {
        let batcher = if from_worker { &self.workers } else { &self.users };
        let outcomes = join_all(raws.into_iter().map(|raw| batcher.call(raw))).await;
        let stopped = || refused(refusal(&WorkerError::Stopped));
        outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(stopped)).collect()
    }
}

async fn admit(shared: Arc<Shared>, raws: Vec<Vec<u8>>, pass: bool) -> Vec<Output> {
    let read: Vec<Result<PoolTx, Error>> = raws.into_iter().map(|raw| read(&shared, raw)).collect();
    let ask: Vec<Vec<u8>> = read.iter().flatten().map(|tx| tx.raw.clone()).collect();
    let checked = match ask.is_empty() {
        true => Ok(Vec::new()),
        false => shared.trusted(move |side| trusted::check(side, ask)).await,
    };
    let mut checked = match checked {
        Ok(results) => results.into_iter(),
        Err(error) => {
            let outcome =
                |tx: Result<PoolTx, Error>| refused(tx.map_or_else(|own| own, |_| refusal(&error)));
            return read.into_iter().map(outcome).collect();
        }
    };
    let mut new = Vec::new();
    let outcomes = read
        .into_iter()
        .map(|tx| {
            let tx = match tx {
                Ok(tx) => tx,
                Err(error) => return refused(error),
            };
            match checked.next().and_then(|output| output.result) {
                Some(OutputResult::Ok(value)) => shared.pool().expect(tx.sender, &value),
                Some(OutputResult::Error(error)) => return refused(error),
                None => return refused(refusal(&WorkerError::NotReady)),
            }
            let raw = if pass { tx.raw.clone() } else { Vec::new() };
            match shared.pool().add(shared.now_ms(), tx) {
                Ok(()) => new.push(raw),
                Err(error) => return refused(refusal(&error)),
            }
            Output { result: Some(OutputResult::Ok(Vec::new())) }
        })
        .collect();
    if pass && !new.is_empty() {
        passing::pass_on(&shared, shared.workers(), &new);
    }
    outcomes
}

/// What can be said without the trusted side.
fn read(shared: &Shared, raw: Vec<u8>) -> Result<PoolTx, Error> {
    let situation = shared.current().ok_or_else(|| refusal(&WorkerError::NotReady))?;
    // Old state would refuse what the newest takes.
    if !shared.status.borrow().has_newest_state() {
        return Err(refusal(&WorkerError::NotReady));
    }
    let (config, limits) = (&shared.config, &situation.batching);
    let bytes_max = limits.max_batch_bytes as usize;
    let paratime = |e: TxError| error("paratime", e.code(), &e);
    let read =
        tx::read(&raw, &config.chain_context, &config.runtime_id, bytes_max).map_err(paratime)?;
    let (nonce, gas_limit) = (read.transaction().nonce, read.transaction().gas_limit);
    if gas_limit > limits.max_batch_gas {
        return Err(paratime(TxError::GasLimit { limit: limits.max_batch_gas, got: gas_limit }));
    }
    let (hash, sender) = (*read.hash(), *read.signer());
    match shared.store.round_of_tx(hash.as_bytes()) {
        Ok(None) => {}
        Ok(Some(round)) => return Err(refusal(&WorkerError::AlreadyFinal { round })),
        Err(e) => return Err(refusal(&e.into())),
    }
    let tx = PoolTx { hash, sender, nonce, gas_limit, raw };
    shared.pool().admits(&tx).map_err(|e| refusal(&e))?;
    Ok(tx)
}

fn refused(error: Error) -> Output {
    Output { result: Some(OutputResult::Error(error)) }
}

fn refusal(refused: &WorkerError) -> Error {
    error("worker", refused.code(), refused)
}

fn error(module: &str, code: u32, message: &dyn fmt::Display) -> Error {
    Error { module: module.to_string(), code, message: message.to_string() }
}
