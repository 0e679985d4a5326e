//! State keys of the chain itself.

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
