//! The members of committees as the gateway reaches them: over links, or in this node.

use std::sync::Arc;

use futures::future::BoxFuture;
use paralith_proto::pb::host::v1::Answer;
use paralith_proto::pb::paratime::v1::{
    GetHeadersRequest, GetHeadersResponse, ProveStateRequest, ProveStateResponse, Receipt,
    Round as PublicRound,
};
use paralith_proto::pb::worker::v1::RoundData;
use paralith_runtime_api::query::Query;
use paralith_runtime_worker::{Admitted, Confirmation, LinkError, Submission};
use paralith_types::{Hash, PublicKey, Round, RuntimeId};
use tokio::sync::broadcast;

/// What a call to a member gives.
pub type Asked<'a, T> = BoxFuture<'a, Result<T, LinkError>>;

/// Calls to members. Nothing that they answer is believed without proof.
pub trait Members: Send + Sync {
    /// Whether a member is this node and runs the ParaTime.
    fn is_here(&self, member: &PublicKey, runtime: &RuntimeId) -> bool;

    /// Puts a transaction into the pool of this node's worker.
    fn submit_here(&self, runtime: RuntimeId, submission: Submission) -> Asked<'_, Admitted>;

    /// Puts transactions into a member's pool; one result each.
    fn submit(
        &self,
        member: PublicKey,
        runtime: RuntimeId,
        raws: Vec<Vec<u8>>,
    ) -> Asked<'_, Vec<Admitted>>;

    /// Has a member answer a query.
    fn run_query(&self, member: PublicKey, query: Query) -> Asked<'_, Answer>;

    /// Has a member reveal what a final round asked for.
    fn reveal(
        &self,
        member: PublicKey,
        runtime: RuntimeId,
        round: Round,
        handle: Vec<u8>,
    ) -> Asked<'_, Answer>;

    /// A final round as a member has it.
    fn fetch_round(
        &self,
        member: PublicKey,
        runtime: RuntimeId,
        round: Round,
    ) -> Asked<'_, RoundData>;

    /// Entries of the state after a final round, as a member proves them.
    fn prove_state(
        &self,
        member: PublicKey,
        runtime: RuntimeId,
        request: ProveStateRequest,
    ) -> Asked<'_, ProveStateResponse>;

    /// Headers of rounds as a member has them.
    fn headers(
        &self,
        member: PublicKey,
        runtime: RuntimeId,
        request: GetHeadersRequest,
    ) -> Asked<'_, GetHeadersResponse>;

    /// The final round of which a member says that it has a transaction.
    fn find_round(&self, member: PublicKey, runtime: RuntimeId, tx: Hash) -> Asked<'_, Round>;

    /// The receipt that this node's worker has.
    fn own_receipt(&self, runtime: &RuntimeId, tx: &Hash) -> Result<Option<Receipt>, LinkError>;

    /// Confirmations of this node's worker; none if it has none.
    fn confirmations(&self, runtime: &RuntimeId) -> Option<broadcast::Receiver<Confirmation>>;

    /// Rounds as this node's worker opens them; none if it has none.
    fn opened(&self, runtime: &RuntimeId) -> Option<broadcast::Receiver<Arc<PublicRound>>>;
}
