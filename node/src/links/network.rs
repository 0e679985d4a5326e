//! What lies below links: how a node is reached by its key, and how this one is. Over TLS between
//! processes; by direct calls within one. A simulated network is a third.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use paralith_crypto::SigningKey;
use paralith_proto::pb::worker::v1::worker_service_server::WorkerServiceServer;
use paralith_types::PublicKey;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http;
use tower::ServiceExt as _;
use tower::util::BoxCloneSyncService;

use super::stream::Peer;
use super::{LinkServer, MAX_MESSAGE_BYTES, dial, listen};
use crate::error::NodeError;

/// The way to one node: what a gRPC client is made over.
pub type Wire = BoxCloneSyncService<http::Request<Body>, http::Response<Body>, Status>;

/// The network as one node sees it.
pub trait Network: Send + Sync + fmt::Debug {
    /// The way to the node with this key, which the registry says is at one of these addresses. The
    /// node at the other end of the way has that key.
    fn dial(
        &self,
        node: PublicKey,
        addresses: Vec<String>,
    ) -> BoxFuture<'_, Result<Wire, NodeError>>;

    /// Serves other nodes until `stop`; returns where, if the network has addresses. Each request
    /// carries its caller's key.
    fn serve(
        &self,
        address: Option<SocketAddr>,
        server: LinkServer,
        stop: CancellationToken,
    ) -> BoxFuture<'_, Result<Option<SocketAddr>, NodeError>>;
}

/// Links between processes: TLS with raw public keys.
pub struct TlsNetwork {
    key: SigningKey,
    record: Option<PathBuf>,
}

impl TlsNetwork {
    /// With this node's key. Records what passes above TLS in a folder, if one is given.
    pub fn new(key: SigningKey, record: Option<PathBuf>) -> Arc<Self> {
        Arc::new(Self { key, record })
    }
}

impl fmt::Debug for TlsNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsNetwork")
    }
}

impl Network for TlsNetwork {
    fn dial(
        &self,
        node: PublicKey,
        addresses: Vec<String>,
    ) -> BoxFuture<'_, Result<Wire, NodeError>> {
        async move {
            let mut last = NodeError::Unreachable {
                node: node.to_string(),
                reason: "it is registered without an address".to_string(),
            };
            for address in &addresses {
                match dial::connect(&self.key, &node, address, self.record.as_deref()).await {
                    Ok(channel) => {
                        let wire = channel.map_err(|error| Status::from_error(Box::new(error)));
                        return Ok(BoxCloneSyncService::new(wire));
                    }
                    Err(error) => last = error,
                }
            }
            Err(last)
        }
        .boxed()
    }

    fn serve(
        &self,
        address: Option<SocketAddr>,
        server: LinkServer,
        stop: CancellationToken,
    ) -> BoxFuture<'_, Result<Option<SocketAddr>, NodeError>> {
        async move {
            let Some(address) = address else { return Ok(None) };
            let record = self.record.clone();
            listen::serve(address, &self.key, server, record, stop).await.map(Some)
        }
        .boxed()
    }
}

/// The nodes of this process, by id.
pub type Neighbours = Arc<Mutex<BTreeMap<PublicKey, LinkServer>>>;

/// Links within a process: nodes call each other's services directly.
pub struct ProcessNetwork {
    own: PublicKey,
    nodes: Neighbours,
}

impl ProcessNetwork {
    /// For the node with this key, among these.
    pub fn new(own: PublicKey, nodes: Neighbours) -> Arc<Self> {
        Arc::new(Self { own, nodes })
    }
}

impl fmt::Debug for ProcessNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProcessNetwork")
    }
}

impl Network for ProcessNetwork {
    fn dial(
        &self,
        node: PublicKey,
        _addresses: Vec<String>,
    ) -> BoxFuture<'_, Result<Wire, NodeError>> {
        let found = self.nodes.lock().unwrap_or_else(PoisonError::into_inner).get(&node).cloned();
        let own = Peer(self.own);
        async move {
            let server = found.ok_or_else(|| NodeError::Unreachable {
                node: node.to_string(),
                reason: "it is not in this process".to_string(),
            })?;
            let service = WorkerServiceServer::new(server)
                .max_decoding_message_size(MAX_MESSAGE_BYTES)
                .max_encoding_message_size(MAX_MESSAGE_BYTES)
                .map_request(move |mut request: http::Request<Body>| {
                    request.extensions_mut().insert(own);
                    request
                })
                .map_err(|never| match never {});
            Ok(BoxCloneSyncService::new(service))
        }
        .boxed()
    }

    fn serve(
        &self,
        _address: Option<SocketAddr>,
        server: LinkServer,
        stop: CancellationToken,
    ) -> BoxFuture<'_, Result<Option<SocketAddr>, NodeError>> {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        if !stop.is_cancelled() {
            nodes.insert(self.own, server);
        }
        futures::future::ready(Ok(None)).boxed()
    }
}

/// Links within a process, and over TLS to everybody else: a development chain that other processes
/// join.
pub struct BothNetworks {
    inside: Arc<ProcessNetwork>,
    outside: Arc<TlsNetwork>,
}

impl BothNetworks {
    /// Of these two.
    pub fn new(inside: Arc<ProcessNetwork>, outside: Arc<TlsNetwork>) -> Arc<Self> {
        Arc::new(Self { inside, outside })
    }
}

impl fmt::Debug for BothNetworks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BothNetworks")
    }
}

impl Network for BothNetworks {
    fn dial(
        &self,
        node: PublicKey,
        addresses: Vec<String>,
    ) -> BoxFuture<'_, Result<Wire, NodeError>> {
        async move {
            match self.inside.dial(node, Vec::new()).await {
                Ok(wire) => Ok(wire),
                Err(_) => self.outside.dial(node, addresses).await,
            }
        }
        .boxed()
    }

    fn serve(
        &self,
        address: Option<SocketAddr>,
        server: LinkServer,
        stop: CancellationToken,
    ) -> BoxFuture<'_, Result<Option<SocketAddr>, NodeError>> {
        async move {
            self.inside.serve(None, server.clone(), stop.clone()).await?;
            self.outside.serve(address, server, stop).await
        }
        .boxed()
    }
}
