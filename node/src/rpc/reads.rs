//! Staking, registry, scheduler and roothash to those who ask: typed reads of consensus state.
//! Who wants proof asks `ConsensusService.GetState` for the same key.

use std::collections::BTreeSet;
use std::sync::Arc;

use paralith_consensus_api::{registry, roothash, scheduler, staking};
use paralith_proto::{Canonical, Wire, pb};
use paralith_types::{Address, Amount, Hash, PublicKey, Round, RuntimeId};
use tonic::{Code, Request, Response, Status};

use super::{bad_argument, refusal};
use crate::state::NodeState;

type Answer<T> = Result<Response<T>, Status>;

/// Typed reads of consensus state.
#[derive(Debug, Clone)]
pub(super) struct Reads {
    state: Arc<NodeState>,
}

impl Reads {
    pub(super) fn new(state: Arc<NodeState>) -> Self {
        Self { state }
    }

    async fn get<T: Canonical>(&self, height: u64, key: &[u8]) -> Result<Option<T>, Status> {
        let height = (height != 0).then_some(height);
        Ok(self.state.chain.get_at(height, key).await?)
    }

    async fn require<T: Canonical>(
        &self,
        height: u64,
        key: &[u8],
        what: &str,
    ) -> Result<T, Status> {
        let found = self.get(height, key).await?;
        found.ok_or_else(|| refusal(Code::NotFound, "node", 6, format!("there is no such {what}")))
    }

    /// The height that is asked for, or the newest, so that several reads are of one state.
    fn height(&self, asked: u64) -> Result<u64, Status> {
        match asked {
            0 => Ok(self.state.chain.height()?),
            height => Ok(height),
        }
    }

    async fn with_status(
        &self,
        height: u64,
        node: registry::Node,
    ) -> Result<pb::registry::v1::GetNodeResponse, Status> {
        let status: Option<registry::NodeStatus> =
            self.get(height, &registry::keys::node_status(&node.id)).await?;
        // This version verifies software attestation only.
        let insecure_attestation = node.runtimes.iter().any(|runtime| runtime.tee.is_some());
        Ok(pb::registry::v1::GetNodeResponse {
            node: Some(node.to_pb()),
            status: status.map(|status| status.to_pb()),
            insecure_attestation,
        })
    }
}

fn parse<T: std::str::FromStr>(field: &str, text: &str) -> Result<T, Status>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|e| bad_argument(field, e))
}

fn key(field: &str, bytes: &[u8]) -> Result<PublicKey, Status> {
    PublicKey::try_from(bytes).map_err(|e| bad_argument(field, e))
}

fn runtime_id(bytes: &[u8]) -> Result<RuntimeId, Status> {
    RuntimeId::try_from(bytes).map_err(|e| bad_argument("runtime_id", e))
}

#[tonic::async_trait]
impl pb::staking::v1::staking_service_server::StakingService for Reads {
    async fn get_account(
        &self,
        request: Request<pb::staking::v1::GetAccountRequest>,
    ) -> Answer<pb::staking::v1::GetAccountResponse> {
        let request = request.into_inner();
        let address: Address = parse("address", &request.address)?;
        let account: staking::Account =
            self.get(request.height, &staking::keys::account(&address)).await?.unwrap_or_default();
        let height = self.height(request.height)?;
        Ok(Response::new(pb::staking::v1::GetAccountResponse {
            balance: account.balance.to_string(),
            account: Some(account.to_pb()),
            height,
        }))
    }

    async fn get_delegation(
        &self,
        request: Request<pb::staking::v1::GetDelegationRequest>,
    ) -> Answer<pb::staking::v1::Delegation> {
        let request = request.into_inner();
        let escrow: Address = parse("escrow", &request.escrow)?;
        let delegator: Address = parse("delegator", &request.delegator)?;
        let key = staking::keys::delegation(&escrow, &delegator);
        let delegation: staking::Delegation =
            self.get(request.height, &key).await?.unwrap_or_default();
        Ok(Response::new(delegation.to_pb()))
    }

    async fn get_total_supply(
        &self,
        request: Request<pb::staking::v1::GetTotalSupplyRequest>,
    ) -> Answer<pb::staking::v1::GetTotalSupplyResponse> {
        let height = request.into_inner().height;
        let height = (height != 0).then_some(height);
        let raw = self.state.chain.get_raw(height, &staking::keys::total_supply()).await?;
        let amount = Amount::from_be_bytes_minimal(&raw.unwrap_or_default())
            .map_err(|e| refusal(Code::Internal, "node", 10, e))?;
        let amount = amount.to_string();
        Ok(Response::new(pb::staking::v1::GetTotalSupplyResponse { amount }))
    }
}

#[tonic::async_trait]
impl pb::registry::v1::registry_service_server::RegistryService for Reads {
    async fn get_node(
        &self,
        request: Request<pb::registry::v1::GetNodeRequest>,
    ) -> Answer<pb::registry::v1::GetNodeResponse> {
        let request = request.into_inner();
        let id = key("id", &request.id)?;
        let node = self.require(request.height, &registry::keys::node(&id), "node").await?;
        Ok(Response::new(self.with_status(request.height, node).await?))
    }

    async fn list_nodes(
        &self,
        request: Request<pb::registry::v1::ListNodesRequest>,
    ) -> Answer<pb::registry::v1::ListNodesResponse> {
        let height = request.into_inner().height;
        let mut nodes = Vec::new();
        for node in self.state.chain.nodes((height != 0).then_some(height)).await? {
            nodes.push(self.with_status(height, node).await?);
        }
        Ok(Response::new(pb::registry::v1::ListNodesResponse { nodes }))
    }

    async fn get_runtime(
        &self,
        request: Request<pb::registry::v1::GetRuntimeRequest>,
    ) -> Answer<pb::registry::v1::Runtime> {
        let request = request.into_inner();
        let id = runtime_id(&request.id)?;
        let runtime: registry::Runtime =
            self.require(request.height, &registry::keys::runtime(&id), "runtime").await?;
        Ok(Response::new(runtime.to_pb()))
    }

    async fn list_runtimes(
        &self,
        request: Request<pb::registry::v1::ListRuntimesRequest>,
    ) -> Answer<pb::registry::v1::ListRuntimesResponse> {
        let height = request.into_inner().height;
        let runtimes = self.state.chain.runtimes((height != 0).then_some(height)).await?;
        Ok(Response::new(pb::registry::v1::ListRuntimesResponse { runtimes: runtimes.to_pb() }))
    }

    async fn list_enclaves(
        &self,
        request: Request<pb::registry::v1::ListEnclavesRequest>,
    ) -> Answer<pb::registry::v1::ListEnclavesResponse> {
        let request = request.into_inner();
        let id = runtime_id(&request.runtime_id)?;
        let height = self.height(request.height)?;
        let nodes = self.state.chain.nodes(Some(height)).await?;
        let offered = nodes.iter().filter_map(|node| node.runtime(&id)?.tee.as_ref());
        let raks: BTreeSet<PublicKey> = offered.map(|tee| tee.rak).collect();
        let mut enclaves = Vec::new();
        for rak in raks {
            // An enclave of a node that does not count is not in the index.
            let enclave: Option<registry::Enclave> =
                self.get(height, &registry::keys::enclave(&id, &rak)).await?;
            enclaves.extend(enclave.map(|enclave| pb::registry::v1::RegisteredEnclave {
                rak: rak.to_pb(),
                enclave: Some(enclave.to_pb()),
            }));
        }
        Ok(Response::new(pb::registry::v1::ListEnclavesResponse { enclaves }))
    }

    async fn get_proposals(
        &self,
        request: Request<pb::registry::v1::GetProposalsRequest>,
    ) -> Answer<pb::registry::v1::GetProposalsResponse> {
        let request = request.into_inner();
        let id = runtime_id(&request.runtime_id)?;
        let height = self.height(request.height)?;
        let decisions: Option<registry::Decisions> =
            self.get(height, &registry::keys::decisions(&id)).await?;
        let scheduled: Option<registry::RuntimeChange> =
            self.get(height, &registry::keys::runtime_change(&id)).await?;
        let proposed = decisions.iter().flat_map(|decisions| &decisions.proposals);
        let hashes: BTreeSet<Hash> = proposed.map(|one| one.descriptor).collect();
        let mut descriptors = Vec::new();
        for hash in hashes {
            let descriptor: Option<registry::Runtime> =
                self.get(height, &registry::keys::proposal(&id, &hash)).await?;
            descriptors.extend(descriptor.map(|descriptor| descriptor.to_pb()));
        }
        Ok(Response::new(pb::registry::v1::GetProposalsResponse {
            decisions: decisions.to_pb(),
            descriptors,
            scheduled: scheduled.to_pb(),
        }))
    }
}

#[tonic::async_trait]
impl pb::scheduler::v1::scheduler_service_server::SchedulerService for Reads {
    async fn get_validators(
        &self,
        request: Request<pb::scheduler::v1::GetValidatorsRequest>,
    ) -> Answer<pb::scheduler::v1::Validators> {
        let height = request.into_inner().height;
        let validators: scheduler::Validators =
            self.require(height, &scheduler::keys::validators(), "validator set").await?;
        Ok(Response::new(validators.to_pb()))
    }

    async fn get_committee(
        &self,
        request: Request<pb::scheduler::v1::GetCommitteeRequest>,
    ) -> Answer<pb::scheduler::v1::Committee> {
        let request = request.into_inner();
        let key = scheduler::keys::committee(&runtime_id(&request.runtime_id)?);
        let committee: scheduler::Committee =
            self.require(request.height, &key, "committee in this epoch").await?;
        Ok(Response::new(committee.to_pb()))
    }
}

#[tonic::async_trait]
impl pb::roothash::v1::roothash_service_server::RoothashService for Reads {
    async fn get_runtime_state(
        &self,
        request: Request<pb::roothash::v1::GetRuntimeStateRequest>,
    ) -> Answer<pb::roothash::v1::RuntimeState> {
        let request = request.into_inner();
        let key = roothash::keys::runtime_state(&runtime_id(&request.runtime_id)?);
        let state: roothash::RuntimeState = self.require(request.height, &key, "ParaTime").await?;
        Ok(Response::new(state.to_pb()))
    }

    async fn get_header(
        &self,
        request: Request<pb::roothash::v1::GetHeaderRequest>,
    ) -> Answer<pb::roothash::v1::Header> {
        let request = request.into_inner();
        let id = runtime_id(&request.runtime_id)?;
        let key = roothash::keys::header(&id, Round(request.round));
        let header: roothash::Header = self.require(0, &key, "round (yet, or any more)").await?;
        Ok(Response::new(header.to_pb()))
    }
}
