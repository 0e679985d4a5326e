//! Tasks.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Why a task has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// It was aborted.
    #[error("the task was aborted")]
    Aborted,
    /// It panicked. The panic's message went to standard error.
    #[error("the task panicked")]
    Panicked,
}

impl From<tokio::task::JoinError> for JoinError {
    fn from(error: tokio::task::JoinError) -> Self {
        if error.is_panic() { Self::Panicked } else { Self::Aborted }
    }
}

/// Waits for a task's result. Dropping it lets the task go on.
#[derive(Debug)]
pub struct JoinHandle<T>(pub(crate) tokio::task::JoinHandle<T>);

impl<T> JoinHandle<T> {
    /// Ends the task at its next await.
    pub fn abort(&self) {
        self.0.abort();
    }

    /// Whether the task has ended.
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map_err(JoinError::from)
    }
}

/// Starts a task that outlives its caller. Prefer a [`TaskSet`], whose tasks have an owner.
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    JoinHandle(tokio::spawn(future))
}

/// Lets other tasks run.
pub async fn yield_now() {
    tokio::task::yield_now().await;
}

/// Tasks with one owner: they end when the set is dropped.
#[derive(Debug, Default)]
pub struct TaskSet<T: 'static = ()>(tokio::task::JoinSet<T>);

impl<T: Send + 'static> TaskSet<T> {
    /// An empty set.
    pub fn new() -> Self {
        Self(tokio::task::JoinSet::new())
    }

    /// Starts a task.
    pub fn spawn(&mut self, future: impl Future<Output = T> + Send + 'static) {
        self.0.spawn(future);
    }

    /// How many tasks have not been joined.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether all tasks have been joined.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next task that ends; `None` if there is none left. Cancellation-safe.
    pub async fn join_next(&mut self) -> Option<Result<T, JoinError>> {
        self.0.join_next().await.map(|result| result.map_err(JoinError::from))
    }

    /// A task that has ended already, if any.
    pub fn try_join_next(&mut self) -> Option<Result<T, JoinError>> {
        self.0.try_join_next().map(|result| result.map_err(JoinError::from))
    }

    /// Aborts all tasks and waits until they have ended.
    pub async fn shutdown(&mut self) {
        self.0.shutdown().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_gives_its_result_or_says_why_not() {
        assert_eq!(spawn(async { 7 }).await, Ok(7));
        let aborted = spawn(std::future::pending::<()>());
        aborted.abort();
        assert_eq!(aborted.await, Err(JoinError::Aborted));
    }

    #[tokio::test]
    async fn a_dropped_set_ends_its_tasks() {
        let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
        let mut set = TaskSet::<()>::new();
        set.spawn(async move {
            let _kept = sender;
            std::future::pending().await
        });
        assert_eq!(set.len(), 1);
        drop(set);
        assert!(receiver.await.is_err(), "the task's values were dropped with it");
    }
}
