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

use paralith_types::{PublicKey, RuntimeId};

use crate::effects::{LINK_TIMEOUT, TASKS_MAX, Tasks};
use crate::links::{Admitted, Links};
use crate::member::Member;
use crate::mempool::Mempool;

/// Transactions on their way to workers.
#[derive(Debug, Clone)]
pub(crate) struct Forward {
    pub(crate) to: Vec<PublicKey>,
    pub(crate) raws: Vec<Vec<u8>>,
}

/// Forwards transactions in tasks of the worker's loop.
pub(crate) fn spawn(
    links: &Arc<dyn Links>,
    runtime_id: RuntimeId,
    tasks: &mut Tasks,
    forward: Forward,
) {
    for worker in forward.to {
        // Workers that answer nobody must not fill the memory.
        if tasks.len() >= TASKS_MAX {
            return;
        }
        let (links, raws) = (Arc::clone(links), forward.raws.clone());
        tasks.spawn(async move { send(links.as_ref(), runtime_id, worker, raws).await });
    }
}

/// The pool for the workers that are not among those of `before`; none if this node was not one of
/// these, or there is nothing to send.
pub(crate) fn handed_over(
    member: &Member,
    mempool: &Mempool,
    before: &[PublicKey],
) -> Option<Forward> {
    if !before.contains(&member.me) {
        return None;
    }
    let raws: Vec<Vec<u8>> = mempool.lock().all().into_iter().map(|tx| tx.raw).collect();
    let mut to = member.workers();
    // RD-23: what users submitted outlives its committee.
    to.retain(|worker| !before.contains(worker));
    if raws.is_empty() || to.is_empty() {
        return None;
    }
    tracing::debug!(to = to.len(), transactions = raws.len(), "sends its pool");
    Some(Forward { to, raws })
}

async fn send(
    links: &dyn Links,
    runtime_id: RuntimeId,
    worker: PublicKey,
    mut waiting: Vec<Vec<u8>>,
) {
    for _ in 0..TRIES {
        let mut not_taken = Vec::new();
        for part in waiting.chunks(PART) {
            let sending = links.submit_transactions(worker, runtime_id, part.to_vec());
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
