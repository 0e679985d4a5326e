//! Committee members as the gateway reaches them: this node's own workers, and others over links.

use std::sync::Arc;

use futures::FutureExt as _;
use paralith_proto::pb::host::v1::Answer;
use paralith_proto::pb::paratime::v1::{
    GetHeadersRequest, GetHeadersResponse, ProveStateRequest, ProveStateResponse, Receipt,
    Round as PublicRound,
};
use paralith_proto::pb::worker::v1::RoundData;
use paralith_proto::{Canonical as _, Wire as _};
use paralith_runtime_api::query::Query;
use paralith_runtime_gateway::{Asked, Members};
use paralith_runtime_worker::{
    Admitted, Confirmation, LinkError, Links as _, Submission, WorkerError, WorkerHandle,
};
use paralith_types::{Hash, PublicKey, Round, RuntimeId};
use tokio::sync::broadcast;

use crate::state::NodeState;

/// Members of the committees of all ParaTimes.
#[derive(Debug)]
pub(super) struct NodeMembers(pub(super) Arc<NodeState>);

impl NodeMembers {
    /// This node's worker, if the member is this node.
    fn own(&self, member: &PublicKey, runtime: &RuntimeId) -> Option<WorkerHandle> {
        (*member == self.0.node_id).then(|| self.0.services.worker(runtime)).flatten()
    }
}

/// A refusal of this node's own worker.
fn refused(error: WorkerError) -> LinkError {
    match error {
        WorkerError::NotFound => LinkError::NotFound,
        other => LinkError::Refused(other.refusal()),
    }
}

impl Members for NodeMembers {
    fn is_here(&self, member: &PublicKey, runtime: &RuntimeId) -> bool {
        self.own(member, runtime).is_some()
    }

    fn submit_here(&self, runtime: RuntimeId, submission: Submission) -> Asked<'_, Admitted> {
        async move {
            let worker = self.0.services.worker(&runtime).ok_or(LinkError::NotFound)?;
            Ok(worker.submit(submission).await)
        }
        .boxed()
    }

    fn submit(
        &self,
        member: PublicKey,
        runtime: RuntimeId,
        raws: Vec<Vec<u8>>,
    ) -> Asked<'_, Vec<Admitted>> {
        self.0.links.submit_transactions(member, runtime, raws)
    }

    fn run_query(&self, member: PublicKey, query: Query) -> Asked<'_, Answer> {
        async move {
            match self.own(&member, &query.runtime_id) {
                Some(worker) => worker.run_query(query.to_pb()).await.map_err(refused),
                None => self.0.links.run_query(&member, query.encode()).await,
            }
        }
        .boxed()
    }

    fn reveal(
        &self,
        member: PublicKey,
        runtime: RuntimeId,
        round: Round,
        handle: Vec<u8>,
    ) -> Asked<'_, Answer> {
        async move {
            match self.own(&member, &runtime) {
                Some(worker) => worker.reveal(round.0, handle).await.map_err(refused),
                None => self.0.links.reveal(&member, &runtime, round, handle).await,
            }
        }
        .boxed()
    }

    fn fetch_round(
        &self,
        member: PublicKey,
        runtime: RuntimeId,
        round: Round,
    ) -> Asked<'_, RoundData> {
        match self.own(&member, &runtime) {
            Some(worker) => async move { worker.fetch_round(round.0).map_err(refused) }.boxed(),
            None => self.0.links.fetch_round(member, runtime, round),
        }
    }

    fn prove_state(
        &self,
        member: PublicKey,
        runtime: RuntimeId,
        request: ProveStateRequest,
    ) -> Asked<'_, ProveStateResponse> {
        async move {
            match self.own(&member, &runtime) {
                Some(worker) => worker.prove_state(&request).map_err(refused),
                None => self.0.links.prove_state(&member, request).await,
            }
        }
        .boxed()
    }

    fn headers(
        &self,
        member: PublicKey,
        runtime: RuntimeId,
        request: GetHeadersRequest,
    ) -> Asked<'_, GetHeadersResponse> {
        async move {
            match self.own(&member, &runtime) {
                Some(worker) => worker.headers(request.from, request.to).map_err(refused),
                None => self.0.links.headers(&member, request).await,
            }
        }
        .boxed()
    }

    fn find_round(&self, member: PublicKey, runtime: RuntimeId, tx: Hash) -> Asked<'_, Round> {
        async move {
            match self.own(&member, &runtime) {
                Some(worker) => {
                    let found = worker.round_of(&tx).map_err(refused)?;
                    found.map(Round).ok_or(LinkError::NotFound)
                }
                None => self.0.links.find_round(&member, &runtime, &tx).await,
            }
        }
        .boxed()
    }

    fn own_receipt(&self, runtime: &RuntimeId, tx: &Hash) -> Result<Option<Receipt>, LinkError> {
        let Some(worker) = self.0.services.worker(runtime) else { return Ok(None) };
        worker.receipt(tx).map_err(refused)
    }

    fn confirmations(&self, runtime: &RuntimeId) -> Option<broadcast::Receiver<Confirmation>> {
        self.0.services.worker(runtime).map(|worker| worker.subscribe_confirmations())
    }

    fn opened(&self, runtime: &RuntimeId) -> Option<broadcast::Receiver<Arc<PublicRound>>> {
        self.0.services.worker(runtime).map(|worker| worker.subscribe_rounds())
    }
}
