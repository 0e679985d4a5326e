//! Key managers to clients: status from state, public keys relayed from an enclave.

use std::sync::Arc;

use paralith_consensus_api::keymanager::{SignedRuntimePublicKey, Status as KmStatus, keys};
use paralith_consensus_api::registry;
use paralith_proto::pb::keymanager::v1 as kpb;
use paralith_proto::{Canonical, Wire};
use paralith_types::{Epoch, RuntimeId};
use tonic::{Code, Request, Response, Status};

use super::{bad_argument, refusal};
use crate::state::NodeState;

/// `KeyManagerService`.
#[derive(Debug)]
pub(super) struct KeyManager {
    state: Arc<NodeState>,
}

impl KeyManager {
    pub(super) fn new(state: Arc<NodeState>) -> Self {
        Self { state }
    }
}

#[tonic::async_trait]
impl kpb::key_manager_service_server::KeyManagerService for KeyManager {
    async fn get_status(
        &self,
        request: Request<kpb::GetStatusRequest>,
    ) -> Result<Response<kpb::Status>, Status> {
        let request = request.into_inner();
        let id = RuntimeId::try_from(request.id.as_slice()).map_err(|e| bad_argument("id", e))?;
        let height = (request.height != 0).then_some(request.height);
        let status: Option<KmStatus> = self.state.chain.get_at(height, &keys::status(&id)).await?;
        let missing = || refusal(Code::NotFound, "keymanager", 2, "there is no such key manager");
        Ok(Response::new(status.ok_or_else(missing)?.to_pb()))
    }

    async fn get_runtime_public_key(
        &self,
        request: Request<kpb::GetRuntimePublicKeyRequest>,
    ) -> Result<Response<kpb::SignedRuntimePublicKey>, Status> {
        let request = request.into_inner();
        let id = RuntimeId::try_from(request.runtime_id.as_slice())
            .map_err(|e| bad_argument("runtime_id", e))?;
        let chain = &self.state.chain;
        let runtime: registry::Runtime = chain
            .get(&registry::keys::runtime(&id))
            .await?
            .ok_or_else(|| refusal(Code::NotFound, "registry", 11, "there is no such ParaTime"))?;
        let manager = runtime.key_manager.ok_or_else(|| {
            bad_argument("runtime_id", "this ParaTime is public: it has no key to seal calls to")
        })?;
        let epoch = if request.newest { chain.epoch().await? } else { Epoch(request.epoch) };
        let signed = self.fetch(&manager, &id, epoch).await?;
        Ok(Response::new(signed.to_pb()))
    }
}

impl KeyManager {
    /// From this node's own enclave, or the first key manager that answers.
    async fn fetch(
        &self,
        manager: &RuntimeId,
        runtime: &RuntimeId,
        epoch: Epoch,
    ) -> Result<SignedRuntimePublicKey, Status> {
        let decode = |bytes: Vec<u8>| {
            SignedRuntimePublicKey::decode(&bytes, 4096)
                .map_err(|e| refusal(Code::Internal, "node", 10, e))
        };
        if let Ok(host) = self.state.services.keymanager(manager) {
            return decode(host.public_key(runtime, epoch).await?);
        }
        let status: Option<KmStatus> = self.state.chain.get(&keys::status(manager)).await?;
        let mut last = "no key manager is registered yet".to_string();
        for node in status.map(|status| status.nodes).unwrap_or_default() {
            match self.state.links.public_key(&node, manager, runtime, epoch).await {
                Ok(bytes) => return decode(bytes),
                Err(error) => last = error.to_string(),
            }
        }
        let text = format!(
            "no key manager gives the key of epoch {epoch}: {last}. If all of them have restarted, \
             new keys come with the next epoch: try again"
        );
        Err(refusal(Code::Unavailable, "keymanager", 30, text))
    }
}
