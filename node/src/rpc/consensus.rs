//! The consensus layer to its users.

use std::pin::Pin;
use std::sync::Arc;

use futures::Stream;
use paralith_consensus_abci::BlockEvent;
use paralith_consensus_api::beacon;
use paralith_consensus_api::registry;
use paralith_consensus_api::tx::hash_of;
use paralith_consensus_app::TxOutcome;
use paralith_proto::status::status_of;
use paralith_proto::{Wire, pb};
use paralith_rt::TaskSet;
use paralith_types::{Error, Hash, Height, PublicKey, Retry};
use pb::consensus::v1 as cpb;
use tokio::sync::broadcast;
use tonic::{Code, Request, Response, Status};

use super::waiting::Waiting;
use super::{bad_argument, grpc_code, refusal};
use crate::chain::ChainAccess;
use crate::error::NodeError;
use crate::state::NodeState;

/// The code of `consensus::Error::Duplicate` within module "consensus".
const DUPLICATE: u32 = 13;

/// How long a transaction is waited for before its sender has to ask again.
const WAIT: std::time::Duration = std::time::Duration::from_secs(60);

/// `ConsensusService`.
#[derive(Debug)]
pub(super) struct Consensus {
    state: Arc<NodeState>,
    waiting: Arc<Waiting>,
    /// Wakes waiters; ends with the service.
    _waker: TaskSet,
}

impl Consensus {
    pub(super) fn new(state: Arc<NodeState>) -> Self {
        let waiting = Arc::<Waiting>::default();
        let mut blocks = state.chain.subscribe_results();
        let woken = Arc::clone(&waiting);
        let mut waker = TaskSet::new();
        waker.spawn(async move {
            loop {
                match blocks.recv().await {
                    Ok(block) => woken.wake(&block),
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return,
                }
            }
        });
        Self { state, waiting, _waker: waker }
    }

    async fn admit(&self, raw: Vec<u8>) -> Result<(), Error> {
        match self.state.chain.submit_raw(raw).await {
            Ok(outcome) => outcome.error().map_or(Ok(()), Err),
            Err(error) => Err(error.to_wire()),
        }
    }

    async fn block(&self, height: u64) -> Result<cpb::Block, Status> {
        let chain = &self.state.chain;
        let newest = chain.committed();
        let height = if height == 0 { newest } else { height };
        if height == 0 || height > newest {
            let text = format!("there is no block {height} yet: the newest is {newest}, try again");
            let error = Error::new("node", 9, text).with_retry(Retry::Later);
            return Err(status_of(Code::Unavailable, &error));
        }
        let Some(block) = chain.results(height).await? else {
            let what = format!("the results of block {height}");
            return Err(no_results(chain, &what));
        };
        let light = chain.light(Some(height)).await?;
        let app_hash = light.app_hash().map_err(|e| NodeError::internal(&e))?;
        Ok(cpb::Block {
            height: light.height().0,
            hash: light.header_hash().as_bytes().to_vec(),
            app_hash: app_hash.as_bytes().to_vec(),
            time_seconds: light.time_seconds(),
            transactions: results(&block),
            events: block.events.to_pb(),
        })
    }
}

/// A block without its results would say that nothing happened in it.
fn no_results(chain: &ChainAccess, what: &str) -> Status {
    let text = match chain.results_from() {
        Ok(Some(from)) => format!(
            "this node does not have {what}: it has the results of blocks from {from} on. Ask a node that \
             keeps more; headers of all blocks are in GetLightBlock"
        ),
        _ => format!(
            "this node does not have {what}, nor does the full node that it asked. Ask another; headers \
             of all blocks are in GetLightBlock"
        ),
    };
    refusal(Code::NotFound, "node", 6, text)
}

pub(super) fn result(height: Height, hash: Hash, outcome: &TxOutcome) -> cpb::TransactionResult {
    cpb::TransactionResult {
        hash: hash.as_bytes().to_vec(),
        height: height.0,
        module: outcome.module.clone(),
        code: outcome.code,
        message: outcome.message.clone(),
        gas_used: outcome.gas_used,
        events: outcome.events.to_pb(),
    }
}

fn results(block: &BlockEvent) -> Vec<cpb::TransactionResult> {
    block.txs.iter().map(|(hash, outcome)| result(block.height, *hash, outcome)).collect()
}

#[tonic::async_trait]
impl cpb::consensus_service_server::ConsensusService for Consensus {
    type WatchBlocksStream = Pin<Box<dyn Stream<Item = Result<cpb::Block, Status>> + Send>>;

    async fn submit(
        &self,
        request: Request<cpb::SubmitRequest>,
    ) -> Result<Response<cpb::SubmitResponse>, Status> {
        let raw = request.into_inner().transaction;
        let hash = hash_of(&raw).as_bytes().to_vec();
        self.admit(raw).await.map_err(|error| status_of(grpc_code(&error), &error))?;
        Ok(Response::new(cpb::SubmitResponse { hash }))
    }

    async fn submit_and_wait(
        &self,
        request: Request<cpb::SubmitRequest>,
    ) -> Result<Response<cpb::TransactionResult>, Status> {
        let raw = request.into_inner().transaction;
        let hash = hash_of(&raw);
        // Before it is submitted: a block may be faster than this function.
        let waiter = Waiting::join(&self.waiting, hash);
        match self.admit(raw).await {
            Ok(()) => {}
            // Submitted before: this call waits for the same block.
            Err(error) if error.is("consensus", DUPLICATE) => {}
            // Refused, perhaps because a block has it: then it has its effect, and its result.
            Err(error) => {
                return match self.state.chain.transaction(&hash).await {
                    Ok(Some((height, outcome))) => {
                        Ok(Response::new(result(height, hash, &outcome)))
                    }
                    _ => Err(status_of(grpc_code(&error), &error)),
                };
            }
        }
        let late = || {
            let text = format!("transaction {hash} is admitted but in no block yet: ask again");
            let error = Error::new("node", 9, text).with_retry(Retry::Later);
            status_of(Code::DeadlineExceeded, &error)
        };
        let result = paralith_rt::timeout(WAIT, waiter.result()).await.map_err(|_| late())?;
        Ok(Response::new(result.ok_or_else(late)?))
    }

    async fn estimate_gas(
        &self,
        request: Request<cpb::EstimateGasRequest>,
    ) -> Result<Response<cpb::EstimateGasResponse>, Status> {
        let cpb::EstimateGasRequest { public_key, transaction } = request.into_inner();
        let sender = PublicKey::try_from(public_key.as_slice())
            .map_err(|e| bad_argument("public_key", e))?;
        let gas = self.state.chain.estimate_gas(sender, transaction).await?;
        Ok(Response::new(cpb::EstimateGasResponse { gas }))
    }

    async fn get_chain(
        &self,
        _request: Request<cpb::GetChainRequest>,
    ) -> Result<Response<cpb::GetChainResponse>, Status> {
        let chain = &self.state.chain;
        let light = chain.light(None).await?;
        let beacon: beacon::Params = chain.require(&beacon::keys::params()).await?;
        let registry: registry::Params = chain.require(&registry::keys::params()).await?;
        Ok(Response::new(cpb::GetChainResponse {
            chain_id: self.state.genesis.chain_id.clone(),
            chain_context: chain.chain_context().as_bytes().to_vec(),
            height: light.height().0,
            app_hash: light.app_hash().map_err(|e| NodeError::internal(&e))?.as_bytes().to_vec(),
            epoch: chain.epoch().await?.0,
            insecure_beacon: beacon.insecure_seed.is_some(),
            insecure_attestation: !registry.software_platforms.is_empty(),
        }))
    }

    async fn get_block(
        &self,
        request: Request<cpb::GetBlockRequest>,
    ) -> Result<Response<cpb::Block>, Status> {
        Ok(Response::new(self.block(request.into_inner().height).await?))
    }

    async fn get_transaction(
        &self,
        request: Request<cpb::GetTransactionRequest>,
    ) -> Result<Response<cpb::TransactionResult>, Status> {
        let hash = request.into_inner().hash;
        let hash = Hash::try_from(hash.as_slice()).map_err(|e| bad_argument("hash", e))?;
        let chain = &self.state.chain;
        match chain.transaction(&hash).await? {
            Some((height, outcome)) => Ok(Response::new(result(height, hash, &outcome))),
            None => Err(no_results(chain, &format!("transaction {hash} in a block"))),
        }
    }

    async fn watch_blocks(
        &self,
        _request: Request<cpb::WatchBlocksRequest>,
    ) -> Result<Response<Self::WatchBlocksStream>, Status> {
        let events = self.state.chain.subscribe_results();
        let stream = futures::stream::unfold(events, |mut events| async move {
            loop {
                match events.recv().await {
                    Ok(event) => {
                        let block = cpb::Block {
                            height: event.height.0,
                            transactions: results(&event),
                            events: event.events.to_pb(),
                            ..cpb::Block::default()
                        };
                        return Some((Ok(block), events));
                    }
                    // The stream only wakes: a reader that needs every block asks for it by height.
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return None,
                }
            }
        });
        Ok(Response::new(Box::pin(stream)))
    }

    async fn get_state(
        &self,
        request: Request<cpb::GetStateRequest>,
    ) -> Result<Response<cpb::GetStateResponse>, Status> {
        let request = request.into_inner();
        let height = (request.height != 0).then_some(request.height);
        let proven = self.state.chain.proven_at(height, &request.key).await?;
        Ok(Response::new(cpb::GetStateResponse {
            height: proven.height.0,
            value: proven.value,
            proof: proven.proof,
        }))
    }

    async fn get_light_block(
        &self,
        request: Request<cpb::GetLightBlockRequest>,
    ) -> Result<Response<cpb::GetLightBlockResponse>, Status> {
        let height = request.into_inner().height;
        let block = self.state.chain.light((height != 0).then_some(height)).await?;
        Ok(Response::new(cpb::GetLightBlockResponse {
            height: block.height().0,
            light_block: block.encode(),
        }))
    }

    async fn get_genesis(
        &self,
        _request: Request<cpb::GetGenesisRequest>,
    ) -> Result<Response<cpb::GetGenesisResponse>, Status> {
        let document = self.state.genesis.json.clone().into_bytes();
        Ok(Response::new(cpb::GetGenesisResponse { document }))
    }
}
