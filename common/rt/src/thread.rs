//! Work that blocks, and async work from threads.

use std::future::Future;

use crate::JoinError;

/// Runs work that blocks on a thread for such work.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JoinError> {
    tokio::task::spawn_blocking(work).await.map_err(JoinError::from)
}

/// Runs work that blocks on this thread, whose other tasks move to another one. Needs the
/// multi-threaded runtime.
pub fn in_place<T>(work: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(work)
}

/// Starts a plain thread with this name and at least this much stack.
pub fn thread(
    name: &str,
    stack_bytes: usize,
    work: impl FnOnce() + Send + 'static,
) -> std::io::Result<std::thread::JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_string()).stack_size(stack_bytes).spawn(work)
}

/// Lets threads outside the async runtime wait for its futures.
#[derive(Debug, Clone)]
pub struct Handle(tokio::runtime::Handle);

impl Handle {
    /// The runtime that this task runs on. Panics outside one: call it where the node is assembled.
    #[must_use]
    pub fn current() -> Self {
        Self(tokio::runtime::Handle::current())
    }

    /// Waits for a future. Never on a thread of the async runtime.
    pub fn wait<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(future)
    }
}

/// Applies a function to each item, on as many threads as there are cores, and keeps the order.
pub fn parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let share = items.len().div_ceil(cores).max(1);
    if items.len() <= 1 || cores == 1 {
        return items.iter().map(work).collect();
    }
    std::thread::scope(|scope| {
        let work = &work;
        let parts: Vec<_> = items
            .chunks(share)
            .map(|part| scope.spawn(move || part.iter().map(work).collect::<Vec<R>>()))
            .collect();
        parts
            .into_iter()
            .flat_map(|part| part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parallel_work_keeps_the_order() {
        let items: Vec<u32> = (0..1000).collect();
        let doubled = parallel(&items, |item| item * 2);
        assert_eq!(doubled, items.iter().map(|item| item * 2).collect::<Vec<_>>());
        assert!(parallel(&[] as &[u32], |item| *item).is_empty());
    }

    #[tokio::test]
    async fn blocking_work_reports_a_panic() {
        assert_eq!(blocking(|| 3).await, Ok(3));
        let panicked = blocking(|| panic!("on purpose")).await;
        assert_eq!(panicked, Err(JoinError::Panicked));
    }
}
