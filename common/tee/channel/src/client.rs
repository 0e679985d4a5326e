//! The host's end.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use paralith_proto::Message;
use paralith_runtime_api::boundary::{pb, read_frame, write_frame};

use crate::{BoundaryError, Failure};

/// What the host gives its trusted side to work on. Called on the stream's reading thread.
pub trait HostServices: Send + Sync {
    /// A value of consensus state at a height and the encoded proof of it or of its absence.
    fn consensus_get(&self, height: u64, key: &[u8])
    -> Result<(Option<Vec<u8>>, Vec<u8>), Failure>;
    /// An encoded light block; of height 0 the newest.
    fn light_block(&self, height: u64) -> Result<Vec<u8>, Failure>;
    /// A node of the runtime's state tree at a final round.
    fn state_node(&self, round: u64, id: &[u8]) -> Result<Option<Vec<u8>>, Failure>;
    /// A value of the runtime's state at a final round.
    fn state_value(&self, round: u64, key: &[u8]) -> Result<Option<Vec<u8>>, Failure>;
    /// A line for the node's log.
    fn log(&self, text: &str);
}

/// Gets every frame of a stream, both ways, as it travels: for tests that search it for secrets.
pub type Recorder = Arc<Mutex<dyn Write + Send>>;

type Waiting = Arc<Mutex<BTreeMap<u64, SyncSender<pb::HostReply>>>>;

/// The host's end of the stream to one trusted side. Calls may run at once from many threads.
#[derive(Clone)]
pub struct Client {
    /// None once the host has given the stream up.
    writer: Arc<Mutex<Option<UnixStream>>>,
    waiting: Waiting,
    closed: Arc<Mutex<bool>>,
    next_id: Arc<AtomicU64>,
    recorder: Option<Recorder>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

impl Client {
    /// Takes over a stream to a trusted side.
    pub fn connect(
        reader: UnixStream,
        writer: UnixStream,
        services: Arc<dyn HostServices>,
        recorder: Option<Recorder>,
    ) -> Self {
        let client = Self {
            writer: Arc::new(Mutex::new(Some(writer))),
            waiting: Waiting::default(),
            closed: Arc::default(),
            next_id: Arc::new(AtomicU64::new(1)),
            recorder,
        };
        let reading = client.clone();
        // A call waits on its own thread, so one thread suffices to read and to answer callbacks.
        std::thread::spawn(move || reading.read(reader, services.as_ref()));
        client
    }

    /// Whether the trusted side is gone: its process ended or it broke the protocol.
    pub fn is_closed(&self) -> bool {
        *lock(&self.closed)
    }

    /// Calls the trusted side and waits for its reply.
    pub fn call(&self, kind: pb::host_call::Kind) -> Result<pb::host_reply::Kind, BoundaryError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = sync_channel(1);
        lock(&self.waiting).insert(id, sender);
        if self.is_closed() {
            lock(&self.waiting).remove(&id);
            return Err(BoundaryError::Closed);
        }
        let body = pb::frame::Body::HostCall(pb::HostCall { kind: Some(kind) });
        if let Err(error) = self.write(&pb::Frame { id, body: Some(body) }) {
            lock(&self.waiting).remove(&id);
            return Err(error);
        }
        // The reading thread drops the sender when the stream ends.
        let reply = receiver.recv().map_err(|_| BoundaryError::Closed)?;
        match (reply.failure, reply.kind) {
            (Some(failure), _) => Err(BoundaryError::Failure(failure.into())),
            (None, Some(kind)) => Ok(kind),
            (None, None) => Err(BoundaryError::WrongReply),
        }
    }

    fn write(&self, frame: &pb::Frame) -> Result<(), BoundaryError> {
        self.record(frame);
        match lock(&self.writer).as_mut() {
            Some(writer) => Ok(write_frame(writer, frame)?),
            None => Err(BoundaryError::Closed),
        }
    }

    /// Gives the stream up: running calls fail, and the trusted side ends.
    pub fn close(&self) {
        *lock(&self.closed) = true;
        if let Some(writer) = lock(&self.writer).take() {
            let _ = writer.shutdown(Shutdown::Both);
        }
    }

    fn record(&self, frame: &pb::Frame) {
        if let Some(recorder) = &self.recorder {
            // A recorder that fails must not change what the node does.
            let _ = lock(recorder).write_all(&frame.encode_to_vec());
        }
    }

    fn read(&self, mut reader: impl Read, services: &dyn HostServices) {
        while let Ok(frame) = read_frame(&mut reader) {
            self.record(&frame);
            match frame.body {
                Some(pb::frame::Body::HostReply(reply)) => {
                    if let Some(sender) = lock(&self.waiting).remove(&frame.id) {
                        let _ = sender.send(reply);
                    }
                }
                Some(pb::frame::Body::Callback(callback)) => {
                    let reply = answer(callback, services);
                    let body = Some(pb::frame::Body::CallbackReply(reply));
                    if self.write(&pb::Frame { id: frame.id, body }).is_err() {
                        break;
                    }
                }
                Some(pb::frame::Body::Log(text)) => services.log(&text),
                _ => break,
            }
        }
        *lock(&self.closed) = true;
        lock(&self.waiting).clear();
    }
}

fn answer(callback: pb::Callback, services: &dyn HostServices) -> pb::CallbackReply {
    use pb::callback::Kind;
    let plain = |value| (value, Vec::new());
    let result = match callback.kind {
        Some(Kind::ConsensusGet(ask)) => services.consensus_get(ask.height, &ask.key),
        Some(Kind::LightBlockGet(ask)) => services.light_block(ask.height).map(|b| plain(Some(b))),
        Some(Kind::StateNodeGet(ask)) => services.state_node(ask.round, &ask.id).map(plain),
        Some(Kind::StateValueGet(ask)) => services.state_value(ask.round, &ask.key).map(plain),
        None => Err(Failure::new("boundary", 3, "an empty callback")),
    };
    match result {
        Ok((value, proof)) => pb::CallbackReply { value, proof, failure: None },
        Err(failure) => {
            pb::CallbackReply { value: None, proof: Vec::new(), failure: Some(failure.into()) }
        }
    }
}

/// A panic of another thread leaves these maps whole: each change is one call.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
