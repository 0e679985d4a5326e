//! Calls that wait until a block contains their transaction.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use paralith_consensus_abci::BlockEvent;
use paralith_proto::pb::consensus::v1::TransactionResult;
use paralith_types::Hash;
use tokio::sync::oneshot;

use super::consensus::result;

/// Waiting calls by transaction and by number. Any number of calls may wait for one transaction, and
/// one that ends takes none of the others with it.
#[derive(Debug, Default)]
pub(super) struct Waiting(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    next: u64,
    calls: BTreeMap<(Hash, u64), oneshot::Sender<TransactionResult>>,
}

/// One waiting call. Dropping it, as when its client hangs up, forgets it.
#[derive(Debug)]
pub(super) struct Waiter {
    waiting: Arc<Waiting>,
    place: (Hash, u64),
    receiver: oneshot::Receiver<TransactionResult>,
}

impl Waiting {
    /// Begins to wait.
    pub(super) fn join(waiting: &Arc<Self>, hash: Hash) -> Waiter {
        let (sender, receiver) = oneshot::channel();
        let mut inner = waiting.lock();
        let place = (hash, inner.next);
        inner.next = inner.next.wrapping_add(1);
        inner.calls.insert(place, sender);
        drop(inner);
        Waiter { waiting: Arc::clone(waiting), place, receiver }
    }

    /// Answers all calls that wait for a transaction of this block.
    pub(super) fn wake(&self, block: &BlockEvent) {
        let mut inner = self.lock();
        for (hash, outcome) in &block.txs {
            let places = inner.calls.range((*hash, 0)..=(*hash, u64::MAX));
            let places: Vec<(Hash, u64)> = places.map(|(place, _)| *place).collect();
            for place in places {
                if let Some(sender) = inner.calls.remove(&place) {
                    // The call may have ended.
                    let _ = sender.send(result(block.height, *hash, outcome));
                }
            }
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.lock().calls.len()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiter {
    /// The result, once a block has it; none when the node stops.
    pub(super) async fn result(mut self) -> Option<TransactionResult> {
        (&mut self.receiver).await.ok()
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.waiting.lock().calls.remove(&self.place);
    }
}

#[cfg(test)]
mod tests {
    use paralith_consensus_app::TxOutcome;
    use paralith_types::Height;

    use super::*;

    fn block(hash: Hash) -> BlockEvent {
        BlockEvent {
            height: Height(7),
            time_seconds: 0,
            app_hash: Hash::ZERO,
            txs: vec![(hash, TxOutcome::default())],
            events: Vec::new(),
        }
    }

    #[tokio::test]
    async fn a_call_that_ends_leaves_the_others_waiting() {
        let waiting = Arc::<Waiting>::default();
        let hash = Hash([3; 32]);
        let first = Waiting::join(&waiting, hash);
        let second = Waiting::join(&waiting, hash);
        let other = Waiting::join(&waiting, Hash([4; 32]));
        // The second submission of the same transaction is refused: its call ends.
        drop(second);
        waiting.wake(&block(hash));
        assert_eq!(first.result().await.map(|result| result.height), Some(7));
        assert_eq!(waiting.len(), 1);
        drop(other);
        assert_eq!(waiting.len(), 0, "nothing stays of calls that ended");
    }
}
