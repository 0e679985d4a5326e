//! Listening: connections, their handshakes, and the services behind them. Bounded: so many
//! connections, so many handshakes at once, so much time for each.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use paralith_crypto::SigningKey;
use paralith_types::PublicKey;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::either::Either;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use super::directory::Role;
use super::gate::Gate;
use super::members::{LinkService, MemberGate};
use super::open::{Directories, Open};
use super::rules::WORKER_SERVICE;
use super::stream::Connection;
use super::{LinkServer, Recording, tls};
use crate::error::NodeError;

/// How long a handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// Handshakes at once, and connections that wait to be served.
const MAX_HANDSHAKES: usize = 64;

/// Links of registered nodes.
const MAX_NODE_LINKS: usize = 1024;

/// Links of keys that are not registered.
const MAX_STRANGER_LINKS: usize = 128;

/// Those among them from one address.
const MAX_ADDRESS_LINKS: usize = 32;

/// Connections of users.
pub(crate) const MAX_PUBLIC_CONNECTIONS: usize = 4096;

/// Calls at once on one connection.
const MAX_STREAMS: u32 = 256;

/// How often an idle connection is asked whether it still lives.
const KEEPALIVE: Duration = Duration::from_secs(20);

/// Most bytes of a request's or response's headers.
const MAX_HEADER_BYTES: u32 = 8 * 1024;

/// A server with the limits that links and the public service share.
pub(crate) fn http_server() -> tonic::transport::Server {
    tonic::transport::Server::builder()
        .max_concurrent_streams(MAX_STREAMS)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_max_header_list_size(MAX_HEADER_BYTES)
}

/// Accepts connections until the node stops, and gives each to `handshake` on a task of its own:
/// a slow one holds up no other. What comes out is ready to be served.
pub(crate) fn accept<S, F>(
    listener: TcpListener,
    stop: CancellationToken,
    handshake: impl Fn(TcpStream, SocketAddr) -> F + Send + 'static,
) -> ReceiverStream<io::Result<S>>
where
    S: Send + 'static,
    F: Future<Output = Option<S>> + Send + 'static,
{
    let (sender, incoming) = mpsc::channel(MAX_HANDSHAKES);
    paralith_rt::spawn(async move {
        let mut handshakes = paralith_rt::TaskSet::new();
        loop {
            while handshakes.try_join_next().is_some() {}
            if handshakes.len() >= MAX_HANDSHAKES {
                handshakes.join_next().await;
                continue;
            }
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            let Ok((tcp, address)) = accepted else {
                // Out of descriptors, most likely: others must end before the next can come.
                paralith_rt::sleep(Duration::from_millis(50)).await;
                continue;
            };
            // With Nagle's algorithm an answer waits 40 ms for the acknowledgement of its header.
            if tcp.set_nodelay(true).is_err() {
                continue;
            }
            let (sender, shaking) = (sender.clone(), handshake(tcp, address));
            handshakes.spawn(async move {
                let done = paralith_rt::timeout(HANDSHAKE_TIMEOUT, shaking).await;
                if let Ok(Some(stream)) = done {
                    let _ = sender.send(Ok(stream)).await;
                }
            });
        }
    });
    ReceiverStream::new(incoming)
}

/// Listens.
pub(crate) async fn bind(
    listen: SocketAddr,
    what: &str,
) -> Result<(TcpListener, SocketAddr), NodeError> {
    let failed = |e: io::Error| NodeError::io(format!("{what} on {listen}"), &e);
    let listener = TcpListener::bind(listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// Connections of users, over TLS if there is a configuration for it.
pub(crate) fn accept_users(
    listener: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    stop: CancellationToken,
) -> ReceiverStream<io::Result<UserStream>> {
    let acceptor = tls.map(TlsAcceptor::from);
    let places = Arc::new(Semaphore::new(MAX_PUBLIC_CONNECTIONS));
    accept(listener, stop, move |tcp, _| {
        let (acceptor, places) = (acceptor.clone(), Arc::clone(&places));
        async move {
            let place = places.try_acquire_owned().ok()?;
            let stream = match acceptor {
                Some(acceptor) => Either::Left(acceptor.accept(tcp).await.ok()?),
                None => Either::Right(tcp),
            };
            Some(Recording::unrecorded(stream).with_places(vec![place]))
        }
    })
}

/// A user's connection.
pub(crate) type UserStream =
    Recording<Either<tokio_rustls::server::TlsStream<TcpStream>, TcpStream>>;

/// The places of links. Registered nodes have their own, and so have the keys of each other directory;
/// strangers share theirs, so many for one address.
struct LinkPlaces {
    nodes: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
    addresses: Mutex<BTreeMap<IpAddr, Arc<Semaphore>>>,
    members: BTreeMap<&'static str, MemberPlaces>,
    directories: Directories,
}

/// The places of one service's keys.
struct MemberPlaces {
    all: Arc<Semaphore>,
    of_one: usize,
    keys: Mutex<BTreeMap<PublicKey, Arc<Semaphore>>>,
}

/// The places of one of many. Only those with a link, or with one that is being admitted, are kept.
fn places_of<K: Ord>(
    all: &Mutex<BTreeMap<K, Arc<Semaphore>>>,
    key: K,
    count: usize,
) -> Arc<Semaphore> {
    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
    all.retain(|_, places| Arc::strong_count(places) > 1);
    Arc::clone(all.entry(key).or_insert_with(|| Arc::new(Semaphore::new(count))))
}

impl LinkPlaces {
    fn new(directories: Directories, services: &[LinkService]) -> Arc<Self> {
        let members = services.iter().map(|service| {
            let all = Arc::new(Semaphore::new(service.limits.links));
            let of_one = service.limits.links_of_one;
            (service.name, MemberPlaces { all, of_one, keys: Mutex::default() })
        });
        Arc::new(Self {
            nodes: Arc::new(Semaphore::new(MAX_NODE_LINKS)),
            strangers: Arc::new(Semaphore::new(MAX_STRANGER_LINKS)),
            addresses: Mutex::default(),
            members: members.collect(),
            directories,
        })
    }

    /// The places of a link; none if there are none, or if no directory knows its key.
    async fn of(&self, link: &Connection) -> Option<Vec<OwnedSemaphorePermit>> {
        // A node without proven state knows no one: callers try again.
        let roles = self.directories.roles(link.peer).await.ok()?;
        let listed = |(_, role): &&(&'static str, Role)| matches!(role, Role::Listed(_));
        // WI-6: places for connections, apart in the same way.
        let wanted = match roles.iter().find(listed) {
            Some((WORKER_SERVICE, _)) => vec![Arc::clone(&self.nodes)],
            Some((service, _)) => {
                let places = self.members.get(service)?;
                let own = places_of(&places.keys, link.peer, places.of_one);
                vec![own, Arc::clone(&places.all)]
            }
            None if !roles.is_empty() => {
                let own = places_of(&self.addresses, link.ip, MAX_ADDRESS_LINKS);
                vec![own, Arc::clone(&self.strangers)]
            }
            // WI-15: no directory knows it.
            None => return None,
        };
        wanted.into_iter().map(|places| places.try_acquire_owned().ok()).collect()
    }
}
/// Serves other nodes until the node stops. Returns once it listens.
pub(super) async fn serve(
    listen: SocketAddr,
    key: &SigningKey,
    server: LinkServer,
    record: Option<PathBuf>,
    stop: CancellationToken,
) -> Result<SocketAddr, NodeError> {
    let (listener, address) = bind(listen, "the links' service").await?;
    let acceptor = TlsAcceptor::from(tls::server_config(key).map_err(|e| NodeError::internal(&e))?);
    let directories = server.directories();
    let places = LinkPlaces::new(directories.clone(), &server.members);
    let open = Arc::new(Open::default());
    paralith_rt::spawn(Arc::clone(&open).watch(directories, stop.clone()));
    let incoming = accept(listener, stop.clone(), move |tcp, address| {
        let (acceptor, places, record) = (acceptor.clone(), Arc::clone(&places), record.clone());
        let open = Arc::clone(&open);
        async move {
            let tls = acceptor.accept(tcp).await.ok()?;
            let spki = tls.get_ref().1.peer_certificates()?.first()?.clone();
            let peer = tls::node_of(spki.as_ref())?;
            let connection = Connection { peer, ip: address.ip() };
            // Nothing of a stream is read before its key has been admitted.
            let link = open.add(peer);
            let places = places.of(&connection).await?;
            let stream = Recording::new(tls, record.as_deref()).ok()?;
            Some(stream.with_connection(connection).with_places(places).until_closed(link))
        }
    });
    let gates: Vec<MemberGate> =
        server.members.iter().map(|service| MemberGate::new(service.clone())).collect();
    let mut routes = Routes::new(Gate::new(server));
    for gate in gates {
        let router = std::mem::take(routes.axum_router_mut());
        routes = Routes::from(router.route_service(&gate.route(), gate));
    }
    let serving = http_server()
        .add_routes(routes)
        .serve_with_incoming_shutdown(incoming, stop.cancelled_owned());
    paralith_rt::spawn(async move {
        if let Err(error) = serving.await {
            tracing::error!(%error, "the links' service ended");
        }
    });
    Ok(address)
}
