//! A link's stream, which may record what passes above TLS: for tests that search it for secrets.

use std::fs::File;
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use paralith_types::PublicKey;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::transport::server::Connected;

use super::open::OpenLink;

/// A caller of this process, which names itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peer(pub PublicKey);

/// The other end of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connection {
    /// The key that its handshake proved.
    pub peer: PublicKey,
    /// Where it comes from.
    pub ip: IpAddr,
}

/// A stream that may be recorded.
#[derive(Debug)]
pub struct Recording<S> {
    inner: S,
    file: Option<File>,
    connection: Option<Connection>,
    /// Given back when the stream ends.
    places: Vec<OwnedSemaphorePermit>,
    /// Ends the stream, and is given back with it.
    open: Option<(Pin<Box<WaitForCancellationFutureOwned>>, OpenLink)>,
}

impl<S> Recording<S> {
    /// Records into a new file of the folder, if there is one.
    pub fn new(inner: S, folder: Option<&Path>) -> io::Result<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let file = match folder {
            None => None,
            Some(folder) => {
                std::fs::create_dir_all(folder)?;
                let number = NUMBER.fetch_add(1, Ordering::Relaxed);
                Some(File::create(folder.join(format!("link-{}-{number}", std::process::id())))?)
            }
        };
        Ok(Self { inner, file, connection: None, places: Vec::new(), open: None })
    }

    /// Not recorded.
    pub(super) fn unrecorded(inner: S) -> Self {
        Self { inner, file: None, connection: None, places: Vec::new(), open: None }
    }

    /// Names the other end.
    #[must_use]
    pub(super) fn with_connection(mut self, connection: Connection) -> Self {
        self.connection = Some(connection);
        self
    }

    /// Holds places among the connections.
    #[must_use]
    pub(super) fn with_places(mut self, places: Vec<OwnedSemaphorePermit>) -> Self {
        self.places = places;
        self
    }

    /// Fails as soon as the link has to be closed.
    #[must_use]
    pub(super) fn until_closed(mut self, link: OpenLink) -> Self {
        self.open = Some((Box::pin(link.closing().cancelled_owned()), link));
        self
    }

    /// An error if the link has to be closed; else the task is woken when it has to.
    fn check_open(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let Some((closing, _)) = &mut self.open else { return Ok(()) };
        match closing.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::ConnectionAborted.into()),
            Poll::Pending => Ok(()),
        }
    }

    fn record(&mut self, bytes: &[u8]) {
        if let Some(file) = &mut self.file {
            // A recorder that fails must not change what the node does.
            let _ = file.write_all(bytes);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Recording<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check_open(cx)?;
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        if let Poll::Ready(Ok(())) = &polled {
            let read = buf.filled().get(before..).unwrap_or_default().to_vec();
            self.record(&read);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Recording<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check_open(cx)?;
        let polled = Pin::new(&mut self.inner).poll_write(cx, buf);
        if let Poll::Ready(Ok(written)) = &polled {
            self.record(buf.get(..*written).unwrap_or_default());
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl<S> Connected for Recording<S> {
    type ConnectInfo = Option<Connection>;

    fn connect_info(&self) -> Option<Connection> {
        self.connection
    }
}
