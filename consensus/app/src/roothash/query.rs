//! Reads of ParaTimes, of any kept state.

use paralith_consensus_api::Error;
use paralith_consensus_api::roothash::{
    Header, IncomingMessage, IncomingQueue, Params, ResultQueue, RoundRoots, RuntimeState, keys,
};
use paralith_storage::StateRead;
use paralith_types::{Round, RuntimeId};

use crate::query::{read, require};

/// Parameters of ParaTimes.
pub fn params(state: &dyn StateRead) -> Result<Params, Error> {
    require(state, &keys::params())
}

/// Where a runtime stands.
pub fn runtime_state(state: &dyn StateRead, id: &RuntimeId) -> Result<Option<RuntimeState>, Error> {
    read(state, &keys::runtime_state(id))
}

/// A block, as long as it is kept.
pub fn header(
    state: &dyn StateRead,
    id: &RuntimeId,
    round: Round,
) -> Result<Option<Header>, Error> {
    read(state, &keys::header(id, round))
}

/// Roots of a normal round, as long as they are kept.
pub fn round_roots(
    state: &dyn StateRead,
    id: &RuntimeId,
    round: Round,
) -> Result<Option<RoundRoots>, Error> {
    read(state, &keys::round_roots(id, round))
}

/// The results of a runtime's own messages that no round has taken yet.
pub fn result_queue(state: &dyn StateRead, id: &RuntimeId) -> Result<ResultQueue, Error> {
    Ok(read(state, &keys::result_queue(id))?.unwrap_or_default())
}

/// The state of a runtime's queue of messages.
pub fn incoming_queue(state: &dyn StateRead, id: &RuntimeId) -> Result<IncomingQueue, Error> {
    Ok(read(state, &keys::incoming_queue(id))?.unwrap_or_default())
}

/// The messages that wait for a runtime, in order.
pub fn incoming_messages(
    state: &dyn StateRead,
    id: &RuntimeId,
) -> Result<Vec<IncomingMessage>, Error> {
    let queue = incoming_queue(state, id)?;
    let numbers = queue.first_id()..queue.next_id;
    numbers.map(|number| require(state, &keys::incoming(id, number))).collect()
}
