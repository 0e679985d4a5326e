//! The enclave's end.

use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use paralith_runtime_api::boundary::{FrameError, pb, read_frame};
use pb::frame::Body;

use crate::call::{HostCall, HostReply, Role, reply_body};
use crate::callbacks::{Callbacks, HostRequests};
use crate::stream::{FrameSender, Waiting};
use crate::{BoundaryError, Failure};

/// What an enclave does. Calls come on threads of their own, several at once.
pub trait Handler: Send + Sync {
    /// Does what the host asks, or refuses.
    fn handle(&self, call: HostCall, callbacks: &Callbacks) -> Result<HostReply, Failure>;
}

/// Stack of a call's thread: WebAssembly runs on it, and its depth is metered against 1 MiB.
const CALL_STACK_BYTES: usize = 4 * 1024 * 1024;

/// The host at the other end of the stream.
#[derive(Debug)]
struct Host {
    sender: FrameSender,
    waiting: Waiting<pb::CallbackReply>,
}

impl HostRequests for Host {
    fn ask(&self, request: &pb::callback::Kind) -> Result<pb::CallbackReply, BoundaryError> {
        let callback = pb::Callback { kind: Some(request.clone()) };
        let body = Some(Body::Callback(callback));
        let reply = self.waiting.call(|id| self.sender.send(&pb::Frame { id, body }))?;
        match reply.failure {
            Some(failure) => Err(BoundaryError::Failure(failure.into())),
            None => Ok(reply),
        }
    }

    fn log(&self, text: &str) {
        let body = Some(Body::Log(text.to_string()));
        // A line that cannot be sent changes nothing else: a broken stream ends the process anyway.
        let _ = self.sender.send(&pb::Frame { id: 0, body });
    }
}

/// Serves a host until the stream ends. Returns why it ended; a closed stream is the normal end.
///
/// Every call gets an answer, or the stream ends, and with it the enclave: a handler that panics
/// and a reply above the frame limit are answered with a [`Failure`]; a stream that does not take
/// an answer is closed.
pub fn serve(mut reader: UnixStream, writer: UnixStream, handler: Arc<dyn Handler>) -> FrameError {
    let host = Arc::new(Host { sender: FrameSender::new(writer), waiting: Waiting::default() });
    let callbacks = Callbacks::new(Arc::clone(&host) as Arc<dyn HostRequests>);
    let end = loop {
        let frame = match read_frame(&mut reader) {
            Ok(frame) => frame,
            Err(error) => break error,
        };
        match frame.body {
            Some(body @ (Body::RuntimeCall(_) | Body::KeyManagerCall(_))) => {
                let (handler, callbacks) = (Arc::clone(&handler), callbacks.clone());
                let host = Arc::clone(&host);
                // The host bounds how much it asks at once; a thread a call keeps a slow round
                // from holding up a query.
                let call = move || {
                    let (role, result) = run(body, handler.as_ref(), &callbacks);
                    answer(frame.id, role, result, &host.sender);
                };
                let spawned = std::thread::Builder::new().stack_size(CALL_STACK_BYTES).spawn(call);
                if let Err(error) = spawned {
                    break FrameError::Io(error);
                }
            }
            Some(Body::CallbackReply(reply)) => host.waiting.reply(frame.id, reply),
            _ => break FrameError::Malformed("a frame that only an enclave sends".to_string()),
        }
    };
    host.sender.close();
    host.waiting.close();
    end
}

fn run(body: Body, handler: &dyn Handler, callbacks: &Callbacks) -> (Role, Outcome) {
    let (role, call) = match body {
        Body::KeyManagerCall(call) => (Role::KeyManager, call.kind.map(HostCall::KeyManager)),
        Body::RuntimeCall(call) => (Role::Runtime, call.kind.map(HostCall::Runtime)),
        _ => (Role::Runtime, None),
    };
    let result = match call {
        Some(call) => catch_unwind(AssertUnwindSafe(|| handler.handle(call, callbacks)))
            // The panic's own text stays inside: it may hold what the handler worked on.
            .unwrap_or_else(|_| Err(BoundaryError::Panicked.into())),
        None => Err(BoundaryError::EmptyCall.into()),
    };
    (role, result)
}

type Outcome = Result<HostReply, Failure>;

/// Sends the reply; instead of one that does not fit into a frame, the reason.
fn answer(id: u64, role: Role, result: Outcome, sender: &FrameSender) {
    let frame = |result| pb::Frame { id, body: Some(reply_body(role, result)) };
    // KM-B1: a reply that does not fit is answered by the reason, never by silence.
    if let Err(error @ BoundaryError::TooLarge { .. }) = sender.send(&frame(result)) {
        // A failure of this one closes the stream, which the host sees.
        if sender.send(&frame(Err(error.into()))).is_err() {
            sender.close();
        }
    }
}
