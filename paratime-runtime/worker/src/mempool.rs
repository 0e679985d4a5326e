//! The transactions that wait, and the clock by which they do.

use std::sync::{Mutex, MutexGuard, PoisonError};

use paralith_rt::Instant;

use crate::round::{PoolLimits, TxPool};

/// The pool, for many tasks.
#[derive(Debug)]
pub(crate) struct Mempool {
    pool: Mutex<TxPool>,
    began: Instant,
}

impl Mempool {
    pub(crate) fn new(limits: PoolLimits) -> Self {
        Self { pool: Mutex::new(TxPool::new(limits)), began: Instant::now() }
    }

    /// The pool. A panic of another thread leaves it whole enough: at worst a transaction is lost.
    pub(crate) fn lock(&self) -> MutexGuard<'_, TxPool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Milliseconds since the start: the only clock of the pool and the machine.
    pub(crate) fn now_ms(&self) -> u64 {
        self.began.elapsed_ms()
    }
}
