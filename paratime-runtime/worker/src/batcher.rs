//! Calls that come one by one and are made together.
//!
//! * What comes while [`CALLS_MAX`] calls are under way is collected and leaves as one call. So
//!   a single caller never waits, and under load many share what one call costs.
//! * Items leave in the order in which they came. A caller that goes away takes nothing back.
//! * Bounded: callers wait while [`QUEUED_MAX`] items do.

use futures::future::BoxFuture;
use paralith_rt::TaskSet;
use tokio::sync::{mpsc, oneshot};

/// Makes calls of many items out of calls of one. Its task ends when it is dropped.
#[derive(Debug)]
pub struct Batcher<I, R> {
    sender: mpsc::Sender<Item<I, R>>,
}

type Item<I, R> = (I, oneshot::Sender<R>);

impl<I: Send + 'static, R: Send + 'static> Batcher<I, R> {
    /// Starts one on the async runtime. `call` takes items and gives one result each, in their
    /// order; `size` is how many bytes an item counts.
    pub fn start(
        size: fn(&I) -> usize,
        call: impl Fn(Vec<I>) -> BoxFuture<'static, Vec<R>> + Send + 'static,
    ) -> Self {
        let (sender, queued) = mpsc::channel(QUEUED_MAX);
        paralith_rt::spawn(run(queued, size, call));
        Self { sender }
    }

    /// Makes one item part of the next call and waits for its result; none if the call gave none.
    pub async fn call(&self, item: I) -> Option<R> {
        let (sender, result) = oneshot::channel();
        self.sender.send((item, sender)).await.ok()?;
        result.await.ok()
    }
}

async fn run<I: Send + 'static, R: Send + 'static>(
    mut queued: mpsc::Receiver<Item<I, R>>,
    size: fn(&I) -> usize,
    call: impl Fn(Vec<I>) -> BoxFuture<'static, Vec<R>> + Send,
) {
    let mut under_way = TaskSet::new();
    let mut left_over = None;
    loop {
        while under_way.len() >= CALLS_MAX {
            // A call that panicked has dropped its callers' senders: they get no result.
            let _ = under_way.join_next().await;
        }
        let first = match left_over.take() {
            Some(item) => Some(item),
            None => queued.recv().await,
        };
        let Some(first) = first else { break };
        let (items, callers) = collect(first, size, &mut queued, &mut left_over);
        let calling = call(items);
        under_way.spawn(async move {
            for (caller, result) in callers.into_iter().zip(calling.await) {
                // Gone callers need no result.
                let _ = caller.send(result);
            }
        });
    }
    while under_way.join_next().await.is_some() {}
}

/// Takes what is queued, up to the bounds of a call. What does not fit any more is left over.
fn collect<I, R>(
    first: Item<I, R>,
    size: fn(&I) -> usize,
    queued: &mut mpsc::Receiver<Item<I, R>>,
    left_over: &mut Option<Item<I, R>>,
) -> (Vec<I>, Vec<oneshot::Sender<R>>) {
    let mut bytes = size(&first.0);
    let (mut items, mut callers) = (vec![first.0], vec![first.1]);
    while items.len() < ITEMS_MAX
        && let Ok((item, caller)) = queued.try_recv()
    {
        bytes = bytes.saturating_add(size(&item));
        if bytes > BYTES_MAX {
            *left_over = Some((item, caller));
            break;
        }
        items.push(item);
        callers.push(caller);
    }
    (items, callers)
}

/// So many calls run at once: the next one is on its way while the results of one come back.
const CALLS_MAX: usize = 2;
/// Most items of a call: some ten milliseconds of the enclave's time.
const ITEMS_MAX: usize = 256;
/// Most bytes of a call with more than one item.
const BYTES_MAX: usize = 4 * 1024 * 1024;
/// Most items that wait.
const QUEUED_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use futures::FutureExt as _;
    use futures::future::join_all;
    use tokio::sync::Semaphore;

    use super::*;

    type Sizes = Arc<Mutex<Vec<usize>>>;

    /// Echoes items; notes the sizes of its calls; each call needs a permit.
    fn echo() -> (Batcher<Vec<u8>, Vec<u8>>, Sizes, Arc<Semaphore>) {
        let (sizes, permits) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Semaphore::new(0)));
        let (noted, gate) = (Arc::clone(&sizes), Arc::clone(&permits));
        let batcher = Batcher::start(Vec::len, move |items: Vec<Vec<u8>>| {
            noted.lock().unwrap().push(items.len());
            let gate = Arc::clone(&gate);
            async move {
                gate.acquire().await.unwrap().forget();
                items
            }
            .boxed()
        });
        (batcher, sizes, permits)
    }

    #[tokio::test]
    async fn what_comes_during_calls_leaves_as_one_and_each_gets_its_own_result() {
        let (batcher, sizes, permits) = echo();
        let batcher = Arc::new(batcher);
        let ask = |item: u8| {
            let batcher = Arc::clone(&batcher);
            tokio::spawn(async move { batcher.call(vec![item]).await })
        };
        let calls = async |count: usize| {
            while sizes.lock().unwrap().len() < count {
                tokio::task::yield_now().await;
            }
        };
        let mut asked = Vec::new();
        for item in 0..CALLS_MAX {
            asked.push(ask(item as u8));
            calls(item + 1).await;
        }
        // Nobody goes on before all of the rest have come.
        asked.extend((CALLS_MAX as u8..10).map(ask));
        while batcher.sender.capacity() > QUEUED_MAX - (10 - CALLS_MAX) {
            tokio::task::yield_now().await;
        }
        permits.add_permits(10);
        let results: Vec<_> = join_all(asked).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(results, (0..10_u8).map(|item| Some(vec![item])).collect::<Vec<_>>());
        assert_eq!(*sizes.lock().unwrap(), [1, 1, 10 - CALLS_MAX]);
    }

    #[tokio::test]
    async fn one_alone_waits_for_nobody() {
        let (batcher, sizes, permits) = echo();
        permits.add_permits(3);
        for item in 0..3_u8 {
            assert_eq!(batcher.call(vec![item]).await, Some(vec![item]));
        }
        assert_eq!(*sizes.lock().unwrap(), [1, 1, 1]);
    }

    #[tokio::test]
    async fn a_call_is_bounded_in_items_and_in_bytes() {
        let (sender, mut queued) = mpsc::channel(QUEUED_MAX);
        let item = |bytes: usize| (vec![0; bytes], oneshot::channel::<()>().0);
        for (desc, bytes, waiting, taken) in [
            ("items", 1, ITEMS_MAX + 1, ITEMS_MAX),
            ("bytes", BYTES_MAX / 2, 4, 2),
            ("one that is larger than all bytes leaves alone", BYTES_MAX + 1, 2, 1),
        ] {
            for _ in 1..waiting {
                sender.try_send(item(bytes)).unwrap();
            }
            let mut left_over = None;
            let (items, callers) = collect(item(bytes), Vec::len, &mut queued, &mut left_over);
            assert_eq!((items.len(), callers.len()), (taken, taken), "{desc}");
            let rest = std::iter::from_fn(|| queued.try_recv().ok()).count();
            assert_eq!(taken + usize::from(left_over.is_some()) + rest, waiting, "{desc}");
        }
    }

    #[tokio::test]
    async fn a_call_that_gives_too_few_results_leaves_its_callers_without() {
        let batcher: Batcher<Vec<u8>, ()> =
            Batcher::start(Vec::len, |_| async { Vec::new() }.boxed());
        assert_eq!(batcher.call(vec![1]).await, None);
    }
}
