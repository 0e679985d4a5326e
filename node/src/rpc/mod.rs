//! The public gRPC services. They relay and read; they decide nothing.
//!
//! Every refusal carries `paralith-module` and `paralith-code` in the status's metadata: the stable
//! identity of the error, whatever its text.

mod confirm;
mod consensus;
mod keymanager;
mod node;
mod paratime;
mod reads;
mod relay;
mod rounds;
mod waiting;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use paralith_proto::status::status_of;
use paralith_proto::{DESCRIPTORS, pb};
use paralith_types::{Error, Retry};
use tonic::service::Routes;
use tonic::{Code, Status};

use crate::error::NodeError;
use crate::state::NodeState;

/// Longest request: a module upload.
const MAX_REQUEST_BYTES: usize = 4 * 1024 * 1024;

/// Where a refusal's code stands in the status's metadata.
pub(crate) const CODE_KEY: &str = "paralith-code";

/// A refusal with its stable identity.
pub(crate) fn refusal(
    grpc: Code,
    module: &str,
    code: u32,
    message: impl std::fmt::Display,
) -> Status {
    status_of(grpc, &Error::new(module, code, message))
}

impl From<NodeError> for Status {
    fn from(error: NodeError) -> Self {
        let grpc = match &error {
            NodeError::Usage { .. } | NodeError::Config { .. } => Code::InvalidArgument,
            NodeError::NotFound { .. } => Code::NotFound,
            NodeError::NotReady { .. } | NodeError::Unreachable { .. } => Code::Unavailable,
            NodeError::Refused(error) => grpc_code(error),
            NodeError::Unverifiable { .. } => Code::DataLoss,
            NodeError::Io { .. } | NodeError::Trusted(_) | NodeError::Internal { .. } => {
                Code::Internal
            }
        };
        status_of(grpc, &error.to_wire())
    }
}

/// The gRPC code of a refusal, by what the caller can do about it.
pub(crate) fn grpc_code(error: &Error) -> Code {
    match error.retry {
        Retry::Later | Retry::OtherPeer => Code::Unavailable,
        Retry::NonceIs { .. } => Code::Aborted,
        Retry::AlreadyFinal { .. } => Code::AlreadyExists,
        Retry::Never => Code::FailedPrecondition,
    }
}

/// A field of a request that cannot be read.
pub(crate) fn bad_argument(field: &str, reason: impl std::fmt::Display) -> Status {
    refusal(Code::InvalidArgument, "node", 1, format!("{field}: {reason}"))
}

/// Serves until the node stops. Returns once it listens.
pub async fn serve(listen: SocketAddr, state: Arc<NodeState>) -> Result<SocketAddr, NodeError> {
    let listener = tokio::net::TcpListener::bind(listen)
        .await
        .map_err(|e| NodeError::io(format!("the public service on {listen}"), &e))?;
    let address = listener.local_addr().map_err(|e| NodeError::io("the public service", &e))?;
    let routes = routes(&state).await?;
    let stopped = state.stop.clone();
    tokio::spawn(async move {
        // The server's own setting has no effect on connections that it is handed, and with Nagle's
        // algorithm an answer waits 40 ms for the acknowledgement of its own header.
        let incoming =
            tonic::transport::server::TcpIncoming::from(listener).with_nodelay(Some(true));
        let served = tonic::transport::Server::builder()
            .max_concurrent_streams(256)
            .http2_keepalive_interval(Some(Duration::from_secs(20)))
            .http2_max_header_list_size(8 * 1024)
            .add_routes(routes)
            .serve_with_incoming_shutdown(incoming, stopped.cancelled_owned())
            .await;
        if let Err(error) = served {
            tracing::error!(%error, "the public service ended");
        }
    });
    Ok(address)
}

async fn routes(state: &Arc<NodeState>) -> Result<Routes, NodeError> {
    use pb::consensus::v1::consensus_service_server::ConsensusServiceServer;
    use pb::keymanager::v1::key_manager_service_server::KeyManagerServiceServer;
    use pb::node::v1::node_service_server::NodeServiceServer;
    use pb::paratime::v1::para_time_service_server::ParaTimeServiceServer;
    use pb::registry::v1::registry_service_server::RegistryServiceServer;
    use pb::roothash::v1::roothash_service_server::RoothashServiceServer;
    use pb::scheduler::v1::scheduler_service_server::SchedulerServiceServer;
    use pb::staking::v1::staking_service_server::StakingServiceServer;

    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_service_status("", tonic_health::ServingStatus::Serving).await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .map_err(|e| NodeError::internal(&e))?;
    let reads = reads::Reads::new(Arc::clone(state));
    let mut routes = Routes::new(health_service);
    routes = routes.add_service(reflection);
    routes = routes.add_service(
        ConsensusServiceServer::new(consensus::Consensus::new(Arc::clone(state)))
            .max_decoding_message_size(MAX_REQUEST_BYTES),
    );
    routes = routes.add_service(StakingServiceServer::new(reads.clone()));
    routes = routes.add_service(RegistryServiceServer::new(reads.clone()));
    routes = routes.add_service(SchedulerServiceServer::new(reads.clone()));
    routes = routes.add_service(RoothashServiceServer::new(reads));
    routes = routes
        .add_service(KeyManagerServiceServer::new(keymanager::KeyManager::new(Arc::clone(state))));
    routes = routes.add_service(
        ParaTimeServiceServer::new(paratime::ParaTime::new(Arc::clone(state)))
            .max_decoding_message_size(MAX_REQUEST_BYTES),
    );
    routes = routes.add_service(NodeServiceServer::new(node::Node::new(Arc::clone(state))));
    Ok(routes)
}
