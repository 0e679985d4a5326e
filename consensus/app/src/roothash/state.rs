//! The keys of ParaTimes.

use paralith_consensus_api::Error;
use paralith_consensus_api::roothash::{
    Header, IncomingMessage, IncomingQueue, Params, PendingResults, ResultQueue, RoundRoots,
    RuntimeState, Standing, keys,
};
use paralith_types::{PublicKey, Round, RuntimeId};

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

pub(super) fn pending(ctx: &Context<'_>, id: &RuntimeId) -> Result<PendingResults, Error> {
    Ok(ctx.get(&keys::pending(id))?.unwrap_or_default())
}

pub(super) fn set_pending(ctx: &mut Context<'_>, id: &RuntimeId, pending: &PendingResults) {
    ctx.set(keys::pending(id), pending);
}

pub(super) fn clear_pending(ctx: &mut Context<'_>, id: &RuntimeId) -> Result<(), Error> {
    let key = keys::pending(id);
    if ctx.get_raw(&key)?.is_some() {
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

pub(super) fn result_queue(ctx: &Context<'_>, id: &RuntimeId) -> Result<ResultQueue, Error> {
    Ok(ctx.get(&keys::result_queue(id))?.unwrap_or_default())
}

pub(super) fn set_result_queue(
    ctx: &mut Context<'_>,
    id: &RuntimeId,
    queue: &ResultQueue,
) -> Result<(), Error> {
    let key = keys::result_queue(id);
    let before: Option<ResultQueue> = ctx.get(&key)?;
    match (queue.results.is_empty(), before) {
        (true, None) => {}
        (true, Some(_)) => ctx.remove(key),
        (false, Some(before)) if before == *queue => {}
        (false, _) => ctx.set(key, queue),
    }
    Ok(())
}

pub(super) fn standing(
    ctx: &Context<'_>,
    id: &RuntimeId,
    node: &PublicKey,
) -> Result<Standing, Error> {
    Ok(ctx.get(&keys::standing(id, node))?.unwrap_or_default())
}

pub(super) fn set_standing(
    ctx: &mut Context<'_>,
    id: &RuntimeId,
    node: &PublicKey,
    standing: &Standing,
) {
    let key = keys::standing(id, node);
    if *standing == Standing::default() {
        ctx.remove(key);
    } else {
        ctx.set(key, standing);
    }
}

pub(super) fn queue(ctx: &Context<'_>, id: &RuntimeId) -> Result<IncomingQueue, Error> {
    Ok(ctx.get(&keys::incoming_queue(id))?.unwrap_or_default())
}

pub(super) fn set_queue(ctx: &mut Context<'_>, id: &RuntimeId, queue: &IncomingQueue) {
    ctx.set(keys::incoming_queue(id), queue);
}

/// A waiting message.
pub(super) fn incoming(
    ctx: &Context<'_>,
    id: &RuntimeId,
    message: u64,
) -> Result<IncomingMessage, Error> {
    ctx.require(&keys::incoming(id, message))
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

const PRESENT: &[u8] = &[1];
