//! `EndorserService`: what users ask an endorser. The host forwards bytes within limits and decides
//! nothing: what an answer is worth, its proof, signature or seal says.

use std::sync::Arc;
use std::time::Duration;

use paralith_chaincode_core::EndorseError;
use paralith_chaincode_core::hashes::proposal_is_signed;
use paralith_chaincode_endorser::calls::{EvaluateRequest, MAX_QUERY_BYTES, RevealRequest};
use paralith_chaincode_endorser::{EndorserHost, HostError};
use paralith_chaincode_grpc::pb;
use paralith_chaincode_grpc::pb::endorser_service_server::{
    EndorserService, EndorserServiceServer,
};
use paralith_chaincode_messages::{
    MAX_RESPONSE_BYTES, Message as _, Proposal, Response as CallResponse, SignedProposal,
};
use paralith_proto::Canonical as _;
use paralith_proto::status::status_of;
use paralith_runtime_api::query::Query;
use paralith_runtime_api::tx::Body;
use paralith_types::{Epoch, Error, Hash, Height, Retry};
use tokio::sync::OwnedSemaphorePermit;
use tonic::{Request, Response, Status};

use super::endorser::{Running, Shared};
use crate::error::NodeError;
use crate::rpc::{PublicService, bad_argument, grpc_code};

/// Longest request: a response to release.
const MAX_REQUEST_BYTES: usize = MAX_RESPONSE_BYTES + 64 * 1024;

const _: () = assert!(MAX_QUERY_BYTES < MAX_REQUEST_BYTES);

/// How far a caller's view of the chain may be ahead of this node's.
const MAX_BLOCKS_AHEAD: u64 = 8;

/// How long a call waits for the ledger's state at its anchor, and for the keys of its epoch.
const STATE_TIMEOUT: Duration = Duration::from_secs(10);

type Answered<T> = Result<Response<T>, Status>;

/// The service, for a node's public routes.
pub(super) fn service(shared: &Arc<Shared>) -> PublicService {
    let shared = Arc::clone(shared);
    PublicService {
        add: Arc::new(move |routes| {
            routes.add_service(
                EndorserServiceServer::new(Service(Arc::clone(&shared)))
                    .max_decoding_message_size(MAX_REQUEST_BYTES),
            )
        }),
        descriptors: paralith_chaincode_grpc::DESCRIPTORS,
    }
}

#[derive(Debug, Clone)]
struct Service(Arc<Shared>);

/// A refusal as gRPC carries it.
fn refused(error: impl Into<Error>) -> Status {
    let error = error.into();
    status_of(grpc_code(&error), &error)
}

/// A refusal of the enclave under its own module and code, with what a caller can do about it: what the
/// enclave cannot see yet, or this one cannot do, may be asked again or elsewhere.
fn host_refused(error: HostError) -> Status {
    let error: Error = error.into();
    let retry = match (error.module.as_str(), error.code) {
        // Not fresh, no anchor, not committed: the enclave's view goes on.
        ("endorse", 5 | 8 | 22) => Retry::Later,
        // Not registered, replaced, other code.
        ("endorse", 6 | 7 | 11) => Retry::OtherPeer,
        ("endorse", _) => error.retry,
        _ => Retry::Later,
    };
    refused(error.with_retry(retry))
}

/// Why the host gives no answer of its enclave.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum ServeError {
    /// Too many calls of one client.
    #[error("this client has no more calls in this block: try again in the next one")]
    Quota,
    /// Too many calls of all clients.
    #[error("this endorser has no place for another call: try again")]
    Full,
    /// Nothing runs.
    #[error("this endorser does not serve yet: {0}")]
    NotServing(String),
    /// It did not endorse the call, or has forgotten it.
    #[error("this endorser kept no response of the call {0}: give the response")]
    NotKept(Hash),
}

impl ServeError {
    /// The stable number of this error in the module "endorser".
    fn code(&self) -> u32 {
        match self {
            Self::Quota => 5,
            Self::Full => 6,
            Self::NotServing(_) => 7,
            Self::NotKept(_) => 8,
        }
    }
}

impl From<ServeError> for Error {
    fn from(error: ServeError) -> Self {
        let retry = match error {
            ServeError::Quota | ServeError::Full => Retry::Later,
            ServeError::NotServing(_) | ServeError::NotKept(_) => Retry::OtherPeer,
        };
        Self::new("endorser", error.code(), error).with_retry(retry)
    }
}

impl Service {
    fn running(&self) -> Result<Running, Status> {
        let running = self.0.running();
        running.ok_or_else(|| refused(ServeError::NotServing(self.0.reason())))
    }

    fn place(&self) -> Result<OwnedSemaphorePermit, Status> {
        let place = Arc::clone(&self.0.places).try_acquire_owned();
        place.map_err(|_| refused(ServeError::Full))
    }

    /// Waits until the enclave has the keys of an epoch that has just begun. Callers may see it earlier,
    /// and the enclave fetches them only then.
    async fn have_keys(&self, epoch: Epoch) {
        let mut keyed = self.0.keyed();
        if epoch.0.saturating_sub(keyed.borrow().0) != 1 {
            return;
        }
        let waited = keyed.wait_for(|keyed| *keyed >= epoch);
        let _ = paralith_rt::timeout(STATE_TIMEOUT, waited).await;
    }

    /// Runs a call of the enclave, which blocks, on a thread for that.
    async fn ask<T: Send + 'static>(
        &self,
        place: OwnedSemaphorePermit,
        host: Arc<EndorserHost>,
        ask: impl FnOnce(&EndorserHost) -> Result<T, HostError> + Send + 'static,
    ) -> Result<T, Status> {
        let asked = paralith_rt::blocking(move || {
            let answer = ask(&host);
            drop(place);
            answer
        });
        let answer = asked.await.map_err(|e| NodeError::internal(&e))?;
        answer.map_err(host_refused)
    }
}

/// Waits until the ledger's state at a height is here. If it does not come the enclave is asked
/// anyway: it knows better why not. Nobody waits here for a height far ahead.
async fn reach(running: &Running, height: Height) {
    let mut applied = running.follower.applied();
    let ahead = height.0.saturating_sub(applied.borrow().height.0);
    if ahead > MAX_BLOCKS_AHEAD {
        return;
    }
    let waited = async {
        while applied.borrow_and_update().height < height {
            if applied.changed().await.is_err() {
                return;
            }
        }
    };
    let _ = paralith_rt::timeout(STATE_TIMEOUT, waited).await;
}

#[tonic::async_trait]
impl EndorserService for Service {
    async fn endorse(&self, request: Request<pb::EndorseRequest>) -> Answered<pb::EndorseResponse> {
        let bytes = request.into_inner().signed_proposal;
        let form = |e: &dyn std::fmt::Display| refused(EndorseError::Form(e.to_string()));
        let signed = SignedProposal::decode(&bytes).map_err(|e| form(&e))?;
        let proposal = Proposal::decode(&signed.proposal).map_err(|e| form(&e))?;
        let running = self.running()?;
        let applied = running.follower.applied().borrow().height;
        // CC-3: the host's own check, so that nobody uses up another client's calls.
        if !proposal_is_signed(&signed, &proposal.chain_context) {
            return Err(refused(EndorseError::Signature));
        }
        if !self.0.quota().take(applied.0, &signed.public_key) {
            return Err(refused(ServeError::Quota));
        }
        let place = self.place()?;
        reach(&running, proposal.anchor).await;
        self.have_keys(proposal.envelope.epoch).await;
        let endorsed = self.ask(place, running.host, |host| host.endorse(bytes)).await?;
        Ok(Response::new(pb::EndorseResponse {
            response: endorsed.response,
            endorsement: endorsed.endorsement,
            early: endorsed.early,
        }))
    }

    async fn release(&self, request: Request<pb::ReleaseRequest>) -> Answered<pb::ReleaseResponse> {
        let pb::ReleaseRequest { response, tx_id } = request.into_inner();
        let running = self.running()?;
        let response = match response.is_empty() {
            false => response,
            true => {
                let tx_id =
                    Hash::try_from(tx_id.as_slice()).map_err(|e| bad_argument("tx_id", e))?;
                let kept = paralith_rt::in_place(|| running.host.response(&tx_id));
                kept.map_err(host_refused)?.ok_or_else(|| refused(ServeError::NotKept(tx_id)))?
            }
        };
        CallResponse::decode(&response).map_err(|e| bad_argument("response", e))?;
        let (place, sent) = (self.place()?, response.clone());
        let opened = self.ask(place, running.host, |host| host.release(sent)).await?;
        Ok(Response::new(pb::ReleaseResponse { opened, response }))
    }

    async fn evaluate(
        &self,
        request: Request<pb::EvaluateRequest>,
    ) -> Answered<pb::EvaluateResponse> {
        let pb::EvaluateRequest { query, at_least, certificate } = request.into_inner();
        let (running, place) = (self.running()?, self.place()?);
        reach(&running, Height(at_least)).await;
        let asked = Query::decode(&query, MAX_QUERY_BYTES).map_err(|e| bad_argument("query", e))?;
        if let Body::Envelope(envelope) = &asked.body {
            self.have_keys(envelope.epoch).await;
        }
        let request = EvaluateRequest { query, at_least, certificate };
        let answered = self.ask(place, running.host, |host| host.evaluate(request)).await?;
        Ok(Response::new(pb::EvaluateResponse {
            round: answered.round,
            state_root: answered.state_root,
            height: answered.height,
            output: answered.output,
        }))
    }

    async fn reveal(&self, request: Request<pb::RevealRequest>) -> Answered<pb::RevealResponse> {
        let pb::RevealRequest { tx_id, handle } = request.into_inner();
        let (running, place) = (self.running()?, self.place()?);
        let request = RevealRequest { tx_id, handle };
        let answered = self.ask(place, running.host, |host| host.reveal(request)).await?;
        Ok(Response::new(pb::RevealResponse {
            round: answered.round,
            state_root: answered.state_root,
            height: answered.height,
            output: answered.output,
        }))
    }

    async fn status(&self, _: Request<pb::StatusRequest>) -> Answered<pb::StatusResponse> {
        Ok(Response::new(self.0.status()))
    }
}
