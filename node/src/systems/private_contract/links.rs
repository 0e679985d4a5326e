//! What this member asks the other members of its contracts, over links.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use futures::FutureExt as _;
use paralith_private_contract_grpc::pb;
use paralith_private_contract_grpc::pb::contract_links_client::ContractLinksClient;
use paralith_private_contract_messages::{
    Canonical as _, ContentHash, ContractId, ContractVote, MAX_VOTE_BYTES,
};
use paralith_private_contract_stakeholder::{BatchLog, LinkError, LinkFuture, Links, Page};
use paralith_proto::status::error_of;
use paralith_types::{Error, PublicKey, Retry};
use prost::Message as _;
use tonic::{Code, Response, Status};

use super::lock;
use crate::links::{Directory as _, Members, Network, Wire};

/// Longest answer: a log has 16 MiB of writes and up to 64 calls of 1 MiB.
pub(super) const MAX_ANSWER_BYTES: usize = 96 * 1024 * 1024;

/// Calls to other members.
pub(super) struct MemberLinks {
    network: Arc<dyn Network>,
    members: Arc<Members>,
    clients: Mutex<BTreeMap<PublicKey, ContractLinksClient<Wire>>>,
}

macro_rules! call {
    ($links:expr, $peer:expr, $method:ident, $request:expr) => {{
        let called = async { $links.client($peer).await?.$method($request).await };
        called.await.map(Response::into_inner).map_err(|status| $links.failed($peer, &status))
    }};
}

impl MemberLinks {
    pub(super) fn new(network: Arc<dyn Network>, members: Arc<Members>) -> Arc<Self> {
        Arc::new(Self { network, members, clients: Mutex::default() })
    }

    async fn client(&self, peer: PublicKey) -> Result<ContractLinksClient<Wire>, Status> {
        let known = lock(&self.clients).get(&peer).cloned();
        if let Some(client) = known {
            return Ok(client);
        }
        let addresses = self.members.addresses(peer).await.map_err(Status::from)?;
        let addresses =
            addresses.ok_or_else(|| Status::unavailable("the mediator knows no such member"))?;
        let dialled = self.network.dial(peer, addresses).await;
        let wire = dialled.map_err(|error| Status::unavailable(error.to_string()))?;
        let client = ContractLinksClient::new(wire).max_decoding_message_size(MAX_ANSWER_BYTES);
        lock(&self.clients).insert(peer, client.clone());
        Ok(client)
    }

    fn failed(&self, peer: PublicKey, status: &Status) -> LinkError {
        if status.code() == Code::NotFound {
            return LinkError::NotFound;
        }
        match error_of(status) {
            Some(refusal) => LinkError::Refused(refusal),
            None => {
                // The next call connects anew, to the address that the mediator has then.
                lock(&self.clients).remove(&peer);
                LinkError::Unreachable(status.message().to_string())
            }
        }
    }
}

/// An answer that cannot be read says nothing: another member is asked.
fn unreadable(what: &str, reason: impl std::fmt::Display) -> LinkError {
    let error = Error::new("grpc", 13, format!("{what} cannot be read: {reason}"));
    LinkError::Refused(error.with_retry(Retry::OtherPeer))
}

impl Links for MemberLinks {
    fn send_vote(&self, peer: PublicKey, vote: ContractVote) -> LinkFuture<'_, ()> {
        async move {
            let request = pb::SendVoteRequest { vote: vote.encode() };
            call!(self, peer, send_vote, request).map(|_| ())
        }
        .boxed()
    }

    fn fetch_vote(
        &self,
        peer: PublicKey,
        contract: ContractId,
        batch: u64,
        index: u32,
    ) -> LinkFuture<'_, ContractVote> {
        async move {
            let contract_id = contract.0.to_vec();
            let request = pb::FetchVoteRequest { contract_id, batch, index };
            let answer = call!(self, peer, fetch_vote, request)?;
            ContractVote::decode(&answer.vote, MAX_VOTE_BYTES).map_err(|e| unreadable("a vote", e))
        }
        .boxed()
    }

    fn fetch_batch(
        &self,
        peer: PublicKey,
        contract: ContractId,
        batch: u64,
    ) -> LinkFuture<'_, BatchLog> {
        async move {
            let request = pb::FetchBatchRequest { contract_id: contract.0.to_vec(), batch };
            let answer = call!(self, peer, fetch_batch, request)?;
            BatchLog::decode(answer.log.as_slice()).map_err(|e| unreadable("a log", e))
        }
        .boxed()
    }

    fn fetch_page(
        &self,
        peer: PublicKey,
        contract: ContractId,
        batch: u64,
        after: Option<Vec<u8>>,
    ) -> LinkFuture<'_, Page> {
        async move {
            let request = pb::FetchPagesRequest { contract_id: contract.0.to_vec(), batch, after };
            let answer = call!(self, peer, fetch_pages, request)?;
            Page::decode(answer.page.as_slice()).map_err(|e| unreadable("a page", e))
        }
        .boxed()
    }

    fn fetch_content(
        &self,
        peer: PublicKey,
        contract: ContractId,
        content: ContentHash,
    ) -> LinkFuture<'_, Vec<u8>> {
        async move {
            let (contract_id, content_hash) = (contract.0.to_vec(), content.0.to_vec());
            let request = pb::FetchContentRequest { contract_id, content_hash };
            call!(self, peer, fetch_content, request).map(|answer| answer.content)
        }
        .boxed()
    }
}
