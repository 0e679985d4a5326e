//! Asking again while nobody can answer yet.

use std::time::Duration;

use paralith_rt::Instant;
use paralith_runtime_worker::{Chain, ChainBlock};
use paralith_types::Retry;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

/// How long a committee that cannot answer is asked again: an epoch begins with a new committee,
/// whose members get their keys first.
const BUDGET: Duration = Duration::from_secs(3);

/// Time in which a request is repeated, with every block.
pub(crate) struct RetryBudget {
    began: Instant,
    blocks: broadcast::Receiver<ChainBlock>,
}

impl RetryBudget {
    pub(crate) fn new(chain: &dyn Chain) -> Self {
        Self { began: Instant::now(), blocks: chain.subscribe() }
    }

    /// Whether to ask again after a refusal; if so, a block later.
    pub(crate) async fn allows(&mut self, retry: Retry) -> bool {
        // RD-24: a new committee gets its keys first.
        let left = BUDGET.saturating_sub(self.began.elapsed());
        if !retry.is_retryable() || left.is_zero() {
            return false;
        }
        // Late or lagging: asked again all the same. Closed: no block comes any more.
        let came = paralith_rt::timeout(left, self.blocks.recv()).await;
        !matches!(came, Ok(Err(RecvError::Closed)))
    }
}
