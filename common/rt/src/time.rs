//! Time: monotonic for waiting, and the wall clock for what people read.

use std::future::Future;
use std::time::Duration;

/// A limit passed before the future was ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the time limit passed")]
pub struct Elapsed;

/// Waits.
pub async fn sleep(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// Waits for a future, but no longer than this.
pub async fn timeout<F: Future>(limit: Duration, future: F) -> Result<F::Output, Elapsed> {
    tokio::time::timeout(limit, future).await.map_err(|_| Elapsed)
}

/// Ticks at a steady rate; a late tick delays those after it.
#[derive(Debug)]
pub struct Interval(tokio::time::Interval);

impl Interval {
    /// The first tick is at once.
    #[must_use]
    pub fn new(period: Duration) -> Self {
        let mut interval = tokio::time::interval(period);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        Self(interval)
    }

    /// Waits for the next tick. Cancellation-safe.
    pub async fn tick(&mut self) {
        self.0.tick().await;
    }
}

/// A moment of the monotonic clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(tokio::time::Instant);

impl Instant {
    /// Now.
    #[must_use]
    pub fn now() -> Self {
        Self(tokio::time::Instant::now())
    }

    /// Time since this moment.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    /// Whole milliseconds since this moment.
    #[must_use]
    pub fn elapsed_ms(&self) -> u64 {
        self.elapsed().as_millis().try_into().unwrap_or(u64::MAX)
    }
}

/// Milliseconds since 1970 by this machine's clock. Only for what people read: it proves nothing.
#[must_use]
pub fn unix_time_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis().try_into().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_timeout_ends_a_wait_and_lets_a_ready_value_through() {
        assert_eq!(timeout(Duration::ZERO, std::future::pending::<()>()).await, Err(Elapsed));
        assert_eq!(timeout(Duration::from_secs(3600), async { 1 }).await, Ok(1));
    }

    #[tokio::test]
    async fn an_interval_ticks_at_once_and_never_early() {
        let period = Duration::from_millis(5);
        let mut interval = Interval::new(period);
        interval.tick().await;
        let began = Instant::now();
        interval.tick().await;
        interval.tick().await;
        // The second period begins when the first tick was taken, so both have passed but for that.
        assert!(began.elapsed() >= period);
    }
}
