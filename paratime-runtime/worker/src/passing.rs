//! How transactions get to the other workers.
//!
//! * What a worker took from a user, it passes on to all workers.
//! * A new committee takes over what waits: whoever was a worker hands its pool over to those who
//!   have just become one. Each does so, as any of them may be the only one left; a worker takes
//!   each transaction once.
//! * A worker that cannot tell yet, as it has no keys of the new epoch, is asked again for a while:
//!   a transaction that some workers lack leaves a gap in its sender's nonces.

use std::sync::Arc;
use std::time::Duration;

use paralith_proto::pb::paratime::v1::Output;
use paralith_proto::pb::paratime::v1::output::Result as OutputResult;
use paralith_types::PublicKey;

use crate::act::LINK_TIMEOUT;
use crate::error::WorkerError;
use crate::shared::Shared;

/// Passes transactions on to workers. Returns at once; it takes some seconds at most.
pub(crate) fn pass_on(shared: &Arc<Shared>, workers: Vec<PublicKey>, raws: &[Vec<u8>]) {
    for worker in workers {
        let (shared, raws) = (Arc::clone(shared), raws.to_vec());
        tokio::spawn(async move { pass(&shared, worker, raws).await });
    }
}

/// Hands the pool over to the workers that are not among those of `before`.
pub(crate) fn hand_over(shared: &Arc<Shared>, before: &[PublicKey]) {
    if !before.contains(&shared.me) {
        return;
    }
    let waiting: Vec<Vec<u8>> = shared.pool().all().into_iter().map(|tx| tx.raw).collect();
    let mut new = shared.workers();
    new.retain(|worker| !before.contains(worker));
    if !waiting.is_empty() && !new.is_empty() {
        tracing::debug!(to = new.len(), transactions = waiting.len(), "hands its pool over");
        pass_on(shared, new, &waiting);
    }
}

async fn pass(shared: &Shared, worker: PublicKey, mut waiting: Vec<Vec<u8>>) {
    for _ in 0..TRIES {
        let mut not_taken = Vec::new();
        for part in waiting.chunks(PART) {
            let sending =
                shared.links.submit_transactions(worker, shared.config.runtime_id, part.to_vec());
            match tokio::time::timeout(LINK_TIMEOUT, sending).await {
                Ok(Ok(outputs)) if outputs.len() == part.len() => {
                    let not_yet =
                        part.iter().zip(&outputs).filter(|(_, output)| is_not_yet(output));
                    not_taken.extend(not_yet.map(|(raw, _)| raw.clone()));
                }
                _ => not_taken.extend_from_slice(part),
            }
        }
        if not_taken.is_empty() {
            return;
        }
        waiting = not_taken;
        tokio::time::sleep(AGAIN).await;
    }
}

/// Whether the worker cannot say yet whether it would take a transaction.
fn is_not_yet(output: &Output) -> bool {
    match &output.result {
        Some(OutputResult::Error(error)) => {
            error.module == "worker" && WorkerError::NOT_YET.contains(&error.code)
        }
        _ => false,
    }
}

/// Transactions of one message.
const PART: usize = 256;
/// A few seconds: keys come within some blocks.
const TRIES: u32 = 12;
const AGAIN: Duration = Duration::from_millis(250);
