//! Fetches and stores contents at other nodes. It contacts the origins of its list and nothing else,
//! follows no redirect, and bounds what an origin can make it read and how long it waits.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use futures::stream::{Stream, StreamExt as _};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2;
use hyper::header::{AUTHORIZATION, CONTENT_LENGTH};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use paralith_crypto::sha3::Sha3Hasher;
use paralith_types::Hash;

use crate::DataError;

/// Most bytes that an origin may send ahead of what is taken.
const WINDOW_BYTES: u32 = 256 * 1024;

const MAX_HEADER_BYTES: u32 = 8 * 1024;

/// Where contents are served: `http://host:port` or `https://host:port`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    text: String,
    host: String,
    port: u16,
    secure: bool,
}

impl Origin {
    /// Reads an origin. A path, a query or a user name is refused.
    pub fn parse(text: &str) -> Result<Self, DataError> {
        let wrong =
            || DataError::Request("an origin is http://host:port or https://host:port, no more");
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(wrong());
        };
        let secure = match scheme {
            "https" => true,
            "http" => false,
            _ => return Err(wrong()),
        };
        let port = authority.port_u16().unwrap_or(if secure { 443 } else { 80 });
        // DA-8: one form, so that an address is at an origin exactly if it begins with its text.
        if format!("{scheme}://{authority}") != text || authority.as_str().contains('@') {
            return Err(wrong());
        }
        Ok(Self { text: text.to_string(), host: authority.host().to_string(), port, secure })
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its host: a name, or an address; one of IPv6 is in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether it is spoken to over TLS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// The address of a content there.
    #[must_use]
    pub fn address(&self, content: &Hash) -> String {
        format!("{}/data/{}", self.text, hex::encode(content.as_bytes()))
    }
}

/// A connection to an origin.
pub trait Io: hyper::rt::Read + hyper::rt::Write + Send + Unpin {}

impl<T: hyper::rt::Read + hyper::rt::Write + Send + Unpin> Io for T {}

/// Connects to an origin, over TLS if it is secure; never to anything else.
pub type Dial =
    Arc<dyn Fn(Origin) -> BoxFuture<'static, std::io::Result<Box<dyn Io>>> + Send + Sync>;

/// Connects over TCP alone: secure origins are refused.
#[must_use]
pub fn tcp() -> Dial {
    Arc::new(|origin: Origin| {
        async move {
            if origin.is_secure() {
                return Err(std::io::Error::other("this client has no TLS"));
            }
            let target = format!("{}:{}", origin.host(), origin.port());
            let stream = tokio::net::TcpStream::connect(target).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(TokioIo::new(stream)) as Box<dyn Io>)
        }
        .boxed()
    })
}

/// How long a client waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientLimits {
    /// For a connection, and for each next part of an answer.
    pub idle: Duration,
    /// For the whole of a transfer.
    pub total: Duration,
}

impl Default for ClientLimits {
    fn default() -> Self {
        Self { idle: Duration::from_secs(5), total: Duration::from_secs(60) }
    }
}

/// A client of some origins.
#[derive(Clone)]
pub struct Client {
    origins: Arc<[Origin]>,
    dial: Dial,
    limits: ClientLimits,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("origins", &self.origins).finish_non_exhaustive()
    }
}

type RequestBody = UnsyncBoxBody<Bytes, std::convert::Infallible>;

/// Runs a connection's task until the transfer is over.
struct Connection {
    sender: http2::SendRequest<RequestBody>,
    task: paralith_rt::JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Debug, Clone, Copy)]
struct Tasks;

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Tasks {
    fn execute(&self, future: F) {
        paralith_rt::spawn(future);
    }
}

impl Client {
    /// For these origins.
    #[must_use]
    pub fn new(origins: Vec<Origin>, dial: Dial, limits: ClientLimits) -> Self {
        Self { origins: origins.into(), dial, limits }
    }

    /// The origins, in order.
    #[must_use]
    pub fn origins(&self) -> &[Origin] {
        &self.origins
    }

    /// The origin of an address, if it is the address of this content at one of the list.
    pub fn origin_of(&self, uri: &str, content: &Hash) -> Result<Origin, DataError> {
        // DA-8: compared byte by byte, so that no two readers of addresses can differ.
        let found = self.origins.iter().find(|origin| origin.address(content) == uri);
        found.cloned().ok_or_else(|| DataError::Origin { uri: uri.chars().take(200).collect() })
    }

    /// Fetches a content of at most `bytes_max` bytes and gives it to `sink` piece by piece. The
    /// pieces are that content only if this returns its length: the hash is known at the end.
    pub async fn get(
        &self,
        origin: &Origin,
        content: &Hash,
        authorization: &str,
        bytes_max: u64,
        sink: impl FnMut(&[u8]) -> Result<(), DataError> + Send,
    ) -> Result<u64, DataError> {
        let fetched = async {
            let body = Empty::new().boxed_unsync();
            let request = request(Method::GET, origin, content, authorization, body)?;
            let (response, connection) = self.send(origin, request).await?;
            expect(origin, &response, &[StatusCode::OK])?;
            let length = self.receive(origin, response, bytes_max, content, sink).await;
            drop(connection);
            length
        };
        self.within(fetched).await
    }

    /// The length that an origin names for a content.
    pub async fn head(
        &self,
        origin: &Origin,
        content: &Hash,
        authorization: &str,
    ) -> Result<u64, DataError> {
        let asked = async {
            let body = Empty::new().boxed_unsync();
            let request = request(Method::HEAD, origin, content, authorization, body)?;
            let (response, _connection) = self.send(origin, request).await?;
            expect(origin, &response, &[StatusCode::OK])?;
            announced(&response).ok_or_else(|| unreachable(origin, "it names no length"))
        };
        self.within(asked).await
    }

    /// Stores a content of this length.
    pub async fn put(
        &self,
        origin: &Origin,
        content: &Hash,
        authorization: &str,
        length: u64,
        body: impl Stream<Item = Bytes> + Send + 'static,
    ) -> Result<(), DataError> {
        let stored = async {
            let body = StreamBody::new(body.map(|piece| Ok(Frame::data(piece)))).boxed_unsync();
            let mut request = request(Method::PUT, origin, content, authorization, body)?;
            request.headers_mut().insert(CONTENT_LENGTH, length.into());
            let (response, _connection) = self.send(origin, request).await?;
            expect(origin, &response, &[StatusCode::OK, StatusCode::CREATED])
        };
        self.within(stored).await
    }

    async fn within<T>(
        &self,
        transfer: impl Future<Output = Result<T, DataError>>,
    ) -> Result<T, DataError> {
        paralith_rt::timeout(self.limits.total, transfer).await.unwrap_or(Err(DataError::TooSlow))
    }

    async fn send(
        &self,
        origin: &Origin,
        request: Request<RequestBody>,
    ) -> Result<(Response<Incoming>, Connection), DataError> {
        if !self.origins.contains(origin) {
            return Err(DataError::Origin { uri: origin.text.clone() });
        }
        let failed = |error: &dyn std::fmt::Display| unreachable(origin, error);
        let dialled = paralith_rt::timeout(self.limits.idle, (self.dial)(origin.clone())).await;
        let io = dialled.map_err(|e| failed(&e))?.map_err(|e| failed(&e))?;
        let mut builder = http2::Builder::new(Tasks);
        builder
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES)
            .max_header_list_size(MAX_HEADER_BYTES);
        let shaken = paralith_rt::timeout(self.limits.idle, builder.handshake(io)).await;
        let (sender, connection) = shaken.map_err(|e| failed(&e))?.map_err(|e| failed(&e))?;
        let task = paralith_rt::spawn(async move {
            let _ = connection.await;
        });
        let mut connection = Connection { sender, task };
        let response = connection.sender.send_request(request).await.map_err(|e| failed(&e))?;
        Ok((response, connection))
    }

    async fn receive(
        &self,
        origin: &Origin,
        response: Response<Incoming>,
        bytes_max: u64,
        content: &Hash,
        mut sink: impl FnMut(&[u8]) -> Result<(), DataError>,
    ) -> Result<u64, DataError> {
        if announced(&response).is_some_and(|length| length > bytes_max) {
            return Err(DataError::TooLarge { limit: bytes_max });
        }
        let (mut body, mut hasher, mut length) = (response.into_body(), Sha3Hasher::new(), 0_u64);
        loop {
            let next = paralith_rt::timeout(self.limits.idle, body.frame()).await;
            let Some(frame) = next.map_err(|_| DataError::TooSlow)? else { break };
            let Ok(piece) = frame.map_err(|e| unreachable(origin, &e))?.into_data() else {
                continue;
            };
            length = length.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
            // DA-9: an endless body ends here.
            if length > bytes_max {
                return Err(DataError::TooLarge { limit: bytes_max });
            }
            hasher.update(&piece);
            sink(&piece)?;
        }
        if hasher.finish() == content.0 { Ok(length) } else { Err(DataError::Hash) }
    }
}

fn unreachable(origin: &Origin, reason: impl std::fmt::Display) -> DataError {
    DataError::Unreachable { origin: origin.text.clone(), reason: reason.to_string() }
}

fn request(
    method: Method,
    origin: &Origin,
    content: &Hash,
    authorization: &str,
    body: RequestBody,
) -> Result<Request<RequestBody>, DataError> {
    Request::builder()
        .method(method)
        .uri(origin.address(content))
        .header(AUTHORIZATION, authorization)
        .body(body)
        .map_err(|_| DataError::Request("its ticket is not the text of a header"))
}

fn announced(response: &Response<Incoming>) -> Option<u64> {
    response.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// DA-8: whatever is not one of these is an error; a redirect leads nowhere.
fn expect(
    origin: &Origin,
    response: &Response<Incoming>,
    wanted: &[StatusCode],
) -> Result<(), DataError> {
    let status = response.status();
    if wanted.contains(&status) {
        return Ok(());
    }
    Err(DataError::Answer { origin: origin.text.clone(), status: status.as_u16() })
}
