//! ParaTimes to their users: this node's own worker answers, or the request is relayed to a member
//! of the ParaTime's committee.

use std::pin::Pin;
use std::sync::Arc;

use futures::Stream;
use paralith_consensus_api::{registry, roothash, scheduler};
use paralith_proto::pb::paratime::v1 as ppb;
use paralith_proto::pb::worker::v1::RoundData;
use paralith_proto::{Canonical, Wire};
use paralith_runtime_api::output::{IoLeaf, Output, io_root};
use paralith_runtime_api::query::Query;
use paralith_runtime_api::tx;
use paralith_runtime_worker::{Chain as _, FinalRound, LinkError, Links as _, WorkerError};
use paralith_types::{CodeId, Hash, PublicKey, Round, RuntimeId};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Response, Status};

use super::relay::Relay;
use super::rounds::FinalRounds;
use super::{bad_argument, refusal};
use crate::links::worker_status;
use crate::state::NodeState;

/// Largest transaction or query.
const MAX_TX_BYTES: usize = 1024 * 1024;

/// How many confirmations wait for a slow reader; a transaction has three.
const RECEIPTS_QUEUED: usize = 4;

/// How many rounds wait for a slow watcher.
const ROUNDS_QUEUED: usize = 64;

type Receipts = Pin<Box<dyn Stream<Item = Result<ppb::Receipt, Status>> + Send>>;
type Rounds = Pin<Box<dyn Stream<Item = Result<ppb::Round, Status>> + Send>>;

/// `ParaTimeService`.
#[derive(Debug, Clone)]
pub(super) struct ParaTime {
    pub(super) state: Arc<NodeState>,
    relay: Arc<Relay>,
    rounds: Arc<FinalRounds>,
}

impl ParaTime {
    pub(super) fn new(state: Arc<NodeState>) -> Self {
        Self { state, relay: Arc::default(), rounds: Arc::default() }
    }

    /// The members of a ParaTime's committee, this node first if it is one.
    pub(super) async fn members(&self, id: &RuntimeId) -> Result<Vec<PublicKey>, Status> {
        let runtime: Option<registry::Runtime> =
            self.state.chain.get(&registry::keys::runtime(id)).await?;
        if runtime.is_none_or(|runtime| runtime.kind != registry::RuntimeKind::Compute) {
            let text =
                format!("there is no ParaTime {id}: list them with `paralith query runtime`");
            return Err(refusal(Code::NotFound, "registry", 11, text));
        }
        let committee: Option<scheduler::Committee> =
            self.state.chain.get(&scheduler::keys::committee(id)).await?;
        let committee = committee.ok_or_else(|| {
            let text =
                format!("ParaTime {id} has no committee in this epoch: try again in the next");
            refusal(Code::Unavailable, "roothash", 5, text)
        })?;
        let mut members = committee.workers;
        members.extend(committee.backups);
        members.sort_by_key(|member| *member != self.state.node_id);
        members.dedup();
        Ok(members)
    }

    /// Puts a transaction into the pool of a committee member; of which one, if the first do not
    /// answer or `others` of them are to be left out.
    pub(super) async fn hand_in(
        &self,
        id: &RuntimeId,
        raw: Vec<u8>,
        others: usize,
    ) -> Result<(), Status> {
        let mut last = refusal(Code::Unavailable, "node", 9, "no committee member answers");
        let mut members = self.members(id).await?;
        let count = members.len().max(1);
        members.rotate_left(others % count);
        for member in members {
            let own = (member == self.state.node_id).then(|| self.state.services.worker(id));
            let answer = match own.flatten() {
                Some(worker) => {
                    let results = worker.submit_transactions(None, vec![raw.clone()]).await;
                    results.into_iter().next().ok_or(LinkError::NotFound)
                }
                None => self.relay.hand_in(&self.state.links, member, id, raw.clone()).await,
            };
            match answer.map(Output::from_pb) {
                Ok(Ok(Output::Ok(_))) => return Ok(()),
                // Whoever waits for it may have lost the one that it was handed in to.
                Ok(Ok(Output::Error(e))) if is_waiting(&e) => return Ok(()),
                Ok(Ok(Output::Error(e))) if is_not_yet(&e) => {
                    last = refusal(Code::Unavailable, &e.module, e.code, e.message);
                }
                Ok(Ok(Output::Error(e))) => {
                    return Err(refusal(Code::InvalidArgument, &e.module, e.code, e.message));
                }
                Ok(Err(_)) => {}
                Err(error) => last = link_status(&error),
            }
        }
        Err(last)
    }

    /// A final round with its outputs opened, from this node's worker or a member's; checked
    /// against the header in consensus state.
    async fn round(&self, id: &RuntimeId, round: Round) -> Result<Arc<FinalRound>, Status> {
        let place = self.rounds.place(id, round);
        let fetch = || async { Ok(Arc::new(FinalRound::new(self.fetch_round(id, round).await?))) };
        place.get_or_try_init(fetch).await.cloned()
    }

    async fn fetch_round(&self, id: &RuntimeId, round: Round) -> Result<RoundData, Status> {
        let key = roothash::keys::header(id, round);
        let header: Option<roothash::Header> = self.state.chain.get(&key).await?;
        let header = header.ok_or_else(|| {
            refusal(
                Code::NotFound,
                "roothash",
                2,
                format!("there is no round {round} (yet, or any more)"),
            )
        })?;
        if header.header_type != roothash::HeaderType::Normal {
            return Ok(RoundData { header: Some(header.to_pb()), ..RoundData::default() });
        }
        if let Some(worker) = self.state.services.worker(id)
            && let Ok(data) = worker.fetch_round(round.0)
            && data.outputs.len() == data.leaves.len()
        {
            return Ok(data);
        }
        for member in self.members(id).await? {
            if member == self.state.node_id {
                continue;
            }
            if let Ok(data) = self.state.links.fetch_round(member, *id, round).await
                && fits(&data, &header)
            {
                return Ok(data);
            }
        }
        Err(refusal(Code::Unavailable, "node", 9, "no committee member has this round opened yet"))
    }

    /// The receipt of a transaction in a round that somebody names; none if it is not there.
    pub(super) async fn receipt_in(
        &self,
        id: &RuntimeId,
        round: Round,
        hash: &Hash,
    ) -> Option<ppb::Receipt> {
        // Of a round that is not known here yet nobody is believed.
        if round > self.newest_round(id).await.ok()? {
            return None;
        }
        self.round(id, round).await.ok()?.receipt(hash)
    }

    async fn runtime_state(&self, id: &RuntimeId) -> Result<roothash::RuntimeState, Status> {
        let state = self.state.chain.get(&roothash::keys::runtime_state(id)).await?;
        let missing =
            || refusal(Code::NotFound, "registry", 11, format!("there is no ParaTime {id}"));
        state.ok_or_else(missing)
    }

    pub(super) async fn newest_round(&self, id: &RuntimeId) -> Result<Round, Status> {
        Ok(self.runtime_state(id).await?.last_block.round)
    }

    /// The round that led to the newest state.
    pub(super) async fn newest_state(&self, id: &RuntimeId) -> Result<Round, Status> {
        Ok(self.runtime_state(id).await?.last_normal_round)
    }

    /// The round after `after`, once it is final and its outputs are open.
    pub(super) async fn next_round(
        &self,
        id: &RuntimeId,
        after: Round,
    ) -> Result<Arc<FinalRound>, Status> {
        let mut blocks = self.state.chain.subscribe();
        loop {
            if after < self.newest_round(id).await? {
                match self.round(id, after.next()).await {
                    Ok(data) => return Ok(data),
                    // Its outputs are being opened: look again with the next block.
                    Err(status) if status.code() == Code::Unavailable => {}
                    Err(status) => return Err(status),
                }
            }
            tokio::select! {
                biased;
                () = self.state.stop.cancelled() => {
                    return Err(refusal(Code::Unavailable, "node", 9, "the node stops"));
                }
                block = self.woken(id, &mut blocks) => {
                    block.map_err(|()| refusal(Code::Unavailable, "node", 9, "the node stops"))?;
                }
            }
        }
    }

    /// Waits for a block or for the own worker to have opened a round.
    async fn woken(
        &self,
        id: &RuntimeId,
        blocks: &mut tokio::sync::broadcast::Receiver<paralith_runtime_worker::ChainBlock>,
    ) -> Result<(), ()> {
        use tokio::sync::broadcast::error::RecvError;
        let opened = async {
            match self.state.services.worker(id) {
                Some(worker) => {
                    let _ = worker.subscribe_rounds().recv().await;
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = opened => Ok(()),
            block = blocks.recv() => match block {
                Ok(_) | Err(RecvError::Lagged(_)) => Ok(()),
                Err(RecvError::Closed) => Err(()),
            },
        }
    }

    async fn submit_inner(
        self,
        raw: Vec<u8>,
        wait_for: ppb::Confirmation,
        sender: mpsc::Sender<Result<ppb::Receipt, Status>>,
    ) {
        if let Err(status) = self.confirm(raw, wait_for, &sender).await {
            let _ = sender.send(Err(status)).await;
        }
    }
}

/// Whether a member's refusal says that the transaction waits in its pool already.
fn is_waiting(error: &paralith_runtime_api::output::Error) -> bool {
    error.module == "worker" && error.code == WorkerError::DUPLICATE
}

/// Whether a member's refusal says nothing about the transaction.
fn is_not_yet(error: &paralith_runtime_api::output::Error) -> bool {
    error.module == "worker" && WorkerError::NOT_YET.contains(&error.code)
}

/// Why a committee member did not do it.
pub(super) fn link_status(error: &LinkError) -> Status {
    match error {
        LinkError::NotFound => {
            let text = "the committee's members are not ready for this ParaTime yet: try again";
            refusal(Code::Unavailable, "worker-link", error.code(), text)
        }
        LinkError::Refused(_) => {
            refusal(Code::FailedPrecondition, "worker-link", error.code(), error)
        }
        LinkError::Unreachable(_) => refusal(Code::Unavailable, "worker-link", error.code(), error),
    }
}

/// Whether another node's data is that of the final header.
fn fits(data: &RoundData, header: &roothash::Header) -> bool {
    let leaves: Result<Vec<IoLeaf>, _> = data.leaves.iter().cloned().map(IoLeaf::from_pb).collect();
    let Ok(leaves) = leaves else { return false };
    if io_root(&leaves) != header.io_root || data.outputs.len() != leaves.len() {
        return false;
    }
    data.outputs.iter().zip(&leaves).all(|(output, leaf)| {
        paralith_runtime_api::output::OpenedOutput::from_pb(output.clone())
            .is_ok_and(|output| output.matches(leaf))
    })
}

fn runtime_id(bytes: &[u8]) -> Result<RuntimeId, Status> {
    RuntimeId::try_from(bytes).map_err(|e| bad_argument("runtime_id", e))
}

/// The ParaTime that a raw transaction names. Everything else about it is the committee's to check.
pub(super) fn runtime_of(raw: &[u8]) -> Result<RuntimeId, Status> {
    let refused =
        |e: paralith_runtime_api::TxError| refusal(Code::InvalidArgument, "paratime", e.code(), e);
    if raw.len() > MAX_TX_BYTES {
        let (limit, got) = (MAX_TX_BYTES, raw.len());
        return Err(refused(paralith_runtime_api::TxError::Oversized { limit, got }));
    }
    let signed = tx::SignedTransaction::decode(raw, MAX_TX_BYTES)
        .map_err(|e| refused(paralith_runtime_api::TxError::Malformed(e)))?;
    let transaction = tx::Transaction::decode(&signed.transaction, MAX_TX_BYTES)
        .map_err(|e| refused(paralith_runtime_api::TxError::Malformed(e.within("transaction"))))?;
    Ok(transaction.runtime_id)
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
        tokio::spawn(self.clone().submit_inner(request.transaction, wait_for, sender));
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
        if let Some(worker) = self.state.services.worker(&id)
            && let Some(receipt) = worker.receipt(&hash).map_err(|e| worker_status(&e))?
        {
            return Ok(Response::new(receipt));
        }
        for member in self.members(&id).await? {
            if member != self.state.node_id
                && let Ok(round) = self.state.links.find_round(&member, &id, &hash).await
                && let Some(receipt) = self.receipt_in(&id, round, &hash).await
            {
                return Ok(Response::new(receipt));
            }
        }
        let text = "no node that answers knows a final round with this transaction";
        Err(refusal(Code::NotFound, "node", 6, text))
    }

    async fn query(
        &self,
        request: Request<ppb::QueryRequest>,
    ) -> Result<Response<ppb::QueryResponse>, Status> {
        let raw = request.into_inner().query;
        let query = Query::decode(&raw, MAX_TX_BYTES).map_err(|e| bad_argument("query", e))?;
        let answer = self.ask_patiently(&query, &raw).await?;
        Ok(Response::new(answer))
    }

    async fn reveal(
        &self,
        request: Request<ppb::RevealRequest>,
    ) -> Result<Response<ppb::QueryResponse>, Status> {
        let request = request.into_inner();
        let id = runtime_id(&request.runtime_id)?;
        let (round, handle) = (Round(request.round), request.handle);
        let mut last = refusal(Code::Unavailable, "node", 9, "no committee member answers");
        for member in self.members(&id).await? {
            let own = (member == self.state.node_id).then(|| self.state.services.worker(&id));
            let answer = match own.flatten() {
                Some(worker) => {
                    worker.reveal(round.0, handle.clone()).await.map_err(|e| worker_status(&e))
                }
                None => self
                    .state
                    .links
                    .reveal(&member, &id, round, handle.clone())
                    .await
                    .map_err(|e| link_status(&e)),
            };
            match answer {
                Ok(answer) => {
                    return Ok(Response::new(ppb::QueryResponse {
                        round: answer.round,
                        state_root: answer.state_root,
                        output: answer.output,
                        height: answer.height,
                    }));
                }
                Err(status) => last = status,
            }
        }
        Err(last)
    }

    async fn watch_rounds(
        &self,
        request: Request<ppb::WatchRoundsRequest>,
    ) -> Result<Response<Rounds>, Status> {
        let id = runtime_id(&request.into_inner().runtime_id)?;
        let mut after = self.newest_round(&id).await?;
        let (sender, receiver) = mpsc::channel(ROUNDS_QUEUED);
        let this = self.clone();
        tokio::spawn(async move {
            loop {
                let next = this.next_round(&id, after).await;
                let failed = next.is_err();
                if sender.send(next.map(|round| round.public())).await.is_err() || failed {
                    return;
                }
                after = after.next();
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn get_round(
        &self,
        request: Request<ppb::GetRoundRequest>,
    ) -> Result<Response<ppb::Round>, Status> {
        let request = request.into_inner();
        let id = runtime_id(&request.runtime_id)?;
        let round =
            if request.newest { self.newest_round(&id).await? } else { Round(request.round) };
        Ok(Response::new(self.round(&id, round).await?.public()))
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
