//! What other members ask this one, over links. The caller is the key of the handshake.

use std::sync::Arc;

use paralith_private_contract_core::StakeholderError;
use paralith_private_contract_grpc::pb::contract_links_server::{
    ContractLinks, ContractLinksServer,
};
use paralith_private_contract_grpc::{LINKS_SERVICE, pb};
use paralith_private_contract_messages::{
    Canonical as _, ContentHash, ContractId, ContractVote, MAX_VOTE_BYTES,
};
use paralith_private_contract_stakeholder::{Server, ServiceError};
use paralith_proto::status::status_of;
use paralith_types::{Error, PublicKey};
use prost::Message as _;
use tonic::{Code, Request, Response, Status};
use tower::util::BoxCloneSyncService;

use super::Shared;
use super::links::MAX_ANSWER_BYTES;
use crate::links::{LinkService, MemberLimits, linked};
use crate::rpc::{bad_argument, grpc_code};

/// Longest request: a vote.
const MAX_REQUEST_BYTES: usize = MAX_VOTE_BYTES + 1024;

type Answered<T> = Result<Response<T>, Status>;

/// The service for the links of a node.
pub(super) fn service(shared: &Arc<Shared>) -> LinkService {
    let server = ContractLinksServer::new(Links(Arc::clone(shared)))
        .max_decoding_message_size(MAX_REQUEST_BYTES)
        .max_encoding_message_size(MAX_ANSWER_BYTES);
    LinkService {
        name: LINKS_SERVICE,
        service: BoxCloneSyncService::new(server),
        directory: shared.members.clone(),
        limits: MemberLimits::default(),
    }
}

/// `ContractLinks`.
#[derive(Debug, Clone)]
struct Links(Arc<Shared>);

/// A refusal as gRPC carries it.
pub(super) fn refused(error: impl Into<Error>) -> Status {
    let error = error.into();
    status_of(grpc_code(&error), &error)
}

/// A contract's id in a request.
pub(super) fn contract_id(bytes: &[u8]) -> Result<ContractId, Status> {
    ContractId::try_from(bytes).map_err(|e| bad_argument("contract_id", e))
}

fn caller<T>(request: &Request<T>) -> Result<PublicKey, Status> {
    linked(request).ok_or_else(|| refused(StakeholderError::NotAMember))
}

impl Links {
    fn server(&self, contract: &[u8]) -> Result<Server, Status> {
        let id = contract_id(contract)?;
        self.0.server(&id).ok_or_else(|| refused(StakeholderError::NoSuchContract))
    }
}

/// Reads of the store take a moment: the async threads go on meanwhile.
fn blocking<T>(work: impl FnOnce() -> Result<T, ServiceError>) -> Result<T, Status> {
    paralith_rt::in_place(work).map_err(refused)
}

fn missing(what: &str) -> Status {
    Status::new(Code::NotFound, format!("this member does not have {what}"))
}

#[tonic::async_trait]
impl ContractLinks for Links {
    async fn send_vote(
        &self,
        request: Request<pb::SendVoteRequest>,
    ) -> Answered<pb::SendVoteResponse> {
        let peer = caller(&request)?;
        let vote = ContractVote::decode(&request.into_inner().vote, MAX_VOTE_BYTES)
            .map_err(|e| bad_argument("vote", e))?;
        let server = self.server(vote.contract_id.as_bytes())?;
        blocking(|| server.send_vote(&peer, vote))?;
        Ok(Response::new(pb::SendVoteResponse {}))
    }

    async fn fetch_vote(
        &self,
        request: Request<pb::FetchVoteRequest>,
    ) -> Answered<pb::FetchVoteResponse> {
        let peer = caller(&request)?;
        let request = request.into_inner();
        let server = self.server(&request.contract_id)?;
        let vote = blocking(|| server.fetch_vote(&peer, request.batch, request.index))?;
        let vote = vote.ok_or_else(|| missing("the vote"))?.encode();
        Ok(Response::new(pb::FetchVoteResponse { vote }))
    }

    async fn fetch_batch(
        &self,
        request: Request<pb::FetchBatchRequest>,
    ) -> Answered<pb::FetchBatchResponse> {
        let peer = caller(&request)?;
        let request = request.into_inner();
        let server = self.server(&request.contract_id)?;
        let log = blocking(|| server.fetch_batch(&peer, request.batch))?.encode_to_vec();
        Ok(Response::new(pb::FetchBatchResponse { log }))
    }

    async fn fetch_pages(
        &self,
        request: Request<pb::FetchPagesRequest>,
    ) -> Answered<pb::FetchPagesResponse> {
        let peer = caller(&request)?;
        let request = request.into_inner();
        let server = self.server(&request.contract_id)?;
        let page = blocking(|| server.fetch_page(&peer, request.batch, request.after.as_deref()))?;
        Ok(Response::new(pb::FetchPagesResponse { page: page.encode_to_vec() }))
    }

    async fn fetch_content(
        &self,
        request: Request<pb::FetchContentRequest>,
    ) -> Answered<pb::FetchContentResponse> {
        let peer = caller(&request)?;
        let request = request.into_inner();
        let server = self.server(&request.contract_id)?;
        let hash = ContentHash::try_from(request.content_hash.as_slice())
            .map_err(|e| bad_argument("content_hash", e))?;
        let content = blocking(|| server.fetch_content(&peer, &hash))?;
        let content = content.ok_or_else(|| missing("the content"))?;
        Ok(Response::new(pb::FetchContentResponse { content }))
    }
}
