//! The node about itself.

use std::sync::Arc;

use paralith_consensus_api::{registry, scheduler};
use paralith_proto::pb::node::v1 as npb;
use paralith_runtime_worker::WorkerHandle;
use tonic::{Request, Response, Status};

use crate::state::NodeState;

/// `NodeService`.
#[derive(Debug)]
pub(super) struct Node {
    state: Arc<NodeState>,
}

impl Node {
    pub(super) fn new(state: Arc<NodeState>) -> Self {
        Self { state }
    }
}

/// Of the newest round that the worker has applied.
fn state_root(worker: &WorkerHandle) -> Vec<u8> {
    worker
        .snapshot()
        .map(|snapshot| snapshot.state.last_block.state_root.as_bytes().to_vec())
        .unwrap_or_default()
}

#[tonic::async_trait]
impl npb::node_service_server::NodeService for Node {
    async fn get_status(
        &self,
        _request: Request<npb::GetStatusRequest>,
    ) -> Result<Response<npb::GetStatusResponse>, Status> {
        let state = &self.state;
        let mut runtimes = Vec::new();
        for (id, worker) in state.services.workers() {
            let status = worker.status();
            let key = registry::keys::runtime(&id);
            let runtime: Option<registry::Runtime> = state.chain.get(&key).await?;
            let committee: Option<scheduler::Committee> =
                state.chain.get(&scheduler::keys::committee(&id)).await?;
            let (worker_role, backup_role) = committee.map_or((false, false), |committee| {
                let node = &state.node_id;
                (committee.workers.contains(node), committee.backups.contains(node))
            });
            let committee_role = match (worker_role, backup_role) {
                (true, true) => "worker+backup",
                (true, false) => "worker",
                (false, true) => "backup",
                (false, false) => "",
            };
            runtimes.push(npb::RuntimeStatus {
                runtime_id: id.as_bytes().to_vec(),
                name: runtime.as_ref().map(|r| r.name.clone()).unwrap_or_default(),
                confidential: runtime.is_some_and(|r| r.confidential),
                has_keys: status.has_keys,
                round: status.applied_round,
                state_root: state_root(&worker),
                pool_size: u32::try_from(worker.pool_len()).unwrap_or(u32::MAX),
                committee_role: committee_role.to_string(),
            });
        }
        let height = state.chain.height();
        Ok(Response::new(npb::GetStatusResponse {
            node_id: state.node_id.as_bytes().to_vec(),
            roles: state.roles.iter().map(|role| role.name().to_string()).collect(),
            software_version: env!("CARGO_PKG_VERSION").to_string(),
            engine: state.engine_name.to_string(),
            ready: height.is_ok(),
            height: height.unwrap_or(0),
            epoch: state.chain.epoch().await.map_or(0, |epoch| epoch.0),
            runtimes,
            alarms: state.alarms.list(),
        }))
    }
}
