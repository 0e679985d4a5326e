//! A data store that lies, in as much HTTP/2 as a client needs to be lied to.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

const PREFACE: usize = 24;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
/// `:status: 200` of HPACK's static table.
const OK: &[u8] = &[0x88];
const PIECE: usize = 16 * 1024;

/// What it answers.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// Bytes that have another hash.
    Other,
    /// Bytes without end.
    Endless,
    /// One byte now and then.
    Drip,
    /// Another place.
    Redirect(String),
    /// Nothing.
    Silence,
}

/// One that listens; it ends with the process.
pub(crate) struct Hostile {
    /// `http://host:port`.
    pub(crate) origin: String,
    requests: Arc<AtomicUsize>,
    most: Arc<AtomicU64>,
}

impl Hostile {
    pub(crate) fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let (requests, most) = (Arc::<AtomicUsize>::default(), Arc::<AtomicU64>::default());
        let (count, longest) = (Arc::clone(&requests), Arc::clone(&most));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (answer, count) = (answer.clone(), Arc::clone(&count));
                let longest = Arc::clone(&longest);
                thread::spawn(move || {
                    let mut connection =
                        Connection { stream, window: 65_535, of_stream: 65_535, sent: 0 };
                    let _ = connection.serve(&answer, &count);
                    longest.fetch_max(connection.sent, Ordering::SeqCst);
                });
            }
        });
        Self { origin, requests, most }
    }

    /// How many requests came.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    /// Most bytes of a body that one client has taken.
    pub(crate) fn most_taken(&self) -> u64 {
        self.most.load(Ordering::SeqCst)
    }
}

/// Counts connections, and answers nothing.
pub(crate) struct Bait {
    pub(crate) address: String,
    connections: Arc<AtomicUsize>,
}

impl Bait {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let connections = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&connections);
        thread::spawn(move || {
            for _stream in listener.incoming() {
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { address, connections }
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

struct Connection {
    stream: TcpStream,
    /// What the client still takes: in all, and of the one answer.
    window: i64,
    of_stream: i64,
    sent: u64,
}

fn redirect(location: &str) -> Vec<u8> {
    // `:status` and `location`, literal, by their names' places in the static table.
    let mut block = vec![0x08, 3];
    block.extend(b"302");
    block.extend([0x0f, 31, u8::try_from(location.len()).unwrap()]);
    block.extend(location.as_bytes());
    block
}

impl Connection {
    fn serve(&mut self, answer: &Answer, requests: &AtomicUsize) -> std::io::Result<()> {
        self.stream.read_exact(&mut [0; PREFACE])?;
        self.frame(SETTINGS, 0, 0, &[])?;
        let stream = loop {
            if let Some(stream) = self.read()? {
                break stream;
            }
        };
        requests.fetch_add(1, Ordering::SeqCst);
        match answer {
            Answer::Silence => {}
            Answer::Redirect(to) => {
                let block = redirect(to);
                self.frame(HEADERS, END_HEADERS | END_STREAM, stream, &block)?;
            }
            Answer::Other => {
                self.frame(HEADERS, END_HEADERS, stream, OK)?;
                self.frame(DATA, END_STREAM, stream, &[7; 40])?;
            }
            Answer::Endless => {
                self.frame(HEADERS, END_HEADERS, stream, OK)?;
                loop {
                    self.piece(stream, PIECE)?;
                }
            }
            Answer::Drip => {
                self.frame(HEADERS, END_HEADERS, stream, OK)?;
                loop {
                    self.piece(stream, 1)?;
                    self.wait(Duration::from_millis(200))?;
                }
            }
        }
        // Until the client goes.
        loop {
            self.read()?;
        }
    }

    /// A part of a body, as soon as the client takes it.
    fn piece(&mut self, stream: u32, length: usize) -> std::io::Result<()> {
        let length = i64::try_from(length).unwrap();
        while self.window < length || self.of_stream < length {
            self.read()?;
        }
        (self.window, self.of_stream) = (self.window - length, self.of_stream - length);
        self.frame(DATA, 0, stream, &vec![7; usize::try_from(length).unwrap()])?;
        self.sent += length.unsigned_abs();
        Ok(())
    }

    fn wait(&mut self, time: Duration) -> std::io::Result<()> {
        self.stream.set_read_timeout(Some(time))?;
        let mut byte = [0];
        let peeked = self.stream.peek(&mut byte);
        self.stream.set_read_timeout(None)?;
        match peeked {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(_) => self.read().map(|_| ()),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> std::io::Result<()> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = length[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        self.stream.write_all(&frame)
    }

    /// Reads a frame; gives the stream of a request.
    fn read(&mut self) -> std::io::Result<Option<u32>> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let (kind, flags) = (head[3], head[4]);
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.stream.read_exact(&mut payload)?;
        match kind {
            HEADERS => return Ok(Some(stream)),
            SETTINGS if flags & ACK == 0 => {
                for setting in payload.chunks_exact(6) {
                    // SETTINGS_INITIAL_WINDOW_SIZE.
                    if setting[..2] == [0, 4] {
                        let size = u32::from_be_bytes(setting[2..].try_into().unwrap());
                        self.of_stream += i64::from(size) - 65_535;
                    }
                }
                self.frame(SETTINGS, ACK, 0, &[])?;
            }
            WINDOW_UPDATE => {
                let more = i64::from(u32::from_be_bytes(payload[..4].try_into().unwrap()));
                if stream == 0 { self.window += more } else { self.of_stream += more }
            }
            _ => {}
        }
        Ok(None)
    }
}
