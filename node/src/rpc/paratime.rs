//! ParaTimes to their users: the gateway decides, this file carries its answers.

use std::pin::Pin;
use std::sync::Arc;

use futures::Stream;
use paralith_proto::Canonical as _;
use paralith_proto::pb::host::v1::Answer;
use paralith_proto::pb::paratime::v1 as ppb;
use paralith_proto::status::status_of;
use paralith_runtime_api::query::Query;
use paralith_runtime_gateway::{Gateway, GatewayError, MAX_TX_BYTES};
use paralith_runtime_worker::Chain;
use paralith_types::{CodeId, Hash, Retry, Round, RuntimeId};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Response, Status};

use super::members::NodeMembers;
use super::{bad_argument, refusal};
use crate::state::NodeState;

/// How many confirmations wait for a slow reader; a transaction has three.
const RECEIPTS_QUEUED: usize = 4;

/// How many rounds wait for a slow watcher.
const ROUNDS_QUEUED: usize = 64;

type Receipts = Pin<Box<dyn Stream<Item = Result<ppb::Receipt, Status>> + Send>>;
type Rounds = Pin<Box<dyn Stream<Item = Result<ppb::Round, Status>> + Send>>;

/// `ParaTimeService`.
#[derive(Debug, Clone)]
pub(super) struct ParaTime {
    state: Arc<NodeState>,
    gateway: Gateway,
}

impl ParaTime {
    pub(super) fn new(state: Arc<NodeState>) -> Self {
        let chain = Arc::clone(&state.chain) as Arc<dyn Chain>;
        let members = Arc::new(NodeMembers(Arc::clone(&state)));
        Self { gateway: Gateway::new(state.node_id, chain, members), state }
    }

    /// Sends the confirmations of a transaction until its reader is gone or the node stops.
    async fn submit_inner(
        self,
        raw: Vec<u8>,
        wait_for: ppb::Confirmation,
        sender: mpsc::Sender<Result<ppb::Receipt, Status>>,
    ) {
        let (receipts, mut confirmed) = mpsc::channel(RECEIPTS_QUEUED);
        let gateway = self.gateway.clone();
        let submitting = async move { gateway.submit(raw, wait_for, &receipts).await };
        let carrying = async {
            while let Some(receipt) = confirmed.recv().await {
                if sender.send(Ok(receipt)).await.is_err() {
                    // The receipts' channel closes, which ends the submission.
                    confirmed.close();
                }
            }
        };
        let both = async { futures::join!(submitting, carrying).0 };
        let submitted = tokio::select! {
            biased;
            () = self.state.stop.cancelled() => Err(GatewayError::Stopping),
            () = sender.closed() => return,
            submitted = both => submitted,
        };
        if let Err(error) = submitted {
            let _ = sender.send(Err(status(&error))).await;
        }
    }

    async fn watch_inner(
        self,
        id: RuntimeId,
        mut after: Round,
        sender: mpsc::Sender<Result<ppb::Round, Status>>,
    ) {
        loop {
            let next = tokio::select! {
                biased;
                () = self.state.stop.cancelled() => Err(GatewayError::Stopping),
                () = sender.closed() => return,
                next = self.gateway.next_watched(&id, after) => next,
            };
            let failed = next.is_err();
            let next = next.map(|round| round.public()).map_err(|error| status(&error));
            if sender.send(next).await.is_err() || failed {
                return;
            }
            after = after.next();
        }
    }
}

/// A refusal as gRPC carries it. The gRPC code is for clients that know no other; what can be done is
/// in the refusal itself.
fn status(error: &GatewayError) -> Status {
    let grpc = match error {
        GatewayError::NoParaTime { .. }
        | GatewayError::NoRound { .. }
        | GatewayError::NoReceipt => Code::NotFound,
        other => match other.retry() {
            Retry::Later | Retry::OtherPeer => Code::Unavailable,
            Retry::AlreadyFinal { .. } => Code::AlreadyExists,
            Retry::NonceIs { .. } => Code::FailedPrecondition,
            Retry::Never => Code::InvalidArgument,
        },
    };
    status_of(grpc, &error.refusal())
}

fn runtime_id(bytes: &[u8]) -> Result<RuntimeId, Status> {
    RuntimeId::try_from(bytes).map_err(|e| bad_argument("runtime_id", e))
}

fn answered(answer: Answer) -> Response<ppb::QueryResponse> {
    let Answer { round, state_root, output, height } = answer;
    Response::new(ppb::QueryResponse { round, state_root, output, height })
}

#[tonic::async_trait]
impl ppb::para_time_service_server::ParaTimeService for ParaTime {
    type SubmitStream = Receipts;
    type WatchRoundsStream = Rounds;

    async fn submit(
        &self,
        request: Request<ppb::SubmitRequest>,
    ) -> Result<Response<Receipts>, Status> {
        let request = request.into_inner();
        let wait_for = match request.wait_for() {
            ppb::Confirmation::Unspecified => ppb::Confirmation::Final,
            other => other,
        };
        let (sender, receiver) = mpsc::channel(RECEIPTS_QUEUED);
        paralith_rt::spawn(self.clone().submit_inner(request.transaction, wait_for, sender));
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn get_receipt(
        &self,
        request: Request<ppb::GetReceiptRequest>,
    ) -> Result<Response<ppb::Receipt>, Status> {
        let request = request.into_inner();
        let id = runtime_id(&request.runtime_id)?;
        let hash =
            Hash::try_from(request.tx_hash.as_slice()).map_err(|e| bad_argument("tx_hash", e))?;
        self.gateway.receipt(&id, &hash).await.map(Response::new).map_err(|e| status(&e))
    }

    async fn query(
        &self,
        request: Request<ppb::QueryRequest>,
    ) -> Result<Response<ppb::QueryResponse>, Status> {
        let raw = request.into_inner().query;
        let query = Query::decode(&raw, MAX_TX_BYTES).map_err(|e| bad_argument("query", e))?;
        self.gateway.query(&query).await.map(answered).map_err(|e| status(&e))
    }

    async fn reveal(
        &self,
        request: Request<ppb::RevealRequest>,
    ) -> Result<Response<ppb::QueryResponse>, Status> {
        let request = request.into_inner();
        let id = runtime_id(&request.runtime_id)?;
        let revealed = self.gateway.reveal(&id, Round(request.round), request.handle).await;
        revealed.map(answered).map_err(|e| status(&e))
    }

    async fn watch_rounds(
        &self,
        request: Request<ppb::WatchRoundsRequest>,
    ) -> Result<Response<Rounds>, Status> {
        let id = runtime_id(&request.into_inner().runtime_id)?;
        let after = self.gateway.newest_round(&id).await.map_err(|e| status(&e))?;
        let (sender, receiver) = mpsc::channel(ROUNDS_QUEUED);
        paralith_rt::spawn(self.clone().watch_inner(id, after, sender));
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn get_round(
        &self,
        request: Request<ppb::GetRoundRequest>,
    ) -> Result<Response<ppb::Round>, Status> {
        let request = request.into_inner();
        let id = runtime_id(&request.runtime_id)?;
        let round = match request.newest {
            true => self.gateway.newest_round(&id).await.map_err(|e| status(&e))?,
            false => Round(request.round),
        };
        let found = self.gateway.round(&id, round).await.map_err(|e| status(&e))?;
        Ok(Response::new(found.public()))
    }

    async fn prove_state(
        &self,
        request: Request<ppb::ProveStateRequest>,
    ) -> Result<Response<ppb::ProveStateResponse>, Status> {
        let request = request.into_inner();
        let id = runtime_id(&request.runtime_id)?;
        let proven = self.gateway.prove_state(&id, &request).await;
        proven.map(Response::new).map_err(|e| status(&e))
    }

    async fn get_headers(
        &self,
        request: Request<ppb::GetHeadersRequest>,
    ) -> Result<Response<ppb::GetHeadersResponse>, Status> {
        let request = request.into_inner();
        let id = runtime_id(&request.runtime_id)?;
        self.gateway.headers(&id, &request).await.map(Response::new).map_err(|e| status(&e))
    }

    async fn upload_code(
        &self,
        request: Request<ppb::UploadCodeRequest>,
    ) -> Result<Response<ppb::UploadCodeResponse>, Status> {
        let id = crate::code::upload(&self.state, request.into_inner().module).await?;
        Ok(Response::new(ppb::UploadCodeResponse { code_id: id.as_bytes().to_vec() }))
    }

    async fn get_code(
        &self,
        request: Request<ppb::GetCodeRequest>,
    ) -> Result<Response<ppb::GetCodeResponse>, Status> {
        let id = CodeId::try_from(request.into_inner().code_id.as_slice())
            .map_err(|e| bad_argument("code_id", e))?;
        let missing = || refusal(Code::NotFound, "node", 6, "this node does not have the module");
        let module = self.state.services.code.get(&id)?.ok_or_else(missing)?;
        Ok(Response::new(ppb::GetCodeResponse { module }))
    }
}
