//! The host's end.

use std::fmt;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use paralith_proto::Message;
use paralith_runtime_api::boundary::{pb, read_frame};
use pb::frame::Body;

use crate::call::Role;
use crate::stream::{FrameSender, Waiting, lock};
use crate::{BoundaryError, Failure};

/// What the host gives its enclave to work on.
///
/// The chain may take long to answer, so it is asked on threads of their own, one for each call of
/// the enclave that waits. The state's tree is at hand, and is read on the stream's reading thread.
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

/// The host's end of the stream to one enclave. Calls may run at once from many threads.
#[derive(Clone)]
pub struct Client {
    sender: Arc<FrameSender>,
    waiting: Arc<Waiting<Body>>,
    recorder: Option<Recorder>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

impl Client {
    /// Takes over a stream to an enclave.
    pub fn connect(
        reader: UnixStream,
        writer: UnixStream,
        services: Arc<dyn HostServices>,
        recorder: Option<Recorder>,
    ) -> Self {
        let sender = Arc::new(FrameSender::new(writer));
        let client = Self { sender, waiting: Arc::default(), recorder };
        let reading = client.clone();
        std::thread::spawn(move || reading.read(reader, &services));
        client
    }

    /// Whether the enclave is gone: its process ended or it broke the protocol.
    pub fn is_closed(&self) -> bool {
        self.waiting.is_closed()
    }

    /// Calls a compute runtime's enclave and waits for its reply.
    pub fn call(
        &self,
        kind: pb::runtime_call::Kind,
    ) -> Result<pb::runtime_reply::Kind, BoundaryError> {
        let body = Body::RuntimeCall(pb::RuntimeCall { kind: Some(kind) });
        let Body::RuntimeReply(reply) = self.exchange(body)? else {
            return Err(BoundaryError::WrongReply);
        };
        answered(reply.failure, reply.kind)
    }

    /// Calls a key manager's enclave and waits for its reply.
    pub fn call_key_manager(
        &self,
        kind: pb::key_manager_call::Kind,
    ) -> Result<pb::key_manager_reply::Kind, BoundaryError> {
        let body = Body::KeyManagerCall(pb::KeyManagerCall { kind: Some(kind) });
        let Body::KeyManagerReply(reply) = self.exchange(body)? else {
            return Err(BoundaryError::WrongReply);
        };
        answered(reply.failure, reply.kind)
    }

    fn exchange(&self, body: Body) -> Result<Body, BoundaryError> {
        self.waiting.call(|id| self.write(&pb::Frame { id, body: Some(body) }))
    }

    /// Starts an enclave, or has a started one give its claims of now.
    pub fn start(&self, role: Role, start: pb::Start) -> Result<pb::Started, BoundaryError> {
        use pb::{key_manager_call, key_manager_reply, runtime_call, runtime_reply};
        match role {
            Role::Runtime => match self.call(runtime_call::Kind::Start(start))? {
                runtime_reply::Kind::Started(started) => Ok(started),
                _ => Err(BoundaryError::WrongReply),
            },
            Role::KeyManager => {
                match self.call_key_manager(key_manager_call::Kind::Start(start))? {
                    key_manager_reply::Kind::Started(started) => Ok(started),
                    _ => Err(BoundaryError::WrongReply),
                }
            }
        }
    }

    /// Has an enclave follow the chain to a height.
    pub fn sync(&self, role: Role, height: u64) -> Result<pb::Synced, BoundaryError> {
        use pb::{key_manager_call, key_manager_reply, runtime_call, runtime_reply};
        let sync = pb::Sync { height };
        match role {
            Role::Runtime => match self.call(runtime_call::Kind::Sync(sync))? {
                runtime_reply::Kind::Synced(synced) => Ok(synced),
                _ => Err(BoundaryError::WrongReply),
            },
            Role::KeyManager => match self.call_key_manager(key_manager_call::Kind::Sync(sync))? {
                key_manager_reply::Kind::Synced(synced) => Ok(synced),
                _ => Err(BoundaryError::WrongReply),
            },
        }
    }

    /// Has an enclave make a blob for a proof of freshness.
    pub fn freshness_blob(&self, role: Role) -> Result<Vec<u8>, BoundaryError> {
        use pb::{key_manager_call, key_manager_reply, runtime_call, runtime_reply};
        let ask = pb::FreshnessBlob {};
        match role {
            Role::Runtime => match self.call(runtime_call::Kind::FreshnessBlob(ask))? {
                runtime_reply::Kind::Bytes(blob) => Ok(blob),
                _ => Err(BoundaryError::WrongReply),
            },
            Role::KeyManager => {
                match self.call_key_manager(key_manager_call::Kind::FreshnessBlob(ask))? {
                    key_manager_reply::Kind::Bytes(blob) => Ok(blob),
                    _ => Err(BoundaryError::WrongReply),
                }
            }
        }
    }

    /// Has an enclave look for its blob in the state at a height.
    pub fn confirm_freshness(&self, role: Role, height: u64) -> Result<(), BoundaryError> {
        use pb::{key_manager_call, runtime_call};
        let confirm = pb::ConfirmFreshness { height };
        match role {
            Role::Runtime => self.call(runtime_call::Kind::ConfirmFreshness(confirm)).map(|_| ()),
            Role::KeyManager => {
                self.call_key_manager(key_manager_call::Kind::ConfirmFreshness(confirm)).map(|_| ())
            }
        }
    }

    fn write(&self, frame: &pb::Frame) -> Result<(), BoundaryError> {
        self.record(frame);
        self.sender.send(frame)
    }

    /// Gives the stream up: running calls fail, and the enclave ends.
    pub fn close(&self) {
        self.waiting.close();
        self.sender.close();
    }

    fn record(&self, frame: &pb::Frame) {
        if let Some(recorder) = &self.recorder {
            // A recorder that fails must not change what the node does.
            let _ = lock(recorder).write_all(&frame.encode_to_vec());
        }
    }

    /// Reads until the stream ends or carries what an enclave does not send.
    fn read(&self, mut reader: impl Read, services: &Arc<dyn HostServices>) {
        // However this ends, no call waits for ever, nor does a callback at the other end.
        let _end = CloseOnDrop(self);
        while let Ok(frame) = read_frame(&mut reader) {
            self.record(&frame);
            match frame.body {
                Some(reply @ (Body::RuntimeReply(_) | Body::KeyManagerReply(_))) => {
                    self.waiting.reply(frame.id, reply);
                }
                Some(Body::Callback(callback)) => {
                    let answered = if asks_the_chain(&callback) {
                        self.answer_apart(frame.id, callback, services)
                    } else {
                        self.answer(frame.id, callback, services.as_ref())
                    };
                    if answered.is_err() {
                        break;
                    }
                }
                Some(Body::Log(text)) => {
                    // A log that fails loses a line and nothing else.
                    let _ = catch_unwind(AssertUnwindSafe(|| services.log(&text)));
                }
                _ => break,
            }
        }
    }

    /// Answers a callback on a thread of its own: other calls' replies are read meanwhile.
    fn answer_apart(
        &self,
        id: u64,
        callback: pb::Callback,
        services: &Arc<dyn HostServices>,
    ) -> Result<(), BoundaryError> {
        let (client, services) = (self.clone(), Arc::clone(services));
        let answering = move || {
            if client.answer(id, callback, services.as_ref()).is_err() {
                client.close();
            }
        };
        let spawned = std::thread::Builder::new().spawn(answering);
        spawned.map(drop).map_err(|error| BoundaryError::Frame(error.to_string()))
    }

    fn answer(
        &self,
        id: u64,
        callback: pb::Callback,
        services: &dyn HostServices,
    ) -> Result<(), BoundaryError> {
        let reply = catch_unwind(AssertUnwindSafe(|| answer(callback, services)))
            .unwrap_or_else(|_| refusal(BoundaryError::Panicked.into()));
        self.reply(id, reply)
    }

    /// Sends an answer to a callback; instead of one that does not fit into a frame, the reason.
    fn reply(&self, id: u64, reply: pb::CallbackReply) -> Result<(), BoundaryError> {
        let frame = |reply| pb::Frame { id, body: Some(Body::CallbackReply(reply)) };
        match self.write(&frame(reply)) {
            Err(error @ BoundaryError::TooLarge { .. }) => {
                self.write(&frame(refusal(error.into())))
            }
            result => result,
        }
    }
}

struct CloseOnDrop<'a>(&'a Client);

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

fn asks_the_chain(callback: &pb::Callback) -> bool {
    use pb::callback::Kind;
    matches!(callback.kind, Some(Kind::ConsensusGet(_) | Kind::LightBlockGet(_)))
}

fn answer(callback: pb::Callback, services: &dyn HostServices) -> pb::CallbackReply {
    use pb::callback::Kind;
    let plain = |value| (value, Vec::new());
    let result = match callback.kind {
        Some(Kind::ConsensusGet(ask)) => services.consensus_get(ask.height, &ask.key),
        Some(Kind::LightBlockGet(ask)) => services.light_block(ask.height).map(|b| plain(Some(b))),
        Some(Kind::StateNodeGet(ask)) => services.state_node(ask.round, &ask.id).map(plain),
        Some(Kind::StateValueGet(ask)) => services.state_value(ask.round, &ask.key).map(plain),
        None => Err(BoundaryError::EmptyCall.into()),
    };
    match result {
        Ok((value, proof)) => pb::CallbackReply { value, proof, failure: None },
        Err(failure) => refusal(failure),
    }
}

fn answered<T>(failure: Option<pb::Failure>, kind: Option<T>) -> Result<T, BoundaryError> {
    match (failure, kind) {
        (Some(failure), _) => Err(BoundaryError::Failure(failure.into())),
        (None, Some(kind)) => Ok(kind),
        (None, None) => Err(BoundaryError::WrongReply),
    }
}

fn refusal(failure: Failure) -> pb::CallbackReply {
    pb::CallbackReply { value: None, proof: Vec::new(), failure: Some(failure.into()) }
}
