//! Stands between the two ends of TCP connections and keeps what crosses.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// Bytes of one direction of a connection that are kept.
const KEPT_BYTES: usize = 8 * 1024 * 1024;

/// One direction of a connection.
type Stream = Arc<Mutex<Vec<u8>>>;

/// Listens in front of an address. It ends with the process.
pub(crate) struct Recorder {
    /// Where it listens.
    pub(crate) address: String,
    streams: Arc<Mutex<Vec<Stream>>>,
}

impl Recorder {
    pub(crate) fn before(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let streams: Arc<Mutex<Vec<Stream>>> = Arc::default();
        let (kept, target) = (Arc::clone(&streams), target.to_string());
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                // Nobody listens there now: the connection ends.
                let Ok(far) = TcpStream::connect(&target) else { continue };
                let (back, forth) = (near.try_clone().unwrap(), far.try_clone().unwrap());
                for (from, to) in [(near, far), (forth, back)] {
                    let stream = Stream::default();
                    kept.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&stream));
                    thread::spawn(move || forward(from, to, &stream));
                }
            }
        });
        Self { address, streams }
    }

    /// What has crossed until now, a stream for each direction of each connection.
    pub(crate) fn streams(&self) -> Vec<Vec<u8>> {
        let streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        streams
            .iter()
            .map(|one| one.lock().unwrap_or_else(PoisonError::into_inner).clone())
            .collect()
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream, stream: &Stream) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        {
            let mut kept = stream.lock().unwrap_or_else(PoisonError::into_inner);
            let room = KEPT_BYTES.saturating_sub(kept.len()).min(read);
            kept.extend_from_slice(&buffer[..room]);
        }
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
