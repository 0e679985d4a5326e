//! The public gRPC services. They relay and read; they decide nothing.
//!
//! Every refusal carries `paralith-module` and `paralith-code` in the status's metadata: the stable
//! identity of the error, whatever its text.

mod consensus;
mod data;
mod keymanager;
mod members;
mod node;
mod paratime;
mod reads;
mod waiting;

use std::net::SocketAddr;
use std::sync::Arc;

use paralith_proto::status::status_of;
use paralith_proto::{DESCRIPTORS, pb};
use paralith_runtime_vm::MAX_CODE_BYTES;
use paralith_types::{Error, Retry};
use tonic::service::Routes;
use tonic::{Code, Status};

use crate::error::NodeError;
use crate::links::endpoint::ServerTls;
use crate::links::{accept_users, bind, http_server};
use crate::state::NodeState;

/// Longest request: a module with what stands around it. The vm's limit for modules is the only one.
const MAX_REQUEST_BYTES: usize = MAX_CODE_BYTES + 64 * 1024;

/// Services of a system, beside the node's own.
#[derive(Clone)]
pub struct PublicService {
    /// Adds them to the routes.
    pub add: Arc<dyn Fn(Routes) -> Routes + Send + Sync>,
    /// Their files, for reflection.
    pub descriptors: &'static [&'static [u8]],
}

impl std::fmt::Debug for PublicService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PublicService")
    }
}

/// A refusal with its stable identity. One that is unavailable here may be had of another node.
pub(crate) fn refusal(
    grpc: Code,
    module: &str,
    code: u32,
    message: impl std::fmt::Display,
) -> Status {
    let retry = match grpc {
        Code::Unavailable | Code::ResourceExhausted => Retry::Later,
        _ => Retry::Never,
    };
    status_of(grpc, &Error::new(module, code, message).with_retry(retry))
}

impl From<NodeError> for Status {
    fn from(error: NodeError) -> Self {
        let grpc = match &error {
            NodeError::Usage { .. } | NodeError::Config { .. } => Code::InvalidArgument,
            NodeError::NotFound { .. } => Code::NotFound,
            NodeError::NotReady { .. }
            | NodeError::Unreachable { .. }
            | NodeError::Untrusted { .. } => Code::Unavailable,
            NodeError::Refused(error) => grpc_code(error),
            NodeError::Unverifiable { .. } | NodeError::NotProven { .. } => Code::DataLoss,
            NodeError::Io { .. } | NodeError::Enclave(_) | NodeError::Internal { .. } => {
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

/// Serves users until the node stops, over TLS if a certificate is given. Returns once it listens.
pub async fn serve(
    listen: SocketAddr,
    tls: Option<&ServerTls>,
    state: Arc<NodeState>,
) -> Result<SocketAddr, NodeError> {
    let tls = tls.map(ServerTls::load).transpose()?;
    let (listener, address) = bind(listen, "the public service").await?;
    let routes = routes(&state).await?;
    let incoming = accept_users(listener, tls, state.stop.clone());
    let stopped = state.stop.clone().cancelled_owned();
    let serving = http_server().add_routes(routes).serve_with_incoming_shutdown(incoming, stopped);
    paralith_rt::spawn(async move {
        if let Err(error) = serving.await {
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
    let reflection = || {
        let systems = state.public.iter().flat_map(|service| service.descriptors);
        let all = DESCRIPTORS.iter().chain(systems).copied();
        all.chain([tonic_health::pb::FILE_DESCRIPTOR_SET]).fold(
            tonic_reflection::server::Builder::configure(),
            tonic_reflection::server::Builder::register_encoded_file_descriptor_set,
        )
    };
    // The stock Python client speaks only v1alpha.
    let reflection_v1 = reflection().build_v1().map_err(|e| NodeError::internal(&e))?;
    let reflection_v1alpha = reflection().build_v1alpha().map_err(|e| NodeError::internal(&e))?;
    let reads = reads::Reads::new(Arc::clone(state));
    let mut routes = Routes::new(health_service);
    routes = routes.add_service(reflection_v1).add_service(reflection_v1alpha);
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
    for service in &state.public {
        routes = (service.add)(routes);
    }
    Ok(match &state.data {
        Some(service) => data::with_contents(routes, service.clone()),
        None => routes,
    })
}
