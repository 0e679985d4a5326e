//! What both ends share: sending frames in turn, and the calls that wait for their replies.

use std::collections::BTreeMap;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};

use paralith_runtime_api::boundary::{FrameError, pb, write_frame};

use crate::BoundaryError;

/// The sending half of a stream. Frames go out one at a time.
#[derive(Debug)]
pub(crate) struct FrameSender {
    stream: UnixStream,
    turn: Mutex<()>,
}

impl FrameSender {
    pub(crate) fn new(stream: UnixStream) -> Self {
        Self { stream, turn: Mutex::new(()) }
    }

    /// Sends a frame. A frame above the limit is refused and nothing of it is sent. After any other
    /// failure part of a frame may be on its way, so the stream is closed.
    pub(crate) fn send(&self, frame: &pb::Frame) -> Result<(), BoundaryError> {
        let _turn = lock(&self.turn);
        let result = write_frame(&mut &self.stream, frame);
        match result {
            Ok(()) => Ok(()),
            Err(error @ FrameError::TooLarge { .. }) => Err(error.into()),
            Err(error) => {
                self.close();
                Err(error.into())
            }
        }
    }

    /// Ends the stream both ways. Does not wait for a `send` that is blocked: it fails.
    pub(crate) fn close(&self) {
        // Fails only if the stream has ended already.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// Calls that wait for a reply, by number.
#[derive(Debug)]
pub(crate) struct Waiting<R> {
    inner: Mutex<Inner<R>>,
}

#[derive(Debug)]
struct Inner<R> {
    next_id: u64,
    /// None once the stream has ended: no later call waits for a reply that cannot come.
    senders: Option<BTreeMap<u64, SyncSender<R>>>,
}

impl<R> Default for Waiting<R> {
    fn default() -> Self {
        Self { inner: Mutex::new(Inner { next_id: 1, senders: Some(BTreeMap::new()) }) }
    }
}

impl<R> Waiting<R> {
    /// Numbers a call and waits for its reply after `send` has sent it.
    pub(crate) fn call(
        &self,
        send: impl FnOnce(u64) -> Result<(), BoundaryError>,
    ) -> Result<R, BoundaryError> {
        let (id, receiver) = self.register()?;
        if let Err(error) = send(id) {
            self.take(id);
            return Err(error);
        }
        // The sender is dropped when the stream ends.
        receiver.recv().map_err(|_| BoundaryError::Closed)
    }

    fn register(&self) -> Result<(u64, Receiver<R>), BoundaryError> {
        let mut inner = lock(&self.inner);
        let id = inner.next_id;
        inner.next_id = id.wrapping_add(1);
        let (sender, receiver) = sync_channel(1);
        inner.senders.as_mut().ok_or(BoundaryError::Closed)?.insert(id, sender);
        Ok((id, receiver))
    }

    /// Gives a reply to the call that waits for it. A reply that no call waits for is dropped.
    pub(crate) fn reply(&self, id: u64, reply: R) {
        if let Some(sender) = self.take(id) {
            let _ = sender.send(reply);
        }
    }

    fn take(&self, id: u64) -> Option<SyncSender<R>> {
        lock(&self.inner).senders.as_mut()?.remove(&id)
    }

    /// Fails every call that waits and all later ones.
    pub(crate) fn close(&self) {
        // KM-B2: dropping the senders fails the calls that wait.
        lock(&self.inner).senders = None;
    }

    pub(crate) fn is_closed(&self) -> bool {
        lock(&self.inner).senders.is_none()
    }
}

/// A panic of another thread leaves what is behind these locks consistent: each change is one call.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
