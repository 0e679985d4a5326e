//! Both ends of the boundary over a real socket pair.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Barrier, Mutex};

use paralith_tee_channel::{
    BoundaryError, Callbacks, Client, Failure, Handler, HostServices, Recorder, pb, serve,
};
use pb::host_call::Kind as Call;
use pb::host_reply::Kind as Reply;

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

    fn state_value(&self, round: u64, _key: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        Ok(Some(round.to_be_bytes().to_vec()))
    }

    fn log(&self, _text: &str) {}
}

/// `Sync` asks the host for a value and gives it back; `Stop` refuses.
struct Side {
    both: Barrier,
}

impl Handler for Side {
    fn handle(&self, call: Call, callbacks: &Callbacks) -> Result<Reply, Failure> {
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
            Call::Init(_) => {
                // Returns only once another call is running as well.
                self.both.wait();
                Ok(Reply::Empty(pb::Empty {}))
            }
            _ => Err(Failure::new("side", 7, "not today")),
        }
    }
}

fn start(recorder: Option<Recorder>) -> Client {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let reader = theirs.try_clone().unwrap();
    let side = Arc::new(Side { both: Barrier::new(2) });
    std::thread::spawn(move || serve(reader, theirs, side));
    Client::connect(ours.try_clone().unwrap(), ours, Arc::new(Echo), recorder)
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
        move || client.call(Call::Init(pb::Init {}))
    });
    client.call(Call::Init(pb::Init {})).unwrap();
    first.join().unwrap().unwrap();
}

#[test]
fn refusals_keep_module_and_code_both_ways() {
    let client = start(None);
    let refused = client.call(Call::Stop(pb::Stop {})).unwrap_err();
    assert_eq!(refused, BoundaryError::Failure(Failure::new("side", 7, "not today")));
    // The host's refusal of a callback passes through the trusted side.
    let refused = sync(&client, 0).unwrap_err();
    assert_eq!(refused, BoundaryError::Failure(Failure::new("host", 9, "no such height")));
}

#[test]
fn a_stream_that_ends_fails_what_runs_and_what_comes() {
    let client = start(None);
    let running = client.clone();
    let call = std::thread::spawn(move || running.call(Call::Init(pb::Init {})));
    // The call waits for another one that never comes; only the end of the stream ends it.
    client.close();
    assert_eq!(call.join().unwrap(), Err(BoundaryError::Closed));
    assert_eq!(sync(&client, 1), Err(BoundaryError::Closed));
    assert!(client.is_closed());
}

#[test]
fn a_trusted_side_that_writes_garbage_is_given_up() {
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
