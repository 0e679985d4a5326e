//! Links among compute nodes and key managers.
//!
//! A link is gRPC over TLS with raw public keys: the peer must hold the node key that a [`Directory`]
//! names, at one of the addresses that it names. That of workers and key managers is the registry;
//! services for other keys bring their own. Nodes of one process (a development chain) call
//! each other's service directly; it is the same service. What lies below is a [`Network`]; which
//! method serves whom is in docs/protocol/wire.md.

mod dial;
mod directory;
pub mod endpoint;
mod gate;
mod listen;
mod members;
mod network;
mod open;
mod peers;
mod rules;
mod server;
mod stream;
pub mod tls;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use paralith_proto::Wire as _;
use paralith_proto::pb::host::v1::Answer;
use paralith_proto::pb::paratime::v1::{
    GetHeadersRequest, GetHeadersResponse, ProveStateRequest, ProveStateResponse,
};
use paralith_proto::pb::worker::v1::worker_service_client::WorkerServiceClient;
use paralith_proto::pb::worker::v1::{self as pb, Proposal, RoundData, StatePage, VoteMessage};
use paralith_proto::status::error_of;
use paralith_runtime_worker::{Admitted, LinkError, LinkFuture, Links};
use paralith_types::{CodeId, Epoch, Error, Hash, PublicKey, Retry, Round, RuntimeId};
use tonic::{Code, Response, Status};

pub use directory::{Directory, Member, Members, Role};
pub(crate) use listen::{accept_users, bind, http_server};
pub use members::{LinkService, MemberLimits, MemberService};
pub use network::{BothNetworks, Neighbours, Network, ProcessNetwork, TlsNetwork, Wire};
pub use rules::WORKER_SERVICE;
pub(crate) use server::linked;
pub use server::{LinkServer, MemberServices};
pub use stream::Recording;

use crate::chain::ChainAccess;
use peers::Peers;

/// How long a peer may take to answer.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);

/// Largest message over a link: a batch, or a round's write log.
pub(crate) const MAX_MESSAGE_BYTES: usize = 64 * 1024 * 1024;

/// A node's calls to other nodes.
pub struct NodeLinks {
    network: Arc<dyn Network>,
    directory: Arc<dyn Directory>,
    clients: Mutex<BTreeMap<PublicKey, WorkerServiceClient<Wire>>>,
}

impl std::fmt::Debug for NodeLinks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NodeLinks")
    }
}

macro_rules! call {
    ($links:expr, $peer:expr, $method:ident, $message:expr) => {{
        let message = $message;
        let called = async { $links.client($peer).await?.$method(message).await };
        let answered = paralith_rt::timeout(CALL_TIMEOUT, called).await;
        answered
            .unwrap_or_else(|_| Err(Status::deadline_exceeded("the peer did not answer in time")))
            .map(Response::into_inner)
            .map_err(|status| $links.failed($peer, &status))
    }};
}

impl NodeLinks {
    /// Over a network; keys and addresses come from the registry.
    pub fn new(network: Arc<dyn Network>, chain: Arc<ChainAccess>) -> Arc<Self> {
        let directory = Peers::new(chain, true);
        Arc::new(Self { network, directory, clients: Mutex::default() })
    }

    async fn client(&self, peer: &PublicKey) -> Result<WorkerServiceClient<Wire>, Status> {
        let known = self.clients.lock().unwrap_or_else(PoisonError::into_inner).get(peer).cloned();
        if let Some(client) = known {
            return Ok(client);
        }
        let addresses = self
            .directory
            .addresses(*peer)
            .await
            .map_err(|e| Status::unavailable(e.to_string()))?
            .ok_or_else(|| Status::unavailable("the peer is not registered"))?;
        let wire = self
            .network
            .dial(*peer, addresses)
            .await
            .map_err(|error| Status::unavailable(error.to_string()))?;
        let client = WorkerServiceClient::new(wire)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.insert(*peer, client.clone());
        Ok(client)
    }

    fn failed(&self, peer: &PublicKey, status: &Status) -> LinkError {
        // A refusal of the peer's own, not of the way to it.
        let refusal = error_of(status);
        match status.code() {
            Code::NotFound => LinkError::NotFound,
            Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown
                if refusal.is_none() =>
            {
                // The next call connects anew, to the address that is registered then.
                self.clients.lock().unwrap_or_else(PoisonError::into_inner).remove(peer);
                LinkError::Unreachable(status.message().to_string())
            }
            grpc => LinkError::Refused(refusal.unwrap_or_else(|| {
                // Not one of Paralith's: a broken message, say.
                let code = u32::try_from(i32::from(grpc)).unwrap_or(u32::MAX).max(1);
                Error::new("grpc", code, status.message()).with_retry(Retry::OtherPeer)
            })),
        }
    }

    /// Relays a request for keys to a key manager.
    pub async fn answer_keys(
        &self,
        peer: &PublicKey,
        id: &RuntimeId,
        request: Vec<u8>,
    ) -> Result<Vec<u8>, LinkError> {
        let request = pb::EnclaveRequest { id: id.as_bytes().to_vec(), request };
        call!(self, peer, answer_keys, request).map(|reply: pb::EnclaveReply| reply.reply)
    }

    /// Relays a request for secrets to another key manager.
    pub async fn answer_replication(
        &self,
        peer: &PublicKey,
        id: &RuntimeId,
        request: Vec<u8>,
    ) -> Result<Vec<u8>, LinkError> {
        let request = pb::EnclaveRequest { id: id.as_bytes().to_vec(), request };
        call!(self, peer, answer_replication, request).map(|reply: pb::EnclaveReply| reply.reply)
    }

    /// A runtime's public key from a key manager.
    pub async fn public_key(
        &self,
        peer: &PublicKey,
        id: &RuntimeId,
        runtime: &RuntimeId,
        epoch: Epoch,
    ) -> Result<Vec<u8>, LinkError> {
        let request = pb::PublicKeyRequest {
            id: id.as_bytes().to_vec(),
            runtime_id: runtime.as_bytes().to_vec(),
            epoch: epoch.0,
        };
        call!(self, peer, get_runtime_public_key, request)
            .map(|reply: pb::EnclaveReply| reply.reply)
    }

    /// Gives a module to a compute node.
    pub async fn store_code(&self, peer: &PublicKey, module: Vec<u8>) -> Result<(), LinkError> {
        call!(self, peer, store_code, pb::StoreCodeRequest { module }).map(|_: pb::Ack| ())
    }

    /// Has a compute node answer a query.
    pub async fn run_query(&self, peer: &PublicKey, query: Vec<u8>) -> Result<Answer, LinkError> {
        call!(self, peer, run_query, pb::RunQueryRequest { query })
    }

    /// The final round of which a compute node says that it has a transaction.
    pub async fn find_round(
        &self,
        peer: &PublicKey,
        runtime: &RuntimeId,
        tx_hash: &Hash,
    ) -> Result<Round, LinkError> {
        let request = pb::FindRoundRequest {
            runtime_id: runtime.as_bytes().to_vec(),
            tx_hash: tx_hash.as_bytes().to_vec(),
        };
        call!(self, peer, find_round, request).map(|reply: pb::FindRoundReply| Round(reply.round))
    }

    /// Has a compute node prove entries of a state. The user verifies them.
    pub async fn prove_state(
        &self,
        peer: &PublicKey,
        request: ProveStateRequest,
    ) -> Result<ProveStateResponse, LinkError> {
        call!(self, peer, prove_state, request)
    }

    /// Headers of rounds that a compute node has.
    pub async fn headers(
        &self,
        peer: &PublicKey,
        request: GetHeadersRequest,
    ) -> Result<GetHeadersResponse, LinkError> {
        call!(self, peer, get_headers, request)
    }

    /// Has a compute node reveal what a final round asked for.
    pub async fn reveal(
        &self,
        peer: &PublicKey,
        runtime: &RuntimeId,
        round: Round,
        handle: Vec<u8>,
    ) -> Result<Answer, LinkError> {
        let runtime_id = runtime.as_bytes().to_vec();
        call!(self, peer, reveal, pb::RevealRequest { runtime_id, round: round.0, handle })
    }
}

/// A member's result for a transaction. One that cannot be read says nothing about the transaction.
fn admitted(result: pb::Admission) -> Admitted {
    match result.refusal.map(Error::from_pb) {
        None => Ok(()),
        Some(Ok(refusal)) => Err(refusal),
        Some(Err(error)) => Err(Error::new("grpc", 13, error).with_retry(Retry::OtherPeer)),
    }
}

impl Links for NodeLinks {
    fn submit_transactions(
        &self,
        peer: PublicKey,
        runtime: RuntimeId,
        raws: Vec<Vec<u8>>,
    ) -> LinkFuture<'_, Vec<Admitted>> {
        async move {
            let runtime_id = runtime.as_bytes().to_vec();
            let request = pb::TransactionsRequest { runtime_id, transactions: raws };
            call!(self, &peer, submit_transactions, request).map(|reply: pb::TransactionsReply| {
                reply.results.into_iter().map(admitted).collect()
            })
        }
        .boxed()
    }

    fn propose(&self, peer: PublicKey, proposal: Proposal) -> LinkFuture<'_, ()> {
        async move { call!(self, &peer, propose, proposal).map(|_: pb::Ack| ()) }.boxed()
    }

    fn send_vote(&self, peer: PublicKey, vote: VoteMessage) -> LinkFuture<'_, ()> {
        async move { call!(self, &peer, send_vote, vote).map(|_: pb::Ack| ()) }.boxed()
    }

    fn fetch_proposal(
        &self,
        peer: PublicKey,
        runtime: RuntimeId,
        proposal_id: Hash,
    ) -> LinkFuture<'_, Proposal> {
        async move {
            let request = pb::FetchProposalRequest {
                runtime_id: runtime.as_bytes().to_vec(),
                proposal_id: proposal_id.as_bytes().to_vec(),
            };
            call!(self, &peer, fetch_proposal, request)
        }
        .boxed()
    }

    fn fetch_round(
        &self,
        peer: PublicKey,
        runtime: RuntimeId,
        round: Round,
    ) -> LinkFuture<'_, RoundData> {
        async move {
            let runtime_id = runtime.as_bytes().to_vec();
            call!(self, &peer, fetch_round, pb::FetchRoundRequest { runtime_id, round: round.0 })
        }
        .boxed()
    }

    fn fetch_state(
        &self,
        peer: PublicKey,
        runtime: RuntimeId,
        round: Round,
        after: Option<Vec<u8>>,
    ) -> LinkFuture<'_, StatePage> {
        async move {
            let runtime_id = runtime.as_bytes().to_vec();
            let request = pb::FetchStateRequest { runtime_id, round: round.0, after };
            call!(self, &peer, fetch_state, request)
        }
        .boxed()
    }

    fn fetch_code(&self, peer: PublicKey, code: CodeId) -> LinkFuture<'_, Vec<u8>> {
        async move {
            let request = pb::FetchCodeRequest { code_id: code.as_bytes().to_vec() };
            call!(self, &peer, fetch_code, request).map(|reply: pb::FetchCodeReply| reply.module)
        }
        .boxed()
    }
}
