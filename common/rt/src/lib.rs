//! The one seam to tasks, time, threads and randomness.
//!
//! Product code spawns, waits, reads clocks and draws random bytes through this crate and in no
//! other way; `tests/tidy` lists the exceptions with their reasons. The functions run on tokio and
//! the operating system. A simulator of a whole network replaces them behind the same signatures, so
//! no type of tokio is part of them.
//!
//! * [`spawn`], [`TaskSet`]: tasks. A task set ends its tasks when its owner drops it.
//! * [`sleep`], [`timeout`], [`Interval`], [`Instant`], [`unix_time_ms`]: time.
//! * [`blocking`], [`thread`], [`parallel`], [`Handle`]: work that blocks, and async work from threads.
//! * [`random`], [`fill_random`]: randomness of the operating system.

mod task;
mod thread;
mod time;

pub use task::{JoinError, JoinHandle, TaskSet, spawn, yield_now};
pub use thread::{Handle, blocking, in_place, parallel, thread};
pub use time::{Elapsed, Instant, Interval, sleep, timeout, unix_time_ms};

/// The operating system has no randomness to give. Nothing that holds keys can go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gives no randomness: {0}")]
pub struct NoEntropy(String);

/// Fills a buffer with randomness of the operating system.
pub fn fill_random(bytes: &mut [u8]) -> Result<(), NoEntropy> {
    getrandom::fill(bytes).map_err(|e| NoEntropy(e.to_string()))
}

/// `N` random bytes of the operating system.
pub fn random<const N: usize>() -> Result<[u8; N], NoEntropy> {
    let mut bytes = [0; N];
    fill_random(&mut bytes)?;
    Ok(bytes)
}
