//! The trusted side's end.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

use paralith_consensus_light::StateSource;
use paralith_runtime_api::boundary::{FrameError, pb, read_frame, write_frame};
use paralith_types::Error;

use crate::client::lock;
use crate::{BoundaryError, Failure};

/// What a trusted side does. Calls come on threads of their own, several at once.
pub trait Handler: Send + Sync {
    /// Does what the host asks, or refuses.
    fn handle(
        &self,
        call: pb::host_call::Kind,
        callbacks: &Callbacks,
    ) -> Result<pb::host_reply::Kind, Failure>;
}

/// Stack of a call's thread: WebAssembly runs on it, and its depth is metered against 1 MiB.
const CALL_STACK_BYTES: usize = 4 * 1024 * 1024;

type Waiting = Arc<Mutex<BTreeMap<u64, SyncSender<pb::CallbackReply>>>>;
type SharedWriter = Arc<Mutex<Box<dyn Write + Send>>>;

/// How a trusted side asks its host for data. Nothing of what comes back is to be trusted.
#[derive(Clone)]
pub struct Callbacks {
    writer: SharedWriter,
    waiting: Waiting,
    next_id: Arc<AtomicU64>,
}

impl fmt::Debug for Callbacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Callbacks")
    }
}

impl Callbacks {
    /// A value of consensus state at a height and what the host offers as its proof.
    pub fn consensus_get(
        &self,
        height: u64,
        key: &[u8],
    ) -> Result<(Option<Vec<u8>>, Vec<u8>), BoundaryError> {
        let ask = pb::ConsensusGet { height, key: key.to_vec() };
        let reply = self.ask(pb::callback::Kind::ConsensusGet(ask))?;
        Ok((reply.value, reply.proof))
    }

    /// What the host offers as the light block of a height; 0 is the newest.
    pub fn light_block(&self, height: u64) -> Result<Vec<u8>, BoundaryError> {
        let ask = pb::callback::Kind::LightBlockGet(pb::LightBlockGet { height });
        self.ask(ask)?.value.ok_or(BoundaryError::WrongReply)
    }

    /// What the host offers as a node of the state tree at a final round.
    pub fn state_node(&self, round: u64, id: &[u8]) -> Result<Option<Vec<u8>>, BoundaryError> {
        let ask = pb::StateNodeGet { round, id: id.to_vec() };
        Ok(self.ask(pb::callback::Kind::StateNodeGet(ask))?.value)
    }

    /// What the host offers as a value of the state at a final round.
    pub fn state_value(&self, round: u64, key: &[u8]) -> Result<Option<Vec<u8>>, BoundaryError> {
        let ask = pb::StateValueGet { round, key: key.to_vec() };
        Ok(self.ask(pb::callback::Kind::StateValueGet(ask))?.value)
    }

    /// A line for the node's log. It leaves the trusted side: never put a secret in.
    pub fn log(&self, text: &str) {
        let body = Some(pb::frame::Body::Log(text.to_string()));
        let _ = write_frame(&mut *lock(&self.writer), &pb::Frame { id: 0, body });
    }

    fn ask(&self, kind: pb::callback::Kind) -> Result<pb::CallbackReply, BoundaryError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = sync_channel(1);
        lock(&self.waiting).insert(id, sender);
        let body = Some(pb::frame::Body::Callback(pb::Callback { kind: Some(kind) }));
        if let Err(error) = write_frame(&mut *lock(&self.writer), &pb::Frame { id, body }) {
            lock(&self.waiting).remove(&id);
            return Err(error.into());
        }
        let reply = receiver.recv().map_err(|_| BoundaryError::Closed)?;
        match reply.failure {
            Some(failure) => Err(BoundaryError::Failure(failure.into())),
            None => Ok(reply),
        }
    }
}

impl StateSource for Callbacks {
    fn light_block(&self, height: u64) -> Result<Vec<u8>, Error> {
        Ok(Self::light_block(self, height)?)
    }

    fn state_value(&self, height: u64, key: &[u8]) -> Result<(Option<Vec<u8>>, Vec<u8>), Error> {
        Ok(self.consensus_get(height, key)?)
    }
}

/// Serves a host until its stream ends. Returns why it ended; a closed stream is the normal end.
pub fn serve(
    mut reader: impl Read,
    writer: impl Write + Send + 'static,
    handler: Arc<dyn Handler>,
) -> FrameError {
    let callbacks = Callbacks {
        writer: Arc::new(Mutex::new(Box::new(writer))),
        waiting: Waiting::default(),
        next_id: Arc::new(AtomicU64::new(1)),
    };
    let end = loop {
        let frame = match read_frame(&mut reader) {
            Ok(frame) => frame,
            Err(error) => break error,
        };
        match frame.body {
            Some(pb::frame::Body::HostCall(call)) => {
                let (handler, callbacks) = (Arc::clone(&handler), callbacks.clone());
                // The host bounds how much it asks at once; a thread a call keeps a slow round
                // from holding up a query.
                let call = move || run(frame.id, call, handler.as_ref(), &callbacks);
                let spawned = std::thread::Builder::new().stack_size(CALL_STACK_BYTES).spawn(call);
                if let Err(error) = spawned {
                    break FrameError::Io(error);
                }
            }
            Some(pb::frame::Body::CallbackReply(reply)) => {
                if let Some(sender) = lock(&callbacks.waiting).remove(&frame.id) {
                    let _ = sender.send(reply);
                }
            }
            _ => break FrameError::Malformed("a frame that only a trusted side sends".to_string()),
        }
    };
    lock(&callbacks.waiting).clear();
    end
}

fn run(id: u64, call: pb::HostCall, handler: &dyn Handler, callbacks: &Callbacks) {
    let result = match call.kind {
        Some(kind) => handler.handle(kind, callbacks),
        None => Err(Failure::new("boundary", 3, "an empty call")),
    };
    let reply = match result {
        Ok(kind) => pb::HostReply { failure: None, kind: Some(kind) },
        Err(failure) => pb::HostReply { failure: Some(failure.into()), kind: None },
    };
    let body = Some(pb::frame::Body::HostReply(reply));
    let _ = write_frame(&mut *lock(&callbacks.writer), &pb::Frame { id, body });
}
