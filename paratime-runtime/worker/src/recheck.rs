//! Transactions that wait long are checked again, as state has changed since. When an epoch begins all
//! are: the keys of some are over.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use paralith_proto::pb::paratime::v1::output::Result as OutputResult;

use crate::effects::Tasks;
use crate::enclave;
use crate::round::ChainSnapshot;
use crate::shared::Shared;

/// What was checked last.
#[derive(Debug, Default)]
pub(crate) struct Rechecked {
    round: AtomicU64,
    epoch: AtomicU64,
}

/// Checks the oldest of those that have waited since they were last checked, once a round; all of
/// them in the first round of an epoch.
pub(crate) fn spawn(shared: &Arc<Shared>, tasks: &mut Tasks, snapshot: &ChainSnapshot) {
    let (round, epoch) = (snapshot.state.last_block.round.0, snapshot.epoch.epoch.0);
    let is_new = |newest: &AtomicU64, now| newest.fetch_max(now, Ordering::Relaxed) < now;
    if !snapshot.ready || !is_new(&shared.rechecked.round, round) {
        return;
    }
    let all = is_new(&shared.rechecked.epoch, epoch);
    let (after_ms, count_max) = if all { (0, usize::MAX) } else { (RECHECK_AFTER_MS, PART) };
    let shared = Arc::clone(shared);
    tasks.spawn(async move {
        let now_ms = shared.now_ms();
        let before_ms = now_ms.saturating_sub(after_ms);
        let waiting = shared.pool().to_recheck(now_ms, before_ms, count_max);
        for part in waiting.chunks(PART) {
            let raws = part.iter().map(|tx| tx.raw.clone()).collect();
            // An enclave that cannot answer now answers after the next round.
            let Ok(results) = shared.enclave(move |enclave| enclave::check(enclave, raws)).await
            else {
                return;
            };
            let mut pool = shared.pool();
            for (tx, output) in part.iter().zip(results) {
                match output.result {
                    Some(OutputResult::Error(_)) => {
                        pool.remove(&tx.hash);
                    }
                    Some(OutputResult::Ok(value)) => pool.expect(tx.sender, &value),
                    None => {}
                }
            }
        }
    });
}

/// Transactions of one call, so that others come between.
const PART: usize = 256;
/// Most transactions are in a round long before.
const RECHECK_AFTER_MS: u64 = 3_000;
