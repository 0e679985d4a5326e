//! Enclaves as the node starts and ends them: in process for development, a process of its
//! own everywhere else. Either way there is one byte stream between the two and nothing more.

use std::fmt;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use paralith_tee_channel::{Client, Handler, HostServices, Recorder, serve};

use crate::error::NodeError;

/// What an enclave is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Executes rounds.
    Runtime,
    /// Holds master secrets.
    KeyManager,
    /// Endorses calls of chaincode.
    Endorser,
}

impl Kind {
    fn subcommand(self) -> &'static str {
        match self {
            Self::Runtime => "runtime-enclave",
            Self::KeyManager => "keymanager-enclave",
            Self::Endorser => "endorser-enclave",
        }
    }

    fn handler(self) -> Arc<dyn Handler> {
        match self {
            Self::Runtime => Arc::new(paralith_runtime_enclave::RuntimeEnclave::new()),
            Self::KeyManager => Arc::new(paralith_keymanager_service::Service::new()),
            Self::Endorser => Arc::new(paralith_chaincode_endorser::EndorserEnclave::new()),
        }
    }
}

/// Stack of the thread that reads an enclave's calls. Each call runs on a thread of its own.
const ENCLAVE_STACK_BYTES: usize = 2 * 1024 * 1024;

/// Where enclaves run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placement {
    /// On threads of this process. Keeps nothing apart: development only.
    InProcess,
    /// Each in a process of its own, started from this program.
    Process {
        /// The program, usually this one.
        program: PathBuf,
    },
}

/// A running enclave. Dropping it ends its process.
pub struct RunningEnclave {
    client: Client,
    child: Mutex<Option<Child>>,
}

impl fmt::Debug for RunningEnclave {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RunningEnclave")
    }
}

impl RunningEnclave {
    /// Starts one.
    pub fn start(
        kind: Kind,
        placement: &Placement,
        services: Arc<dyn HostServices>,
        recorder: Option<Recorder>,
    ) -> Result<Self, NodeError> {
        let (ours, theirs) =
            UnixStream::pair().map_err(|e| NodeError::io("the boundary's stream", &e))?;
        let child = match placement {
            Placement::InProcess => {
                let reader = clone(&theirs)?;
                let handler = kind.handler();
                paralith_rt::thread("enclave", ENCLAVE_STACK_BYTES, move || {
                    let _ = serve(reader, theirs, handler);
                })
                .map_err(|e| NodeError::io("the enclave's thread", &e))?;
                None
            }
            Placement::Process { program } => {
                // The stream is the process's standard input; it gets no environment, no folder of
                // the node's, and no other descriptor than that stream and /dev/null.
                let child = Command::new(program)
                    .arg(kind.subcommand())
                    .env_clear()
                    .current_dir("/")
                    .stdin(Stdio::from(OwnedFd::from(theirs)))
                    .stdout(Stdio::null())
                    .stderr(Stdio::null())
                    .spawn()
                    .map_err(|e| NodeError::io("starting the enclave", &e))?;
                Some(child)
            }
        };
        let client = Client::connect(clone(&ours)?, ours, services, recorder);
        Ok(Self { client, child: Mutex::new(child) })
    }

    /// The host's end of the stream.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The process id, of one that is a process.
    pub fn pid(&self) -> Option<u32> {
        self.child().as_ref().map(Child::id)
    }

    fn child(&self) -> std::sync::MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for RunningEnclave {
    fn drop(&mut self) {
        self.client.close();
        if let Some(mut child) = self.child().take() {
            // It ends by itself when its stream does; this only keeps a hung one from staying.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The enclave's `main`: serves the host at the other end of standard input until it is gone.
pub fn serve_standard_input(kind: Kind) -> Result<(), NodeError> {
    use std::os::fd::AsFd;
    let stream = std::io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .map(UnixStream::from)
        .map_err(|e| NodeError::io("standard input", &e))?;
    if stream.peer_addr().is_err() {
        return Err(NodeError::usage(
            kind.subcommand(),
            "it is started by a node, which speaks to it on its standard input",
        ));
    }
    let handler = kind.handler();
    let _ = serve(clone(&stream)?, stream, handler);
    Ok(())
}

fn clone(stream: &UnixStream) -> Result<UnixStream, NodeError> {
    stream.try_clone().map_err(|e| NodeError::io("the boundary's stream", &e))
}
