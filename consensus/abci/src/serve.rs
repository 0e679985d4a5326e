//! The Unix socket that CometBFT connects to.

use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

use crate::relay::relay;
use crate::{Application, ServeError, Services};

/// Whose connections are admitted.
#[derive(Debug, Clone, Default)]
pub struct PeerCheck {
    /// 0 admits every process of this user.
    pid: Arc<AtomicI32>,
}

impl PeerCheck {
    /// Every process that may open the socket.
    pub fn anyone() -> Self {
        Self::default()
    }

    /// Nobody, until [`Self::admit`] names a process.
    pub fn nobody() -> Self {
        Self { pid: Arc::new(AtomicI32::new(-1)) }
    }

    /// From now on this process alone; connections that are open stay.
    pub fn admit(&self, pid: i32) {
        self.pid.store(pid, Ordering::SeqCst);
    }

    fn admits(&self, stream: &UnixStream) -> bool {
        let wanted = self.pid.load(Ordering::SeqCst);
        wanted == 0 || stream.peer_cred().is_ok_and(|peer| peer.pid() == Some(wanted))
    }
}

/// A socket that is served. Dropping it ends all connections.
#[derive(Debug)]
pub struct Server {
    path: PathBuf,
    _tasks: JoinSet<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        // The next server on this path removes it, too.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Serves an application on the socket `path`, whose folder is made private to this user. The
/// socket listens when this returns. A socket that an earlier run left there is replaced.
pub async fn serve(
    path: &Path,
    application: &Application,
    peers: PeerCheck,
) -> Result<Server, ServeError> {
    let failed = |e: &dyn std::fmt::Display| ServeError::Listen {
        path: path.display().to_string(),
        reason: e.to_string(),
    };
    let inner_path = path.with_extension("inner");
    if inner_path.as_os_str().len() > MAX_PATH_BYTES {
        let path = path.display().to_string();
        return Err(ServeError::PathTooLong { path, limit: MAX_PATH_BYTES });
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|e| failed(&e))?;
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))
            .map_err(|e| failed(&e))?;
    }
    remove_stale(path).map_err(|e| failed(&e))?;
    remove_stale(&inner_path).map_err(|e| failed(&e))?;

    let mut tasks = JoinSet::new();
    let inner = listen_inner(&inner_path, application, &mut tasks).await;
    let inner = Arc::new(inner.map_err(|e| failed(&e))?);
    let listener = UnixListener::bind(path).map_err(|e| failed(&e))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
        .map_err(|e| failed(&e))?;
    tasks.spawn(accept(listener, inner, peers));
    Ok(Server { path: path.to_path_buf(), _tasks: tasks })
}

/// tower-abci's own server, behind the relay. It can only listen on a path, and a process that finds
/// that path could go around the relay; so the name is removed as soon as it listens, and the relay
/// connects through the open file.
async fn listen_inner(
    path: &Path,
    application: &Application,
    tasks: &mut JoinSet<()>,
) -> Result<OwnedFd, String> {
    let Services { consensus, mempool, info, snapshot } = Services::new(application);
    let server = tower_abci::v038::Server::builder()
        .consensus(consensus)
        .mempool(mempool)
        .info(info)
        .snapshot(snapshot)
        .finish()
        .ok_or("a service is missing")?;
    let listen_on = path.to_path_buf();
    tasks.spawn(async move {
        if let Err(error) = server.listen_unix(listen_on).await {
            tracing::error!(%error, "the ABCI server cannot listen");
        }
    });
    for _ in 0..INNER_TRIES {
        if UnixStream::connect(path).await.is_ok() {
            let file = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
                .map_err(|e| e.to_string())?;
            std::fs::remove_file(path).map_err(|e| e.to_string())?;
            return Ok(file);
        }
        paralith_rt::sleep(INNER_PAUSE).await;
    }
    Err("the ABCI server does not listen".to_string())
}

async fn accept(listener: UnixListener, inner: Arc<OwnedFd>, peers: PeerCheck) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if connections.len() >= MAX_CONNECTIONS => {
                    tracing::warn!("too many ABCI connections: one more was refused");
                    drop(stream);
                }
                Ok((stream, _)) if peers.admits(&stream) => {
                    let inner = Arc::clone(&inner);
                    connections.spawn(connect(stream, inner));
                }
                Ok((stream, _)) => {
                    let pid = stream.peer_cred().ok().and_then(|peer| peer.pid());
                    tracing::warn!(?pid, "a process that is not CometBFT was refused");
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept an ABCI connection");
                    // Out of file descriptors, usually; the next try would fail at once, too.
                    paralith_rt::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

async fn connect(client: UnixStream, inner: Arc<OwnedFd>) {
    let path = format!("/proc/self/fd/{}", inner.as_raw_fd());
    match UnixStream::connect(path).await {
        Ok(server) => match relay(client, server).await {
            Ok(()) => tracing::debug!("an ABCI connection was closed"),
            Err(reason) => tracing::warn!(%reason, "an ABCI connection was dropped"),
        },
        Err(error) => tracing::error!(%error, "cannot reach the ABCI server"),
    }
}

fn remove_stale(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// What a socket's address holds, less its end mark.
const MAX_PATH_BYTES: usize = 107;

/// CometBFT opens four; another four may overlap while it restarts.
const MAX_CONNECTIONS: usize = 64;

const INNER_TRIES: u32 = 500;
const INNER_PAUSE: Duration = Duration::from_millis(2);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
