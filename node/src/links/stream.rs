//! A link's stream, which may record what passes above TLS: for tests that search it for secrets.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use paralith_types::PublicKey;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::transport::server::Connected;

/// Who is at the other end of a link, by the key that its handshake proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub PublicKey);

/// A stream that may be recorded.
#[derive(Debug)]
pub struct Recording<S> {
    inner: S,
    file: Option<File>,
    peer: Option<Peer>,
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
        Ok(Self { inner, file, peer: None })
    }

    /// Names the other end.
    #[must_use]
    pub fn with_peer(mut self, peer: PublicKey) -> Self {
        self.peer = Some(Peer(peer));
        self
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
    type ConnectInfo = Option<Peer>;

    fn connect_info(&self) -> Option<Peer> {
        self.peer
    }
}
