//! The consensus layer to its users.

use std::pin::Pin;
use std::sync::Arc;

use futures::Stream;
use paralith_consensus_abci::BlockEvent;
use paralith_consensus_api::beacon;
use paralith_consensus_api::registry;
use paralith_consensus_api::tx::hash_of;
use paralith_consensus_app::TxOutcome;
use paralith_proto::status::error_of;
use paralith_proto::{Wire, pb};
use paralith_types::{Hash, Height};
use pb::consensus::v1 as cpb;
use tokio::sync::broadcast;
use tonic::{Code, Request, Response, Status};

use super::refusal;
use super::waiters::Waiters;
use crate::error::NodeError;
use crate::state::NodeState;

/// How long a transaction is waited for before its sender is told to ask again.
const WAIT: std::time::Duration = std::time::Duration::from_secs(60);

/// The code of a transaction that is known already.
const KNOWN: u32 = 13;

/// `ConsensusService`.
#[derive(Debug)]
pub(super) struct Consensus {
    state: Arc<NodeState>,
    waiting: Waiters<cpb::TransactionResult>,
}

impl Consensus {
    pub(super) fn new(state: Arc<NodeState>) -> Self {
        let waiting = Waiters::default();
        let mut blocks = state.chain.subscribe_results();
        let woken = waiting.clone();
        paralith_rt::spawn(async move {
            loop {
                match blocks.recv().await {
                    Ok(block) => wake(&woken, &block),
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return,
                }
            }
        });
        Self { state, waiting }
    }

    async fn admit(&self, raw: Vec<u8>) -> Result<(), Status> {
        let outcome = self.state.chain.submit_raw(raw).await?;
        if outcome.code == 0 {
            return Ok(());
        }
        Err(refusal(Code::InvalidArgument, &outcome.module, outcome.code, outcome.message))
    }

    async fn block(&self, height: u64) -> Result<cpb::Block, Status> {
        let light = self.state.chain.light((height != 0).then_some(height)).await?;
        let recent = self.state.chain.recent(light.height().0);
        let app_hash = light.app_hash().map_err(|e| NodeError::internal(&e))?;
        Ok(cpb::Block {
            height: light.height().0,
            hash: light.header_hash().as_bytes().to_vec(),
            app_hash: app_hash.as_bytes().to_vec(),
            time_seconds: light.time_seconds(),
            transactions: recent.as_ref().map(|block| results(block)).unwrap_or_default(),
            events: recent.map(|block| block.events.to_pb()).unwrap_or_default(),
        })
    }
}

fn result(height: Height, hash: Hash, outcome: &TxOutcome) -> cpb::TransactionResult {
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

fn wake(waiting: &Waiters<cpb::TransactionResult>, block: &BlockEvent) {
    for (hash, outcome) in block.txs.iter() {
        waiting.wake(hash, || result(block.height, *hash, outcome));
    }
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
        self.admit(raw).await?;
        Ok(Response::new(cpb::SubmitResponse { hash }))
    }

    async fn submit_and_wait(
        &self,
        request: Request<cpb::SubmitRequest>,
    ) -> Result<Response<cpb::TransactionResult>, Status> {
        let raw = request.into_inner().transaction;
        let hash = hash_of(&raw);
        let mut wait = self.waiting.wait_for(hash);
        match self.admit(raw).await {
            // It waits in the pool already, for an earlier caller.
            Err(status) if error_of(&status).is_some_and(|error| error.is("consensus", KNOWN)) => {}
            admitted => admitted?,
        }
        let late = || {
            let text = format!("transaction {hash} is admitted but in no block yet: ask again");
            refusal(Code::DeadlineExceeded, "node", 9, text)
        };
        let result = paralith_rt::timeout(WAIT, wait.result()).await.map_err(|_| late())?;
        Ok(Response::new(result.ok_or_else(late)?))
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
                    // The stream wakes; whoever needs every block asks for it by height.
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
