//! State keys of ParaTimes.

use paralith_types::{PublicKey, Round, RuntimeId};

use crate::key::key;

/// [`RuntimeState`](super::RuntimeState).
pub fn runtime_state(runtime: &RuntimeId) -> Vec<u8> {
    key("roothash/state/", &[runtime.as_bytes()])
}

/// [`PendingResults`](super::PendingResults) of the running round; absent while there are none.
pub fn pending(runtime: &RuntimeId) -> Vec<u8> {
    key("roothash/pending/", &[runtime.as_bytes()])
}

/// [`RoundRoots`](super::RoundRoots) of a normal round.
pub fn round_roots(runtime: &RuntimeId, round: Round) -> Vec<u8> {
    key("roothash/roots/", &[runtime.as_bytes(), &round.0.to_be_bytes()])
}

/// [`Header`](super::Header) of a round, as long as its roots are kept.
pub fn header(runtime: &RuntimeId, round: Round) -> Vec<u8> {
    key("roothash/header/", &[runtime.as_bytes(), &round.0.to_be_bytes()])
}

/// [`ResultQueue`](super::ResultQueue); absent while it is empty.
pub fn result_queue(runtime: &RuntimeId) -> Vec<u8> {
    key("roothash/result-queue/", &[runtime.as_bytes()])
}

/// [`IncomingQueue`](super::IncomingQueue).
pub fn incoming_queue(runtime: &RuntimeId) -> Vec<u8> {
    key("roothash/in-queue/", &[runtime.as_bytes()])
}

/// [`IncomingMessage`](super::IncomingMessage) by number.
pub fn incoming(runtime: &RuntimeId, id: u64) -> Vec<u8> {
    key("roothash/in-message/", &[runtime.as_bytes(), &id.to_be_bytes()])
}

/// Present once a node was slashed for equivocation in a round.
pub fn evidence(runtime: &RuntimeId, round: Round, node: &PublicKey) -> Vec<u8> {
    let round = round.0.to_be_bytes();
    key("roothash/evidence/", &[runtime.as_bytes(), &round, node.as_bytes()])
}

/// All evidence of a runtime, by round.
pub fn evidence_of(runtime: &RuntimeId) -> Vec<u8> {
    key("roothash/evidence/", &[runtime.as_bytes()])
}

/// [`Standing`](super::Standing) of a node in a runtime; absent while it is a good one.
pub fn standing(runtime: &RuntimeId, node: &PublicKey) -> Vec<u8> {
    key("roothash/standing/", &[runtime.as_bytes(), node.as_bytes()])
}

/// Present while a runtime's timer is armed for a height.
pub fn timer(height: u64, runtime: &RuntimeId) -> Vec<u8> {
    key("roothash/timer/", &[&height.to_be_bytes(), runtime.as_bytes()])
}

/// All timers of a height.
pub fn timers_at(height: u64) -> Vec<u8> {
    key("roothash/timer/", &[&height.to_be_bytes()])
}

/// [`Params`](super::Params).
pub fn params() -> Vec<u8> {
    key("roothash/params", &[])
}
