//! How transactions get to the other workers.
//!
//! * What a worker takes from a user, it forwards to all workers.
//! * A new committee takes over what waits: each worker of the old one sends its pool to the workers
//!   that are new. Each does so, as any of them may be the only one left; a worker takes each
//!   transaction once.
//! * A worker that may take a transaction later, as it has no keys of the new epoch yet, is asked again
//!   for a while: a transaction that some workers lack leaves a gap in its sender's nonces.

use std::sync::Arc;
use std::time::Duration;

use paralith_types::PublicKey;

use crate::effects::{LINK_TIMEOUT, TASKS_MAX, Tasks};
use crate::links::Admitted;
use crate::shared::Shared;

/// Transactions on their way to workers.
#[derive(Debug, Clone)]
pub(crate) struct Forward {
    pub(crate) to: Vec<PublicKey>,
    pub(crate) raws: Vec<Vec<u8>>,
}

/// Forwards transactions in tasks of the worker's loop.
pub(crate) fn spawn(shared: &Arc<Shared>, tasks: &mut Tasks, forward: Forward) {
    for worker in forward.to {
        // Workers that answer nobody must not fill the memory.
        if tasks.len() >= TASKS_MAX {
            return;
        }
        let (shared, raws) = (Arc::clone(shared), forward.raws.clone());
        tasks.spawn(async move { send(&shared, worker, raws).await });
    }
}

/// Sends the pool to the workers that are not among those of `before`.
pub(crate) fn hand_over(shared: &Arc<Shared>, tasks: &mut Tasks, before: &[PublicKey]) {
    if !before.contains(&shared.me) {
        return;
    }
    let raws: Vec<Vec<u8>> = shared.pool().all().into_iter().map(|tx| tx.raw).collect();
    let mut to = shared.workers();
    to.retain(|worker| !before.contains(worker));
    if !raws.is_empty() && !to.is_empty() {
        tracing::debug!(to = to.len(), transactions = raws.len(), "sends its pool");
        spawn(shared, tasks, Forward { to, raws });
    }
}

async fn send(shared: &Shared, worker: PublicKey, mut waiting: Vec<Vec<u8>>) {
    for _ in 0..TRIES {
        let mut not_taken = Vec::new();
        for part in waiting.chunks(PART) {
            let sending =
                shared.links.submit_transactions(worker, shared.config.runtime_id, part.to_vec());
            match paralith_rt::timeout(LINK_TIMEOUT, sending).await {
                Ok(Ok(results)) if results.len() == part.len() => {
                    let again =
                        part.iter().zip(&results).filter(|(_, result)| is_retryable(result));
                    not_taken.extend(again.map(|(raw, _)| raw.clone()));
                }
                _ => not_taken.extend_from_slice(part),
            }
        }
        if not_taken.is_empty() {
            return;
        }
        waiting = not_taken;
        paralith_rt::sleep(AGAIN).await;
    }
}

/// Whether the worker may take a transaction later.
fn is_retryable(result: &Admitted) -> bool {
    result.as_ref().is_err_and(|error| error.retry.is_retryable())
}

/// Transactions of one message.
const PART: usize = 256;
/// A few seconds: keys come within some blocks.
const TRIES: u32 = 12;
const AGAIN: Duration = Duration::from_millis(250);
