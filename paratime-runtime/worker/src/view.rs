//! What a worker reads of consensus state.

use paralith_consensus_api::beacon::{self, EpochState};
use paralith_consensus_api::registry::{self, Runtime};
use paralith_consensus_api::roothash::{
    self, Header, HeaderType, IncomingQueue, ResultQueue, RuntimeState,
};
use paralith_consensus_api::scheduler::{self, Committee};
use paralith_proto::Canonical;
use paralith_storage::MAX_VALUE_BYTES;
use paralith_types::{PublicKey, Round, RuntimeId};

use crate::chain::Chain;
use crate::error::ChainError;

/// State of a runtime at one height.
#[derive(Debug, Clone)]
pub(crate) struct View {
    pub(crate) height: u64,
    pub(crate) epoch: EpochState,
    pub(crate) state: RuntimeState,
    pub(crate) committee: Option<Committee>,
    pub(crate) runtime: Runtime,
    pub(crate) forced: bool,
}

/// Reads everything at the newest proven height; none if the runtime has no state there yet.
pub(crate) async fn read(chain: &dyn Chain, id: &RuntimeId) -> Result<Option<View>, ChainError> {
    let Some((height, state)) = runtime_state(chain, id).await? else { return Ok(None) };
    // At once: from a full node each of them is a round trip.
    let (runtime, epoch, committee, queue, results) = futures::future::try_join5(
        get::<Runtime>(chain, height, registry::keys::runtime(id)),
        get::<EpochState>(chain, height, beacon::keys::epoch()),
        committee(chain, height, id),
        get::<IncomingQueue>(chain, height, roothash::keys::incoming_queue(id)),
        get::<ResultQueue>(chain, height, roothash::keys::result_queue(id)),
    )
    .await?;
    let (Some(runtime), Some(epoch)) = (runtime, epoch) else { return Ok(None) };

    let never_initialised = state.last_normal_round == Round(0);
    let refused = Offer { chain, height, state: &state };
    let queued = match queue.filter(|queue| queue.size > 0) {
        Some(queue) => {
            let same = |then: &IncomingQueue| then.size > 0 && then.first_id() == queue.first_id();
            !refused.lately(roothash::keys::incoming_queue(id), same).await
        }
        None => false,
    };
    let undelivered = match results.filter(|queue| !queue.results.is_empty()) {
        Some(queue) => {
            let same = |then: &ResultQueue| {
                !then.results.is_empty() && then.results.first() == queue.results.first()
            };
            !refused.lately(roothash::keys::result_queue(id), same).await
        }
        None => false,
    };
    let forced = never_initialised || queued || undelivered;
    Ok(Some(View { height, epoch, state, committee, runtime, forced }))
}

/// Where a runtime stands at the newest proven height; none if it has no state there yet.
pub(crate) async fn runtime_state(
    chain: &dyn Chain,
    id: &RuntimeId,
) -> Result<Option<(u64, RuntimeState)>, ChainError> {
    let (height, state) = chain.get_raw(None, roothash::keys::runtime_state(id)).await?;
    Ok(state.as_deref().map(decode).transpose()?.map(|state| (height, state)))
}

/// The committee of a height.
pub(crate) async fn committee(
    chain: &dyn Chain,
    height: u64,
    id: &RuntimeId,
) -> Result<Option<Committee>, ChainError> {
    get(chain, height, scheduler::keys::committee(id)).await
}

/// What rounds were offered, by state of earlier heights.
struct Offer<'a> {
    chain: &'a dyn Chain,
    height: u64,
    state: &'a RuntimeState,
}

impl Offer<'_> {
    /// Whether the last round was offered what waits now and took nothing of it, and that is not long
    /// ago. A runtime whose `begin_block` always fails must not make rounds without pause. `same` says
    /// whether a queue of an earlier height has the same front as now.
    async fn lately<T: Canonical>(&self, key: Vec<u8>, same: impl Fn(&T) -> bool) -> bool {
        let last = &self.state.last_block;
        let again = self.state.last_normal_height.0.saturating_add(OFFERED_AGAIN_BLOCKS);
        if last.header_type != HeaderType::Normal || self.height >= again {
            return false;
        }
        // Of the height that the round had pinned: what it was offered. Where that state is not kept
        // any more, the round is long ago.
        match get::<T>(self.chain, last.consensus_height.0, key).await {
            Ok(Some(offered)) => same(&offered),
            Ok(None) | Err(_) => false,
        }
    }
}

/// The schedulers that were barred when the running round began. Those who were barred since lose
/// their turn from the next round on. Where that state is not kept any more, those of now.
pub(crate) async fn skipped(chain: &dyn Chain, view: &View) -> Vec<PublicKey> {
    let began = view.state.last_block_height.0;
    let key = roothash::keys::runtime_state(&view.state.runtime_id);
    match get::<RuntimeState>(chain, began, key).await {
        Ok(Some(then)) => then.skipped,
        _ => view.state.skipped.clone(),
    }
}

/// The header of a round, if it is kept.
pub(crate) async fn header(
    chain: &dyn Chain,
    height: u64,
    id: &RuntimeId,
    round: u64,
) -> Result<Option<Header>, ChainError> {
    get(chain, height, roothash::keys::header(id, Round(round))).await
}

async fn get<T: Canonical>(
    chain: &dyn Chain,
    height: u64,
    key: Vec<u8>,
) -> Result<Option<T>, ChainError> {
    let (_, value) = chain.get_raw(Some(height), key).await?;
    value.as_deref().map(decode).transpose()
}

fn decode<T: Canonical>(bytes: &[u8]) -> Result<T, ChainError> {
    T::decode(bytes, MAX_VALUE_BYTES).map_err(|e| ChainError::Invalid(e.to_string()))
}

/// How long messages wait that a round was offered and did not take.
const OFFERED_AGAIN_BLOCKS: u64 = 20;
