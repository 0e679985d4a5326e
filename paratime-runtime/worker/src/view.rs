//! What a worker reads of consensus state.

use paralith_consensus_api::beacon::{self, EpochState};
use paralith_consensus_api::registry::{self, Runtime};
use paralith_consensus_api::roothash::{self, Header, IncomingQueue, ResultQueue, RuntimeState};
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
    let (height, state) = chain.get_raw(None, roothash::keys::runtime_state(id)).await?;
    let Some(state) = state else { return Ok(None) };
    let state: RuntimeState = decode(&state)?;

    // At once: from a full node each of them is a round trip.
    let (runtime, epoch, committee, queue, results) = futures::future::try_join5(
        get::<Runtime>(chain, height, registry::keys::runtime(id)),
        get::<EpochState>(chain, height, beacon::keys::epoch()),
        get::<Committee>(chain, height, scheduler::keys::committee(id)),
        get::<IncomingQueue>(chain, height, roothash::keys::incoming_queue(id)),
        get::<ResultQueue>(chain, height, roothash::keys::result_queue(id)),
    )
    .await?;
    let (Some(runtime), Some(epoch)) = (runtime, epoch) else { return Ok(None) };

    let never_initialised = state.last_normal_round == Round(0);
    let queued = queue.is_some_and(|queue| queue.size > 0);
    let undelivered = results.is_some_and(|queue| !queue.results.is_empty());
    let forced = never_initialised || queued || undelivered;
    Ok(Some(View { height, epoch, state, committee, runtime, forced }))
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
