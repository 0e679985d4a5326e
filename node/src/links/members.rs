//! Services for the members of a directory, behind the same links: each with its own bounds.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http_body_util::BodyExt as _;
use tokio::sync::Semaphore;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::{Body as HttpBody, Bytes, Service, StdError, http};
use tower::util::BoxCloneSyncService;

use super::directory::Directory;
use super::gate::{Counted, LinkRefusal};
use super::stream::Connection;

/// A gRPC service as links serve it. Its requests carry the caller's [`super::Role`] in their
/// extensions.
pub type MemberService = BoxCloneSyncService<http::Request<Body>, http::Response<Body>, Infallible>;

/// Bounds of one service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberLimits {
    /// Calls at once.
    pub calls: usize,
    /// Those among them of one key.
    pub calls_of_one: usize,
    /// Links of keys that this service alone lets in.
    pub links: usize,
    /// Those among them of one key.
    pub links_of_one: usize,
}

impl Default for MemberLimits {
    fn default() -> Self {
        Self { calls: 256, calls_of_one: 16, links: 512, links_of_one: 4 }
    }
}

/// A service behind links, for the keys of a directory. It bounds the length of its messages itself.
#[derive(Clone)]
pub struct LinkService {
    /// Its name in gRPC: `package.Service`.
    pub name: &'static str,
    /// The service.
    pub service: MemberService,
    /// Whom it serves.
    pub directory: Arc<dyn Directory>,
    /// Its bounds.
    pub limits: MemberLimits,
}

impl fmt::Debug for LinkService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LinkService({}, {:?}, {:?})", self.name, self.directory, self.limits)
    }
}

/// The service behind its gate: nothing of a request's body is read before its directory has let
/// the caller in and there is a place.
#[derive(Debug, Clone)]
pub(super) struct MemberGate {
    inner: LinkService,
    all: Arc<Semaphore>,
    keys: Arc<Counted<paralith_types::PublicKey>>,
}

impl MemberGate {
    pub(super) fn new(inner: LinkService) -> Self {
        let MemberLimits { calls, calls_of_one, .. } = inner.limits;
        // Each kind of call has the same places: the service itself knows which are large.
        let keys = Arc::new(Counted::new([calls_of_one; 2]));
        Self { all: Arc::new(Semaphore::new(calls)), keys, inner }
    }

    /// The path of its methods, as the router takes it.
    pub(super) fn route(&self) -> String {
        format!("/{}/{{*method}}", self.inner.name)
    }

    async fn answer(
        self,
        mut request: http::Request<Body>,
    ) -> Result<http::Response<Body>, Status> {
        let from = request.extensions().get::<Option<Connection>>().copied().flatten();
        let from = from.ok_or(LinkRefusal::NoKey)?;
        // WI-15: asked for each call, so that a key that was dropped is not served once more.
        let role = self.inner.directory.allows(from.peer, self.inner.name).await?;
        let role = role.ok_or(LinkRefusal::NotListed(from.peer))?;
        let mut permits = Vec::with_capacity(2);
        for lane in [self.keys.calls(from.peer)?, Arc::clone(&self.all)] {
            let permit = lane.acquire_owned().await;
            permits.push(permit.map_err(|_| Status::from(LinkRefusal::TooManyCallers))?);
        }
        request.extensions_mut().insert(role);
        let mut service = self.inner.service;
        let Ok(response) = service.call(request).await;
        // The places are taken until the caller has read the answer.
        Ok(response.map(|body| {
            Body::new(body.map_frame(move |frame| {
                let _taken = &permits;
                frame
            }))
        }))
    }
}

impl<B> Service<http::Request<B>> for MemberGate
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<StdError>,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let gate = self.clone();
        let request = request.map(Body::new);
        Box::pin(async move { Ok(gate.answer(request).await.unwrap_or_else(|e| e.into_http())) })
    }
}
