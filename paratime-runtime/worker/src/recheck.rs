//! Transactions that wait long are checked again, as state has changed since. When an epoch begins all
//! are: the keys of some are over.

use std::sync::Arc;

use paralith_proto::pb::paratime::v1::output::Result as OutputResult;

use crate::effects::Tasks;
use crate::enclave::{self, EnclaveCalls};
use crate::mempool::Mempool;
use crate::round::ChainSnapshot;

/// What was checked last.
#[derive(Debug, Default)]
pub(crate) struct Rechecked {
    round: u64,
    epoch: u64,
}

/// Checks the oldest of those that have waited since they were last checked, once a round; all of
/// them in the first round of an epoch.
pub(crate) fn spawn(
    rechecked: &mut Rechecked,
    mempool: &Arc<Mempool>,
    enclave: &EnclaveCalls,
    tasks: &mut Tasks,
    snapshot: &ChainSnapshot,
) {
    let (round, epoch) = (snapshot.state.last_block.round.0, snapshot.epoch.epoch.0);
    let is_new = |newest: &mut u64, now: u64| std::mem::replace(newest, now.max(*newest)) < now;
    if !snapshot.ready || !is_new(&mut rechecked.round, round) {
        return;
    }
    // RD-22: state has changed, and some keys are over.
    let all = is_new(&mut rechecked.epoch, epoch);
    let (after_ms, count_max) = if all { (0, usize::MAX) } else { (RECHECK_AFTER_MS, PART) };
    let (mempool, enclave) = (Arc::clone(mempool), enclave.clone());
    tasks.spawn(async move {
        let now_ms = mempool.now_ms();
        let before_ms = now_ms.saturating_sub(after_ms);
        let waiting = mempool.lock().to_recheck(now_ms, before_ms, count_max);
        for part in waiting.chunks(PART) {
            let raws = part.iter().map(|tx| tx.raw.clone()).collect();
            // An enclave that cannot answer now answers after the next round.
            let Ok(results) = enclave.call(move |enclave| enclave::check(enclave, raws)).await
            else {
                return;
            };
            let mut pool = mempool.lock();
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
