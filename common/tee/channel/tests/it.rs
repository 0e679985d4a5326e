//! Both ends of the boundary over a real socket pair.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier, Mutex};
use std::thread::JoinHandle;

use paralith_tee_channel::{
    BoundaryError, Callbacks, Client, Failure, FrameError, Handler, HostCall, HostReply,
    HostRequests, HostServices, MAX_FRAME_BYTES, Recorder, Role, pb, read_frame, serve,
    with_fetched, write_frame,
};
use pb::runtime_call::Kind as Call;
use pb::runtime_reply::Kind as Reply;

/// Answers every callback with its own question, so that a mix-up shows.
struct Echo;

impl HostServices for Echo {
    fn consensus_get(
        &self,
        height: u64,
        key: &[u8],
    ) -> Result<(Option<Vec<u8>>, Vec<u8>), Failure> {
        if height == 0 {
            return Err(Failure::new("host", 9, "no such height"));
        }
        Ok((Some(key.to_vec()), height.to_be_bytes().to_vec()))
    }

    fn light_block(&self, height: u64) -> Result<Vec<u8>, Failure> {
        Ok(height.to_be_bytes().to_vec())
    }

    fn state_node(&self, _round: u64, id: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        Ok((!id.is_empty()).then(|| id.to_vec()))
    }

    fn state_value(&self, round: u64, key: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        match key {
            b"panic" => panic!("a defect of the host"),
            b"huge" => Ok(Some(vec![0; MAX_FRAME_BYTES + 1])),
            _ => Ok(Some(round.to_be_bytes().to_vec())),
        }
    }

    fn log(&self, _text: &str) {}
}

/// `Sync` asks the host for a value and gives it back; `Stop` refuses; the rest goes wrong.
struct Side {
    both: Barrier,
    /// Gets what a callback of a call ended with that nobody waits for any more.
    ended: Mutex<Option<Sender<BoundaryError>>>,
}

impl Handler for Side {
    fn handle(&self, call: HostCall, callbacks: &Callbacks) -> Result<HostReply, Failure> {
        match call {
            HostCall::Runtime(call) => Ok(HostReply::Runtime(self.answer(call, callbacks)?)),
            // Answers for the other role.
            HostCall::KeyManager(_) => Ok(HostReply::Runtime(Reply::Empty(pb::Empty {}))),
        }
    }
}

impl Side {
    fn answer(&self, call: Call, callbacks: &Callbacks) -> Result<Reply, Failure> {
        match call {
            Call::Sync(pb::Sync { height }) => {
                let (value, proof) = callbacks.consensus_get(height, &height.to_le_bytes())?;
                assert_eq!(proof, height.to_be_bytes());
                assert_eq!(callbacks.light_block(height)?, height.to_be_bytes());
                assert_eq!(callbacks.state_node(1, b"")?, None);
                assert_eq!(callbacks.state_value(height, b"k")?, Some(proof));
                callbacks.log("synced");
                Ok(Reply::Bytes(value.unwrap()))
            }
            Call::Reveal(_) => {
                // Returns only once another call is running as well.
                self.both.wait();
                Ok(Reply::Empty(pb::Empty {}))
            }
            Call::FreshnessBlob(_) => Ok(Reply::Bytes(vec![0; MAX_FRAME_BYTES + 1])),
            Call::Release(_) => panic!("a defect of the enclave"),
            Call::ProvideKeys(pb::ProvideKeys { reply: key }) => {
                let value = callbacks.state_value(1, &key)?;
                Ok(Reply::Bytes(value.unwrap()))
            }
            Call::KeyRequestFor(_) => {
                let refused = callbacks.state_value(1, &vec![0; MAX_FRAME_BYTES + 1]).unwrap_err();
                Err(refused.into())
            }
            Call::ConfirmFreshness(_) => {
                // Goes on until the stream ends.
                let ended = loop {
                    if let Err(error) = callbacks.light_block(1) {
                        break error;
                    }
                };
                self.ended.lock().unwrap().take().unwrap().send(ended).unwrap();
                Err(Failure::new("side", 8, "ended"))
            }
            _ => Err(Failure::new("side", 7, "not today")),
        }
    }
}

/// The end of an enclave: why its callback failed, and why it stopped serving.
struct End {
    callback: Receiver<BoundaryError>,
    served: JoinHandle<FrameError>,
}

fn start_with_end(recorder: Option<Recorder>) -> (Client, End) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let reader = theirs.try_clone().unwrap();
    let (sender, callback) = channel();
    let side = Arc::new(Side { both: Barrier::new(2), ended: Mutex::new(Some(sender)) });
    let served = std::thread::spawn(move || serve(reader, theirs, side));
    let client = Client::connect(ours.try_clone().unwrap(), ours, Arc::new(Echo), recorder);
    (client, End { callback, served })
}

fn start(recorder: Option<Recorder>) -> Client {
    start_with_end(recorder).0
}

fn refusal(result: Result<Reply, BoundaryError>) -> (String, u32) {
    match result.unwrap_err() {
        BoundaryError::Failure(failure) => (failure.module, failure.code),
        other => panic!("not a refusal: {other}"),
    }
}

fn still_serves(client: &Client) {
    assert_eq!(sync(client, 5).unwrap(), Reply::Bytes(5u64.to_le_bytes().to_vec()));
}

fn provide(client: &Client, key: &[u8]) -> Result<Reply, BoundaryError> {
    client.call(Call::ProvideKeys(pb::ProvideKeys { reply: key.to_vec() }))
}

fn sync(client: &Client, height: u64) -> Result<Reply, BoundaryError> {
    client.call(Call::Sync(pb::Sync { height }))
}

#[test]
fn a_call_may_ask_back_while_it_runs() {
    let client = start(None);
    assert_eq!(sync(&client, 5).unwrap(), Reply::Bytes(5u64.to_le_bytes().to_vec()));
}

#[test]
fn replies_find_their_calls_when_many_run_at_once() {
    let client = start(None);
    let threads: Vec<_> = (1..=16u64)
        .map(|height| {
            let client = client.clone();
            std::thread::spawn(move || {
                for _ in 0..20 {
                    let expected = Reply::Bytes(height.to_le_bytes().to_vec());
                    assert_eq!(sync(&client, height).unwrap(), expected);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn calls_run_side_by_side() {
    let client = start(None);
    let first = std::thread::spawn({
        let client = client.clone();
        move || client.call(Call::Reveal(pb::Reveal::default()))
    });
    client.call(Call::Reveal(pb::Reveal::default())).unwrap();
    first.join().unwrap().unwrap();
}

#[test]
fn refusals_keep_module_and_code_both_ways() {
    let client = start(None);
    let refused = client.call(Call::Stop(pb::Stop {})).unwrap_err();
    assert_eq!(refused, BoundaryError::Failure(Failure::new("side", 7, "not today")));
    // The host's refusal of a callback passes through the enclave.
    let refused = sync(&client, 0).unwrap_err();
    assert_eq!(refused, BoundaryError::Failure(Failure::new("host", 9, "no such height")));
}

#[test]
fn a_stream_that_ends_fails_what_runs_and_what_comes() {
    let client = start(None);
    let running = client.clone();
    let call = std::thread::spawn(move || running.call(Call::Reveal(pb::Reveal::default())));
    // The call waits for another one that never comes; only the end of the stream ends it.
    client.close();
    assert_eq!(call.join().unwrap(), Err(BoundaryError::Closed));
    assert_eq!(sync(&client, 1), Err(BoundaryError::Closed));
    assert!(client.is_closed());
}

#[test]
fn an_enclave_that_writes_garbage_is_given_up() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let client = Client::connect(ours.try_clone().unwrap(), ours, Arc::new(Echo), None);
    let call = std::thread::spawn(move || sync(&client, 1));
    theirs.write_all(&[0, 0, 0, 3, 0xff, 0xff, 0xff]).unwrap();
    assert_eq!(call.join().unwrap(), Err(BoundaryError::Closed));
}

#[test]
fn a_recorder_sees_every_frame_both_ways() {
    let record = Arc::new(Mutex::new(Vec::new()));
    let recorder: Recorder = record.clone();
    let client = start(Some(recorder));
    sync(&client, 0x4142_4344_4546_4748).unwrap();
    let seen = record.lock().unwrap();
    let contains = |needle: &[u8]| seen.windows(needle.len()).any(|window| window == needle);
    assert!(contains(b"ABCDEFGH"), "the callback's reply carries the proof");
    assert!(contains(b"HGFEDCBA"), "the call's reply carries the key");
    assert!(contains(b"synced"), "and the log line");
}

#[test]
fn a_reply_above_the_frame_limit_is_a_failure_and_the_stream_goes_on() {
    let client = start(None);
    let refused = refusal(client.call(Call::FreshnessBlob(pb::FreshnessBlob {})));
    assert_eq!(refused, ("boundary".to_string(), 5));
    still_serves(&client);
}

#[test]
fn a_handler_that_panics_is_a_failure_and_the_stream_goes_on() {
    let client = start(None);
    let refused = refusal(client.call(Call::Release(pb::Release::default())));
    assert_eq!(refused, ("boundary".to_string(), 6));
    still_serves(&client);
}

#[test]
fn a_host_service_that_panics_fails_its_callback_and_the_stream_goes_on() {
    let client = start(None);
    assert_eq!(refusal(provide(&client, b"panic")), ("boundary".to_string(), 6));
    still_serves(&client);
}

#[test]
fn a_callback_and_its_answer_above_the_frame_limit_fail_and_the_stream_goes_on() {
    let client = start(None);
    assert_eq!(refusal(provide(&client, b"huge")), ("boundary".to_string(), 5));
    let ask = Call::KeyRequestFor(pb::KeyRequestFor { epoch: 1 });
    assert_eq!(refusal(client.call(ask)), ("boundary".to_string(), 5));
    still_serves(&client);
}

#[test]
fn a_call_above_the_frame_limit_is_refused_before_it_is_sent() {
    let client = start(None);
    let refused = provide(&client, &vec![0; MAX_FRAME_BYTES + 1]).unwrap_err();
    assert!(matches!(refused, BoundaryError::TooLarge { limit: MAX_FRAME_BYTES, .. }), "{refused}");
    still_serves(&client);
}

#[test]
fn a_call_of_an_enclave_ends_when_its_host_closes_the_stream() {
    let (client, end) = start_with_end(None);
    let running = client.clone();
    let call = Call::ConfirmFreshness(pb::ConfirmFreshness { height: 1 });
    let call = std::thread::spawn(move || running.call(call));
    // The call is running: its callbacks are answered beside this one.
    still_serves(&client);
    client.close();
    assert_eq!(call.join().unwrap(), Err(BoundaryError::Closed));
    let ended = end.callback.recv().unwrap();
    assert!(matches!(ended, BoundaryError::Closed | BoundaryError::Frame(_)), "{ended}");
    assert!(matches!(end.served.join().unwrap(), FrameError::Closed | FrameError::Io(_)));
}

#[test]
fn an_enclave_that_breaks_the_protocol_loses_its_stream() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let client = Client::connect(ours.try_clone().unwrap(), ours, Arc::new(Echo), None);
    // A frame that only a host sends.
    let call =
        pb::Frame { id: 1, body: Some(pb::frame::Body::RuntimeCall(pb::RuntimeCall::default())) };
    write_frame(&mut theirs, &call).unwrap();
    // The other end sees it, so nothing there waits for a callback's answer for ever.
    assert!(matches!(read_frame(&mut theirs), Err(FrameError::Closed)));
    assert_eq!(sync(&client, 1), Err(BoundaryError::Closed));
}

#[test]
fn a_host_that_breaks_the_protocol_loses_its_stream() {
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let reader = theirs.try_clone().unwrap();
    let side = Arc::new(Side { both: Barrier::new(2), ended: Mutex::new(None) });
    let served = std::thread::spawn(move || serve(reader, theirs, side));
    let log = pb::Frame { id: 0, body: Some(pb::frame::Body::Log("no host logs".into())) };
    write_frame(&mut ours, &log).unwrap();
    assert!(matches!(read_frame(&mut ours), Err(FrameError::Closed)));
    assert!(matches!(served.join().unwrap(), FrameError::Malformed(_)));
}

#[test]
fn an_answer_for_another_role_is_a_failure_and_an_empty_call_too() {
    let client = start(None);
    let refused = client.sync(Role::KeyManager, 1).unwrap_err();
    let BoundaryError::Failure(failure) = refused else { panic!("{refused}") };
    assert_eq!((failure.module.as_str(), failure.code), ("boundary", 3));
    assert_eq!(client.sync(Role::Runtime, 1).unwrap_err(), BoundaryError::WrongReply);
    still_serves(&client);
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let reader = theirs.try_clone().unwrap();
    let side = Arc::new(Side { both: Barrier::new(2), ended: Mutex::new(None) });
    std::thread::spawn(move || serve(reader, theirs, side));
    let empty =
        pb::Frame { id: 3, body: Some(pb::frame::Body::RuntimeCall(pb::RuntimeCall::default())) };
    write_frame(&mut ours, &empty).unwrap();
    let reply = read_frame(&mut ours).unwrap();
    let Some(pb::frame::Body::RuntimeReply(answered)) = reply.body else { panic!("no reply") };
    assert_eq!((reply.id, answered.failure.unwrap().code), (3, 7));
}

/// Counts what it is asked, and refuses height 9.
#[derive(Default)]
struct Counting {
    asked: Mutex<Vec<u64>>,
    logged: Mutex<Vec<String>>,
}

impl HostRequests for Counting {
    fn ask(&self, request: &pb::callback::Kind) -> Result<pb::CallbackReply, BoundaryError> {
        let pb::callback::Kind::LightBlockGet(ask) = request else { panic!("{request:?}") };
        self.asked.lock().unwrap().push(ask.height);
        if ask.height == 9 {
            return Err(Failure::new("host", 9, "no such block").into());
        }
        let value = Some(ask.height.to_be_bytes().to_vec());
        Ok(pb::CallbackReply { value, ..Default::default() })
    }

    fn log(&self, text: &str) {
        self.logged.lock().unwrap().push(text.to_string());
    }
}

#[test]
fn an_attempt_never_waits_for_the_host_and_asks_each_thing_once() {
    let host = Arc::new(Counting::default());
    let callbacks = Callbacks::new(host.clone());
    let state = Mutex::new(0);
    let mut attempts = 0;
    let sum = with_fetched(&callbacks, |fetched| {
        // A request that waited for the host would be made while this lock is held.
        let mut state = state.try_lock().unwrap();
        attempts += 1;
        fetched.log("begun");
        let mut sum = 0;
        for height in [1, 2, 1, 3] {
            sum += u64::from_be_bytes(fetched.light_block(height)?.try_into().unwrap());
        }
        *state += 1;
        Ok::<u64, BoundaryError>(sum)
    });
    assert_eq!((sum, attempts, *state.lock().unwrap()), (Ok(7), 4, 1));
    assert_eq!(*host.asked.lock().unwrap(), [1, 2, 3]);
    assert_eq!(*host.logged.lock().unwrap(), ["begun"]);
    // A refusal reaches the attempt as the host gave it.
    let refused = with_fetched(&callbacks, |fetched| fetched.light_block(9)).unwrap_err();
    assert_eq!(refused, BoundaryError::Failure(Failure::new("host", 9, "no such block")));
}
