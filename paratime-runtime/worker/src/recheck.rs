//! Transactions that wait long are checked again: state has moved on under them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use paralith_proto::pb::paratime::v1::output::Result as OutputResult;

use crate::act::Tasks;
use crate::shared::Shared;
use crate::trusted;

/// Checks the oldest of those that have waited since they were last checked, once a round.
pub(crate) fn spawn(shared: &Arc<Shared>, tasks: &mut Tasks, last_round: u64) {
    if shared.rechecked.fetch_max(last_round, Ordering::Relaxed) >= last_round {
        return;
    }
    let shared = Arc::clone(shared);
    tasks.spawn(async move {
        let now_ms = shared.now_ms();
        let before_ms = now_ms.saturating_sub(RECHECK_AFTER_MS);
        let waiting = shared.pool().to_recheck(now_ms, before_ms, RECHECK_MAX);
        if waiting.is_empty() {
            return;
        }
        let raws = waiting.iter().map(|tx| tx.raw.clone()).collect();
        // A trusted side that cannot answer now answers after the next round.
        let Ok(results) = shared.trusted(move |side| trusted::check(side, raws)).await else {
            return;
        };
        let mut pool = shared.pool();
        for (tx, output) in waiting.iter().zip(results) {
            if matches!(output.result, Some(OutputResult::Error(_))) {
                pool.remove(&tx.hash);
            }
        }
    });
}

/// The newest round after which the pool was checked.
pub(crate) type Rechecked = AtomicU64;

/// A part of a batch: the rest has its turn after the next round.
const RECHECK_MAX: usize = 256;
/// Most transactions are in a round long before.
const RECHECK_AFTER_MS: u64 = 3_000;
