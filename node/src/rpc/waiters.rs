//! Callers that wait for their transaction to be in a block.
//!
//! Several may wait for one transaction; each has an entry of its own, which goes when its caller
//! does. So one caller's refusal or end leaves the others waiting.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use paralith_types::Hash;
use tokio::sync::oneshot;

type Entries<T> = BTreeMap<Hash, BTreeMap<u64, oneshot::Sender<T>>>;

/// Everybody that waits.
#[derive(Debug)]
pub(super) struct Waiters<T> {
    inner: Arc<Mutex<Inner<T>>>,
}

#[derive(Debug)]
struct Inner<T> {
    entries: Entries<T>,
    next: u64,
}

/// One caller's wait. It ends when it is dropped.
#[derive(Debug)]
pub(super) struct Wait<T> {
    inner: Arc<Mutex<Inner<T>>>,
    hash: Hash,
    number: u64,
    result: oneshot::Receiver<T>,
}

impl<T> Clone for Waiters<T> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<T> Default for Waiters<T> {
    fn default() -> Self {
        Self { inner: Arc::new(Mutex::new(Inner { entries: BTreeMap::new(), next: 0 })) }
    }
}

impl<T: Clone> Waiters<T> {
    /// Begins to wait. Call it before the transaction is submitted: a block may be faster.
    pub(super) fn wait_for(&self, hash: Hash) -> Wait<T> {
        let (sender, result) = oneshot::channel();
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let number = inner.next;
        inner.next = inner.next.wrapping_add(1);
        inner.entries.entry(hash).or_default().insert(number, sender);
        Wait { inner: Arc::clone(&self.inner), hash, number, result }
    }

    /// A transaction is in a block.
    pub(super) fn wake(&self, hash: &Hash, result: impl FnOnce() -> T) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(waiting) = inner.entries.remove(hash) else { return };
        let result = result();
        for sender in waiting.into_values() {
            // A caller may have gone in this moment.
            let _ = sender.send(result.clone());
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.inner.lock().unwrap().entries.values().map(BTreeMap::len).sum()
    }
}

impl<T> Wait<T> {
    /// The result; none if nobody will give one.
    pub(super) async fn result(&mut self) -> Option<T> {
        (&mut self.result).await.ok()
    }
}

impl<T> Drop for Wait<T> {
    fn drop(&mut self) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiting) = inner.entries.get_mut(&self.hash) {
            waiting.remove(&self.number);
            if waiting.is_empty() {
                inner.entries.remove(&self.hash);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TX: Hash = Hash([1; 32]);

    #[tokio::test]
    async fn a_repeated_wait_that_ends_leaves_the_first_one_waiting() {
        let waiters = Waiters::<u8>::default();
        let mut first = waiters.wait_for(TX);
        // The same transaction again, which the pool refuses: its caller gives up.
        drop(waiters.wait_for(TX));
        let mut third = waiters.wait_for(TX);
        waiters.wake(&Hash([2; 32]), || 9);
        waiters.wake(&TX, || 7);
        assert_eq!((first.result().await, third.result().await), (Some(7), Some(7)));
    }

    #[tokio::test]
    async fn nothing_is_left_of_callers_that_have_gone() {
        let waiters = Waiters::<u8>::default();
        for number in 0..100_u8 {
            let mut wait = waiters.wait_for(Hash([number; 32]));
            let late = paralith_rt::timeout(std::time::Duration::ZERO, wait.result()).await;
            assert!(late.is_err());
        }
        assert_eq!(waiters.len(), 0);
        let wait = waiters.wait_for(TX);
        assert_eq!(waiters.len(), 1);
        waiters.wake(&TX, || 1);
        drop(wait);
        assert_eq!(waiters.len(), 0);
    }
}
