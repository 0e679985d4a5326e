//! What a node serves to other nodes: pool, proposals, votes, rounds, code, and the relays to its
//! enclaves. Who calls is known by the key of the handshake; what is said is verified by
//! signature and proof all the same.

use std::sync::Arc;

use paralith_proto::pb::host::v1::Answer;
use paralith_proto::pb::paratime::v1 as ppb;
use paralith_proto::pb::worker::v1::worker_service_server::WorkerService;
use paralith_proto::pb::worker::v1::{self as pb, Proposal, RoundData, VoteMessage};
use paralith_proto::{Canonical, Wire};
use paralith_runtime_api::query::Query;
use paralith_runtime_worker::{Admitted, WorkerError, WorkerHandle};
use paralith_types::{CodeId, Epoch, Hash, PublicKey, RuntimeId};
use tonic::{Code, Request, Response, Status};

use super::directory::Directory;
use super::gate::LinkRefusal;
use super::members::LinkService;
use super::open::Directories;
use super::peers::Peers;
use super::rules::{MEDIUM, WORKER_SERVICE};
use super::stream::{Connection, Peer};
use crate::chain::ChainAccess;
use crate::rpc::{bad_argument, refusal};
use crate::state::Services;

type Answered<T> = Result<Response<T>, Status>;

/// What a node serves over links besides the service of workers and key managers, and whom.
#[derive(Debug, Clone)]
pub struct MemberServices {
    /// Services for the keys of other directories than the registry.
    pub services: Vec<LinkService>,
    /// Whether keys that are not registered may call what is for anyone: gateways, and nodes that
    /// are to be registered. If not, a key that no directory knows is closed after its handshake.
    pub strangers: bool,
}

impl Default for MemberServices {
    fn default() -> Self {
        Self { services: Vec::new(), strangers: true }
    }
}

/// The service for other nodes.
#[derive(Debug, Clone)]
pub struct LinkServer {
    services: Arc<Services>,
    pub(super) peers: Arc<Peers>,
    pub(super) members: Arc<[LinkService]>,
}

impl LinkServer {
    /// Over what this node runs; the chain's registry says who calls, and for the services of
    /// members their own directories.
    pub fn new(services: Arc<Services>, chain: Arc<ChainAccess>, members: MemberServices) -> Self {
        let MemberServices { services: members, strangers } = members;
        Self { services, peers: Peers::new(chain, strangers), members: members.into() }
    }

    /// All directories, each with its service.
    pub(super) fn directories(&self) -> Directories {
        let registry: Arc<dyn Directory> = Arc::<Peers>::clone(&self.peers);
        let members =
            self.members.iter().map(|service| (service.name, Arc::clone(&service.directory)));
        Directories::new([(WORKER_SERVICE, registry)].into_iter().chain(members).collect())
    }

    /// Refuses a caller that does not run the ParaTime by the registry. Nodes of this process are
    /// not asked.
    async fn check_member(&self, caller: Option<PublicKey>, id: &RuntimeId) -> Result<(), Status> {
        let Some(caller) = caller else { return Ok(()) };
        if self.peers.is(&caller, |known| known.runs(id)).await? {
            return Ok(());
        }
        Err(LinkRefusal::NotAMember { node: caller, runtime: *id }.into())
    }

    fn worker(&self, runtime_id: &[u8]) -> Result<WorkerHandle, Status> {
        let id = runtime(runtime_id)?;
        self.services.worker(&id).ok_or_else(|| {
            refusal(Code::NotFound, "node", 6, format!("this node does not run ParaTime {id}"))
        })
    }
}

/// The caller: the key of the handshake, or of a node of this process the one that it names itself.
fn peer<T>(request: &Request<T>) -> Option<PublicKey> {
    linked(request).or_else(|| request.extensions().get::<Peer>().map(|peer| peer.0))
}

/// The caller at the other end of a link: the key of the handshake.
pub(crate) fn linked<T>(request: &Request<T>) -> Option<PublicKey> {
    request.extensions().get::<Option<Connection>>().copied().flatten().map(|link| link.peer)
}

fn runtime(bytes: &[u8]) -> Result<RuntimeId, Status> {
    RuntimeId::try_from(bytes).map_err(|e| bad_argument("runtime_id", e))
}

/// A worker's refusal as gRPC carries it.
fn worker_status(error: &WorkerError) -> Status {
    let grpc = match error {
        WorkerError::NotFound => Code::NotFound,
        WorkerError::Invalid { .. } => Code::InvalidArgument,
        WorkerError::AlreadyFinal { .. } => Code::AlreadyExists,
        other if other.retry().is_retryable() => Code::Unavailable,
        _ => Code::FailedPrecondition,
    };
    paralith_proto::status::status_of(grpc, &error.refusal())
}

fn proposal_runtime(
    proposal: Option<&paralith_proto::pb::roothash::v1::SignedProposal>,
) -> Result<RuntimeId, Status> {
    use paralith_consensus_api::roothash::ProposalHeader;
    let signed = proposal.ok_or_else(|| bad_argument("proposal", "is missing"))?;
    ProposalHeader::decode(&signed.header, 4096)
        .map(|header| header.runtime_id)
        .map_err(|e| bad_argument("proposal", e))
}

#[tonic::async_trait]
impl WorkerService for LinkServer {
    async fn submit_transactions(
        &self,
        request: Request<pb::TransactionsRequest>,
    ) -> Answered<pb::TransactionsReply> {
        let from = peer(&request);
        let request = request.into_inner();
        let worker = self.worker(&request.runtime_id)?;
        let results = worker.submit_transactions(from, request.transactions).await;
        let admission =
            |admitted: Admitted| pb::Admission { refusal: admitted.err().map(|e| e.to_pb()) };
        Ok(Response::new(pb::TransactionsReply {
            results: results.into_iter().map(admission).collect(),
        }))
    }

    async fn propose(&self, request: Request<Proposal>) -> Answered<pb::Ack> {
        let caller = linked(&request);
        let proposal = request.into_inner();
        let id = proposal_runtime(proposal.proposal.as_ref())?;
        self.check_member(caller, &id).await?;
        let worker = self.worker(id.as_bytes())?;
        worker.on_proposal(proposal).await.map_err(|e| worker_status(&e))?;
        Ok(Response::new(pb::Ack {}))
    }

    async fn send_vote(&self, request: Request<VoteMessage>) -> Answered<pb::Ack> {
        let caller = linked(&request);
        let vote = request.into_inner();
        let id = proposal_runtime(vote.proposal.as_ref())?;
        self.check_member(caller, &id).await?;
        let worker = self.worker(id.as_bytes())?;
        worker.on_vote(vote).await.map_err(|e| worker_status(&e))?;
        Ok(Response::new(pb::Ack {}))
    }

    async fn fetch_proposal(
        &self,
        request: Request<pb::FetchProposalRequest>,
    ) -> Answered<Proposal> {
        let caller = linked(&request);
        let request = request.into_inner();
        self.check_member(caller, &runtime(&request.runtime_id)?).await?;
        let id = Hash::try_from(request.proposal_id.as_slice())
            .map_err(|e| bad_argument("proposal_id", e))?;
        let worker = self.worker(&request.runtime_id)?;
        Ok(Response::new(worker.fetch_proposal(&id).map_err(|e| worker_status(&e))?))
    }

    async fn fetch_round(&self, request: Request<pb::FetchRoundRequest>) -> Answered<RoundData> {
        let request = request.into_inner();
        let worker = self.worker(&request.runtime_id)?;
        let round = worker.fetch_round(request.round).map_err(|e| worker_status(&e))?;
        Ok(Response::new(round))
    }

    async fn find_round(
        &self,
        request: Request<pb::FindRoundRequest>,
    ) -> Answered<pb::FindRoundReply> {
        let request = request.into_inner();
        let hash =
            Hash::try_from(request.tx_hash.as_slice()).map_err(|e| bad_argument("tx_hash", e))?;
        let worker = self.worker(&request.runtime_id)?;
        let found = worker.round_of(&hash).map_err(|e| worker_status(&e))?;
        let round = found.ok_or_else(|| worker_status(&WorkerError::NotFound))?;
        Ok(Response::new(pb::FindRoundReply { round }))
    }

    async fn prove_state(
        &self,
        request: Request<ppb::ProveStateRequest>,
    ) -> Answered<ppb::ProveStateResponse> {
        let request = request.into_inner();
        let worker = self.worker(&request.runtime_id)?;
        Ok(Response::new(worker.prove_state(&request).map_err(|e| worker_status(&e))?))
    }

    async fn get_headers(
        &self,
        request: Request<ppb::GetHeadersRequest>,
    ) -> Answered<ppb::GetHeadersResponse> {
        let request = request.into_inner();
        let worker = self.worker(&request.runtime_id)?;
        let headers = worker.headers(request.from, request.to);
        Ok(Response::new(headers.map_err(|e| worker_status(&e))?))
    }

    async fn fetch_state(
        &self,
        request: Request<pb::FetchStateRequest>,
    ) -> Answered<pb::StatePage> {
        let request = request.into_inner();
        let worker = self.worker(&request.runtime_id)?;
        let page = worker.fetch_state(request.round, request.after.as_deref());
        Ok(Response::new(page.map_err(|e| worker_status(&e))?))
    }

    async fn fetch_code(
        &self,
        request: Request<pb::FetchCodeRequest>,
    ) -> Answered<pb::FetchCodeReply> {
        let id = CodeId::try_from(request.into_inner().code_id.as_slice())
            .map_err(|e| bad_argument("code_id", e))?;
        let missing = || refusal(Code::NotFound, "node", 6, "this node does not have the module");
        let module = self.services.code.get(&id)?.ok_or_else(missing)?;
        Ok(Response::new(pb::FetchCodeReply { module }))
    }

    async fn store_code(&self, request: Request<pb::StoreCodeRequest>) -> Answered<pb::Ack> {
        self.services.code.upload(request.into_inner().module).await?;
        Ok(Response::new(pb::Ack {}))
    }

    async fn run_query(&self, request: Request<pb::RunQueryRequest>) -> Answered<Answer> {
        let raw = request.into_inner().query;
        let query = Query::decode(&raw, MEDIUM).map_err(|e| bad_argument("query", e))?;
        let worker = self.worker(query.runtime_id.as_bytes())?;
        Ok(Response::new(worker.run_query(query.to_pb()).await.map_err(|e| worker_status(&e))?))
    }

    async fn reveal(&self, request: Request<pb::RevealRequest>) -> Answered<Answer> {
        let request = request.into_inner();
        let worker = self.worker(&request.runtime_id)?;
        let answer = worker.reveal(request.round, request.handle).await;
        Ok(Response::new(answer.map_err(|e| worker_status(&e))?))
    }

    async fn answer_keys(
        &self,
        request: Request<pb::EnclaveRequest>,
    ) -> Answered<pb::EnclaveReply> {
        let request = request.into_inner();
        let host = self.services.keymanager(&runtime(&request.id)?)?;
        let reply = host.answer_keys(request.request).await?;
        Ok(Response::new(pb::EnclaveReply { reply }))
    }

    async fn answer_replication(
        &self,
        request: Request<pb::EnclaveRequest>,
    ) -> Answered<pb::EnclaveReply> {
        let caller = linked(&request);
        let request = request.into_inner();
        let id = runtime(&request.id)?;
        self.check_member(caller, &id).await?;
        let host = self.services.keymanager(&id)?;
        let reply = host.answer_replication(request.request).await?;
        Ok(Response::new(pb::EnclaveReply { reply }))
    }

    async fn get_runtime_public_key(
        &self,
        request: Request<pb::PublicKeyRequest>,
    ) -> Answered<pb::EnclaveReply> {
        let request = request.into_inner();
        let host = self.services.keymanager(&runtime(&request.id)?)?;
        let reply = host.public_key(&runtime(&request.runtime_id)?, Epoch(request.epoch)).await?;
        Ok(Response::new(pb::EnclaveReply { reply }))
    }
}
