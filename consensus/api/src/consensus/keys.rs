//! State keys of the chain itself.

use paralith_types::Height;

use super::STATE_ROOTS_KEPT;
use crate::key::key;

/// The chain's context, 32 bytes.
pub fn chain_context() -> Vec<u8> {
    key("consensus/chain-context", &[])
}

/// [`Params`](super::Params).
pub fn params() -> Vec<u8> {
    key("consensus/params", &[])
}

/// [`EventsRoot`](super::EventsRoot) of the newest block with events.
pub fn events_root() -> Vec<u8> {
    key("consensus/events-root", &[])
}

/// [`StateRoot`](super::StateRoot) of a height, or of one that many heights before or after it: the
/// places of [`STATE_ROOTS_KEPT`] heights are used in turn.
pub fn state_root(height: Height) -> Vec<u8> {
    let place = height.0.checked_rem(STATE_ROOTS_KEPT).unwrap_or(0);
    key("consensus/state-root/", &[&place.to_be_bytes()])
}
