//! The four ABCI services. Each takes CometBFT's request and gives CometBFT's response.

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use paralith_types::Height;
use tendermint::abci::request::{CheckTxKind, PrepareProposal, Query};
use tendermint::abci::response;
use tendermint::v0_38::abci::{
    ConsensusRequest, ConsensusResponse, InfoRequest, InfoResponse, MempoolRequest,
    MempoolResponse, SnapshotRequest, SnapshotResponse,
};
use tower::Service;
use tower_abci::BoxError;

use crate::application::{Application, CheckKind, Shared};
use crate::convert;

/// The protocol version that headers carry.
pub const APP_VERSION: u64 = 1;

type Answer<R> = Pin<Box<dyn Future<Output = Result<R, BoxError>> + Send>>;

/// All four over one application.
#[derive(Debug, Clone)]
pub struct Services {
    /// Blocks.
    pub consensus: ConsensusService,
    /// The pool.
    pub mempool: MempoolService,
    /// Reads.
    pub info: InfoService,
    /// State synchronisation.
    pub snapshot: SnapshotService,
}

impl Services {
    /// The services of an application.
    pub fn new(application: &Application) -> Self {
        Self {
            consensus: ConsensusService { shared: application.shared() },
            mempool: MempoolService { application: application.clone() },
            info: InfoService { shared: application.shared() },
            snapshot: SnapshotService,
        }
    }
}

/// Blocks: called by one engine, one call at a time.
#[derive(Debug, Clone)]
pub struct ConsensusService {
    shared: Arc<Shared>,
}

impl Service<ConsensusRequest> for ConsensusService {
    type Response = ConsensusResponse;
    type Error = BoxError;
    type Future = Answer<ConsensusResponse>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: ConsensusRequest) -> Self::Future {
        let shared = Arc::clone(&self.shared);
        Box::pin(answer(shared, move |shared| consensus(shared, request)))
    }
}

/// Runs a call where it may take its time. A failure is reported to the supervisor and never answered:
/// to vote on damaged state would be worse than silence, and an error would end the process.
async fn answer<R: Send + 'static>(
    shared: Arc<Shared>,
    call: impl FnOnce(&Shared) -> Result<R, String> + Send + 'static,
) -> Result<R, BoxError> {
    let worker = Arc::clone(&shared);
    let result = match paralith_rt::blocking(move || call(&worker)).await {
        Ok(result) => result,
        Err(e) => Err(format!("a call ended early: {e}")),
    };
    match result {
        Ok(response) => Ok(response),
        Err(reason) => {
            shared.fail(reason);
            pending().await
        }
    }
}

fn consensus(shared: &Shared, request: ConsensusRequest) -> Result<ConsensusResponse, String> {
    use ConsensusRequest as Request;
    use ConsensusResponse as Response;
    Ok(match request {
        Request::InitChain(request) => {
            let (validators, root) =
                shared.init_chain(&request.chain_id, &request.app_state_bytes)?;
            Response::InitChain(response::InitChain {
                consensus_params: None,
                validators: convert::updates_to(&validators)?,
                app_hash: convert::app_hash_to(&root),
            })
        }
        Request::PrepareProposal(request) => prepare(shared, request),
        Request::ProcessProposal(request) => {
            let accept = shared.process(&convert::proposal_from(request));
            Response::ProcessProposal(if accept {
                response::ProcessProposal::Accept
            } else {
                response::ProcessProposal::Reject
            })
        }
        // Vote extensions are off; an empty one is what CometBFT expects if they were on.
        Request::ExtendVote(_) => {
            Response::ExtendVote(response::ExtendVote { vote_extension: Default::default() })
        }
        Request::VerifyVoteExtension(_) => {
            Response::VerifyVoteExtension(response::VerifyVoteExtension::Accept)
        }
        Request::FinalizeBlock(request) => {
            let txs = request.txs.len();
            let output =
                shared.finalise(convert::finalize_from(request)).map_err(|e| e.to_string())?;
            // CometBFT stops on a count that differs; better to know where it came from.
            if output.txs.len() != txs {
                return Err(format!("{} results for {txs} transactions", output.txs.len()));
            }
            Response::FinalizeBlock(convert::finalize_to(&output)?)
        }
        Request::Commit => {
            shared.commit().map_err(|e| e.to_string())?;
            Response::Commit(response::Commit::default())
        }
    })
}

fn prepare(shared: &Shared, request: PrepareProposal) -> ConsensusResponse {
    let max_bytes = usize::try_from(request.max_tx_bytes).unwrap_or(0);
    let txs = request.txs.into_iter().map(Vec::from).collect();
    let txs = shared.prepare(txs, max_bytes);
    ConsensusResponse::PrepareProposal(response::PrepareProposal {
        txs: txs.into_iter().map(Into::into).collect(),
    })
}

/// The pool: checks run in the order of the calls.
#[derive(Debug, Clone)]
pub struct MempoolService {
    application: Application,
}

impl Service<MempoolRequest> for MempoolService {
    type Response = MempoolResponse;
    type Error = BoxError;
    type Future = Answer<MempoolResponse>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: MempoolRequest) -> Self::Future {
        let MempoolRequest::CheckTx(request) = request;
        let kind = match request.kind {
            CheckTxKind::New => CheckKind::Offered,
            CheckTxKind::Recheck => CheckKind::Rechecked,
        };
        let application = self.application.clone();
        let raw = request.tx.into();
        Box::pin(async move {
            let outcome = application.check(raw, kind).await;
            Ok(MempoolResponse::CheckTx(convert::check_to(&outcome)))
        })
    }
}

/// Reads.
#[derive(Debug, Clone)]
pub struct InfoService {
    shared: Arc<Shared>,
}

impl Service<InfoRequest> for InfoService {
    type Response = InfoResponse;
    type Error = BoxError;
    type Future = Answer<InfoResponse>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: InfoRequest) -> Self::Future {
        let shared = Arc::clone(&self.shared);
        Box::pin(answer(shared, move |shared| Ok(info(shared, request))))
    }
}

fn info(shared: &Shared, request: InfoRequest) -> InfoResponse {
    match request {
        InfoRequest::Info(_) => {
            let info = shared.info();
            // Before the first block there is no app hash; CometBFT wants none, then.
            let app_hash = if info.height == Height(0) {
                tendermint::AppHash::default()
            } else {
                convert::app_hash_to(&info.app_hash)
            };
            InfoResponse::Info(response::Info {
                data: "paralith".to_string(),
                version: env!("CARGO_PKG_VERSION").to_string(),
                app_version: APP_VERSION,
                last_block_height: convert::height_to(info.height).unwrap_or_default(),
                last_block_app_hash: app_hash,
            })
        }
        InfoRequest::Echo(echo) => InfoResponse::Echo(response::Echo { message: echo.message }),
        InfoRequest::Query(request) => InfoResponse::Query(query(shared, request)),
    }
}

/// The request's data is the key, its height 0 the latest. The path says nothing.
fn query(shared: &Shared, request: Query) -> response::Query {
    let height = Some(convert::height_from(request.height)).filter(|height| height.0 != 0);
    match shared.query(height, &request.data) {
        Ok(proven) => convert::query_to(proven, &request.data, request.prove),
        Err(error) => response::Query {
            code: error.code().into(),
            codespace: "app".to_string(),
            log: error.to_string(),
            ..response::Query::default()
        },
    }
}

/// State synchronisation: this application offers no snapshots and takes none.
#[derive(Debug, Clone, Copy)]
pub struct SnapshotService;

impl Service<SnapshotRequest> for SnapshotService {
    type Response = SnapshotResponse;
    type Error = BoxError;
    type Future = Answer<SnapshotResponse>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: SnapshotRequest) -> Self::Future {
        let response = match request {
            SnapshotRequest::ListSnapshots => SnapshotResponse::ListSnapshots(Default::default()),
            SnapshotRequest::OfferSnapshot(_) => {
                SnapshotResponse::OfferSnapshot(response::OfferSnapshot::Reject)
            }
            SnapshotRequest::LoadSnapshotChunk(_) => {
                SnapshotResponse::LoadSnapshotChunk(Default::default())
            }
            SnapshotRequest::ApplySnapshotChunk(_) => {
                let result = response::ApplySnapshotChunkResult::Abort;
                SnapshotResponse::ApplySnapshotChunk(response::ApplySnapshotChunk {
                    result,
                    ..Default::default()
                })
            }
        };
        Box::pin(std::future::ready(Ok(response)))
    }
}
