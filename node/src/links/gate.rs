//! What stands before the service of a link: each request is refused, or waits for its place, by
//! the rule of its method and by what the registry says of the caller's key. Nothing of a request's
//! body is read before.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http_body_util::BodyExt as _;
use paralith_proto::pb::worker::v1::worker_service_server::WorkerServiceServer;
use paralith_proto::status::status_of;
use paralith_types::{Error, PublicKey, Retry, RuntimeId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::server::NamedService;
use tonic::{Code, Status};

use super::peers::{Caller, Peers};
use super::rules::{LARGE, MEDIUM, Rule, SMALL, rule};
use super::server::LinkServer;
use super::stream::Connection;

/// Calls at once, in the order: calls that carry little, calls that carry megabytes.
type Places = [usize; 2];

/// Calls of one registered node.
const NODE_CALLS: Places = [128, 4];

/// Calls of all keys together that are not registered.
const STRANGER_CALLS: Places = [256, 8];

/// Calls of such keys from one address.
const ADDRESS_CALLS: Places = [128, 4];

/// Callers whose places are counted apart. Those without a call under way are forgotten first.
const MAX_COUNTED: usize = 4096;

/// Why a link refuses a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkRefusal {
    /// The caller is not registered with the role that the method is for.
    #[error(
        "the key {0} is not registered with the role that this method is for: register the node, \
         or wait until this node has seen the registration"
    )]
    NotRegistered(PublicKey),
    /// The caller does not run the ParaTime.
    #[error("node {node} is not registered for {runtime}: only its members may call this")]
    NotAMember {
        /// The caller.
        node: PublicKey,
        /// What the call is about.
        runtime: RuntimeId,
    },
    /// More callers than are counted.
    #[error("too many callers at once: try again")]
    TooManyCallers,
    /// The connection has no proven key.
    #[error("the connection has no proven node key")]
    NoKey,
    /// The directory of the service does not list the caller.
    #[error(
        "the key {0} is none of those that this service is for: join what it belongs to, or wait \
         until this node has seen that you did"
    )]
    NotListed(PublicKey),
}

impl LinkRefusal {
    /// Stable code within module "link".
    pub fn code(&self) -> u32 {
        match self {
            Self::NotRegistered(_) => 1,
            Self::NotAMember { .. } => 2,
            Self::TooManyCallers => 3,
            Self::NoKey => 4,
            Self::NotListed(_) => 5,
        }
    }
}

impl From<LinkRefusal> for Status {
    fn from(refusal: LinkRefusal) -> Self {
        let (grpc, retry) = match refusal {
            // The registration may be in a block that this node has not seen.
            LinkRefusal::NotRegistered(_)
            | LinkRefusal::NotAMember { .. }
            | LinkRefusal::NotListed(_) => (Code::PermissionDenied, Retry::Later),
            LinkRefusal::TooManyCallers => (Code::ResourceExhausted, Retry::Later),
            LinkRefusal::NoKey => (Code::Unauthenticated, Retry::Never),
        };
        status_of(grpc, &Error::new("link", refusal.code(), refusal).with_retry(retry))
    }
}

/// Places for calls: each kind has its own, so that bulk never holds up votes.
#[derive(Debug)]
struct Lanes([Arc<Semaphore>; 2]);

impl Lanes {
    fn new(places: Places) -> Self {
        Self(places.map(|count| Arc::new(Semaphore::new(count))))
    }

    fn of(&self, is_bulk: bool) -> Arc<Semaphore> {
        let [calls, bulk] = &self.0;
        Arc::clone(if is_bulk { bulk } else { calls })
    }

    /// Whether no call is under way or waits.
    fn is_idle(&self, places: Places) -> bool {
        let free = self.0.iter().map(|lane| lane.available_permits());
        self.0.iter().all(|lane| Arc::strong_count(lane) == 1) && free.eq(places)
    }
}

/// The places of one kind of caller, by key or address.
#[derive(Debug)]
pub(super) struct Counted<K> {
    places: Places,
    lanes: Mutex<BTreeMap<K, Lanes>>,
}

impl<K: Ord> Counted<K> {
    pub(super) fn new(places: Places) -> Self {
        Self { places, lanes: Mutex::default() }
    }

    /// The places of this caller for calls of a service that has one kind of call.
    pub(super) fn calls(&self, key: K) -> Result<Arc<Semaphore>, LinkRefusal> {
        self.find(key, false)
    }

    fn lane(&self, key: K, rule: &Rule) -> Result<Arc<Semaphore>, LinkRefusal> {
        self.find(key, rule.bulk)
    }

    fn find(&self, key: K, bulk: bool) -> Result<Arc<Semaphore>, LinkRefusal> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if lanes.len() >= MAX_COUNTED && !lanes.contains_key(&key) {
            lanes.retain(|_, lanes| !lanes.is_idle(self.places));
            if lanes.len() >= MAX_COUNTED {
                return Err(LinkRefusal::TooManyCallers);
            }
        }
        Ok(lanes.entry(key).or_insert_with(|| Lanes::new(self.places)).of(bulk))
    }
}

/// The places of all callers.
#[derive(Debug)]
struct Queue {
    nodes: Counted<PublicKey>,
    addresses: Counted<IpAddr>,
    strangers: Lanes,
}

impl Queue {
    /// Waits for a call's places. A call that waits holds no more than what its connection's flow
    /// control lets in.
    async fn enter(
        &self,
        from: Connection,
        registered: bool,
        rule: &Rule,
    ) -> Result<Vec<OwnedSemaphorePermit>, Status> {
        // WI-5: strangers compete with strangers only.
        let lanes = if registered {
            vec![self.nodes.lane(from.peer, rule)?]
        } else {
            vec![self.addresses.lane(from.ip, rule)?, self.strangers.of(rule.bulk)]
        };
        let mut permits = Vec::with_capacity(lanes.len());
        for lane in lanes {
            let permit = lane.acquire_owned().await;
            permits.push(permit.map_err(|_| Status::from(LinkRefusal::TooManyCallers))?);
        }
        Ok(permits)
    }
}

/// The service behind its gate.
#[derive(Debug, Clone)]
pub(super) struct Gate {
    small: WorkerServiceServer<LinkServer>,
    medium: WorkerServiceServer<LinkServer>,
    large: WorkerServiceServer<LinkServer>,
    peers: Arc<Peers>,
    queue: Arc<Queue>,
}

impl Gate {
    pub(super) fn new(server: LinkServer) -> Self {
        let peers = Arc::clone(&server.peers);
        let server = Arc::new(server);
        let sized = |bytes| {
            WorkerServiceServer::from_arc(Arc::clone(&server))
                .max_decoding_message_size(bytes)
                .max_encoding_message_size(LARGE)
        };
        let queue = Queue {
            nodes: Counted::new(NODE_CALLS),
            addresses: Counted::new(ADDRESS_CALLS),
            strangers: Lanes::new(STRANGER_CALLS),
        };
        Self {
            small: sized(SMALL),
            medium: sized(MEDIUM),
            large: sized(LARGE),
            peers,
            queue: Arc::new(queue),
        }
    }

    fn sized(&self, bytes: usize) -> WorkerServiceServer<LinkServer> {
        match bytes {
            SMALL => self.small.clone(),
            MEDIUM => self.medium.clone(),
            _ => self.large.clone(),
        }
    }

    async fn admit(
        &self,
        from: Option<Connection>,
        rule: &Rule,
    ) -> Result<(bool, Vec<OwnedSemaphorePermit>), Status> {
        let from = from.ok_or(LinkRefusal::NoKey)?;
        let registered = self.peers.is(&from.peer, Caller::is_registered).await?;
        if !registered && !self.peers.serves_strangers() {
            return Err(LinkRefusal::NotListed(from.peer).into());
        }
        if !self.peers.is(&from.peer, |caller| rule.who.admits(caller)).await? {
            return Err(LinkRefusal::NotRegistered(from.peer).into());
        }
        Ok((registered, self.queue.enter(from, registered, rule).await?))
    }

    async fn answer(self, request: http::Request<Body>) -> http::Response<Body> {
        let Some(rule) = rule(request.uri().path()) else {
            return Status::unimplemented("there is no such method").into_http();
        };
        let from = request.extensions().get::<Option<Connection>>().copied().flatten();
        let (registered, permits) = match self.admit(from, &rule).await {
            Ok(admitted) => admitted,
            Err(status) => return status.into_http(),
        };
        let bytes = if registered { rule.registered_bytes } else { rule.request_bytes };
        let Ok(response) = self.sized(bytes).call(request).await;
        // The places are taken until the caller has read the answer: it is in memory till then.
        response.map(|body| {
            Body::new(body.map_frame(move |frame| {
                let _taken = &permits;
                frame
            }))
        })
    }
}

impl NamedService for Gate {
    const NAME: &'static str = <WorkerServiceServer<LinkServer> as NamedService>::NAME;
}

impl Service<http::Request<Body>> for Gate {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let gate = self.clone();
        Box::pin(async move { Ok(gate.answer(request).await) })
    }
}
