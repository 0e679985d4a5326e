//! The keys of ParaTimes.

use paralith_consensus_api::Error;
use paralith_consensus_api::roothash::{
    Header, IncomingMessage, IncomingQueue, MessageResults, Params, PendingResult, RoundRoots,
    RuntimeState, keys,
};
use paralith_types::{Hash, PublicKey, Round, RuntimeId};

use crate::Context;
use crate::query::damaged;

pub(super) fn params(ctx: &Context<'_>) -> Result<Params, Error> {
    ctx.require(&keys::params())
}

pub(super) fn set_params(ctx: &mut Context<'_>, params: &Params) {
    ctx.set(keys::params(), params);
}

pub(super) fn runtime_state(
    ctx: &Context<'_>,
    id: &RuntimeId,
) -> Result<Option<RuntimeState>, Error> {
    ctx.get(&keys::runtime_state(id))
}

pub(super) fn set_runtime_state(ctx: &mut Context<'_>, chain: &RuntimeState) {
    ctx.set(keys::runtime_state(&chain.runtime_id), chain);
}

/// Sets a runtime's timer to a height, or to none.
pub(super) fn arm(ctx: &mut Context<'_>, chain: &mut RuntimeState, height: Option<u64>) {
    if chain.wakeup == height {
        return;
    }
    disarm(ctx, chain);
    if let Some(height) = height {
        ctx.set_raw(keys::timer(height, &chain.runtime_id), PRESENT.to_vec());
    }
    chain.wakeup = height;
}

pub(super) fn disarm(ctx: &mut Context<'_>, chain: &mut RuntimeState) {
    if let Some(height) = chain.wakeup.take() {
        ctx.remove(keys::timer(height, &chain.runtime_id));
    }
}

/// The runtimes whose timers fire at a height, sorted.
pub(super) fn timers_at(ctx: &Context<'_>, height: u64) -> Result<Vec<RuntimeId>, Error> {
    runtimes_under(ctx, &keys::timers_at(height))
}

/// Notes that the block's end has to evaluate a runtime's round.
///
/// The note never outlives its block: it is removed before the block's changes are written, and to
/// remove what the tree does not hold leaves the tree as it is.
pub(super) fn touch(ctx: &mut Context<'_>, id: &RuntimeId) {
    ctx.set_raw(touched_key(id), PRESENT.to_vec());
}

pub(super) fn clear_touched(ctx: &mut Context<'_>, id: &RuntimeId) {
    ctx.remove(touched_key(id));
}

/// The runtimes that the block has touched, sorted; their notes are gone.
pub(super) fn take_touched(ctx: &mut Context<'_>) -> Result<Vec<RuntimeId>, Error> {
    let touched = runtimes_under(ctx, TOUCHED)?;
    for id in &touched {
        clear_touched(ctx, id);
    }
    Ok(touched)
}

pub(super) fn pending(
    ctx: &Context<'_>,
    id: &RuntimeId,
    result: &Hash,
) -> Result<Option<PendingResult>, Error> {
    ctx.get(&keys::pending(id, result))
}

pub(super) fn set_pending(ctx: &mut Context<'_>, id: &RuntimeId, pending: &PendingResult) {
    ctx.set(keys::pending(id, &pending.results.hash()), pending);
}

pub(super) fn clear_pending(ctx: &mut Context<'_>, id: &RuntimeId) -> Result<(), Error> {
    for (key, _) in ctx.scan(&keys::pending_of(id))? {
        ctx.remove(key);
    }
    Ok(())
}

pub(super) fn header(
    ctx: &Context<'_>,
    id: &RuntimeId,
    round: Round,
) -> Result<Option<Header>, Error> {
    ctx.get(&keys::header(id, round))
}

pub(super) fn set_header(ctx: &mut Context<'_>, header: &Header) {
    ctx.set(keys::header(&header.runtime_id, header.round), header);
}

pub(super) fn set_round_roots(
    ctx: &mut Context<'_>,
    id: &RuntimeId,
    round: Round,
    roots: &RoundRoots,
) {
    ctx.set(keys::round_roots(id, round), roots);
}

/// Drops header and roots of a round.
pub(super) fn forget_round(ctx: &mut Context<'_>, id: &RuntimeId, round: Round) {
    ctx.remove(keys::header(id, round));
    ctx.remove(keys::round_roots(id, round));
}

pub(super) fn set_message_results(ctx: &mut Context<'_>, id: &RuntimeId, results: &MessageResults) {
    ctx.set(keys::message_results(id), results);
}

pub(super) fn queue(ctx: &Context<'_>, id: &RuntimeId) -> Result<IncomingQueue, Error> {
    Ok(ctx.get(&keys::incoming_queue(id))?.unwrap_or_default())
}

pub(super) fn set_queue(ctx: &mut Context<'_>, id: &RuntimeId, queue: &IncomingQueue) {
    ctx.set(keys::incoming_queue(id), queue);
}

/// The waiting messages, in order.
pub(super) fn incoming(ctx: &Context<'_>, id: &RuntimeId) -> Result<Vec<IncomingMessage>, Error> {
    ctx.list(&keys::incoming_of(id))
}

pub(super) fn set_incoming(ctx: &mut Context<'_>, id: &RuntimeId, message: &IncomingMessage) {
    ctx.set(keys::incoming(id, message.id), message);
}

pub(super) fn remove_incoming(ctx: &mut Context<'_>, id: &RuntimeId, message: u64) {
    ctx.remove(keys::incoming(id, message));
}

pub(super) fn is_punished(
    ctx: &Context<'_>,
    id: &RuntimeId,
    round: Round,
    node: &PublicKey,
) -> Result<bool, Error> {
    Ok(ctx.get_raw(&keys::evidence(id, round, node))?.is_some())
}

pub(super) fn set_punished(ctx: &mut Context<'_>, id: &RuntimeId, round: Round, node: &PublicKey) {
    ctx.set_raw(keys::evidence(id, round, node), PRESENT.to_vec());
}

/// Drops the notes of punishments for which no evidence is taken any more.
pub(super) fn forget_evidence(
    ctx: &mut Context<'_>,
    id: &RuntimeId,
    last: Round,
    max_age: u64,
) -> Result<(), Error> {
    let prefix = keys::evidence_of(id);
    for (key, _) in ctx.scan(&prefix)? {
        let round = key.get(prefix.len()..).and_then(|rest| rest.first_chunk::<8>());
        let round = round.ok_or_else(|| damaged(&key, "not an evidence key"))?;
        if u64::from_be_bytes(*round).saturating_add(max_age) >= last.0 {
            break;
        }
        ctx.remove(key);
    }
    Ok(())
}

/// The runtimes that end the keys with a prefix.
fn runtimes_under(ctx: &Context<'_>, prefix: &[u8]) -> Result<Vec<RuntimeId>, Error> {
    let read = |key: &[u8]| RuntimeId::try_from(key.get(prefix.len()..)?).ok();
    ctx.scan(prefix)?
        .iter()
        .map(|(key, _)| read(key).ok_or_else(|| damaged(key, "does not end with a runtime")))
        .collect()
}

fn touched_key(id: &RuntimeId) -> Vec<u8> {
    [TOUCHED, id.as_bytes()].concat()
}

const TOUCHED: &[u8] = b"roothash/touched/";
const PRESENT: &[u8] = &[1];
