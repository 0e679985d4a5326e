//! How a block's events lie beside the tree: each with its length before it.

use paralith_consensus_api::event::{Event, MAX_EVENT_BYTES};
use paralith_proto::Canonical;
use paralith_storage::StorageError;
use paralith_types::Height;

/// The key of a block's events in `Column::Blocks`.
pub(crate) fn key(height: Height) -> Vec<u8> {
    [b"app/events/".as_slice(), &height.0.to_be_bytes()].concat()
}

/// Encoded events as one value.
pub(crate) fn join(events: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for event in events {
        bytes.extend_from_slice(&(event.len() as u64).to_be_bytes());
        bytes.extend_from_slice(event);
    }
    bytes
}

/// The events of a value that [`join`] made.
pub(crate) fn split(mut bytes: &[u8]) -> Result<Vec<Event>, StorageError> {
    let damaged = || StorageError::Corrupt { what: "the events of a block".to_string() };
    let mut events = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<8>() {
        let length = usize::try_from(u64::from_be_bytes(*length)).map_err(|_| damaged())?;
        let (event, after) = rest.split_at_checked(length).ok_or_else(damaged)?;
        events.push(Event::decode(event, 2 * MAX_EVENT_BYTES).map_err(|_| damaged())?);
        bytes = after;
    }
    if bytes.is_empty() { Ok(events) } else { Err(damaged()) }
}
