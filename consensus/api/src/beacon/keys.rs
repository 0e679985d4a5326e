//! State keys of epochs.

use crate::key::key;

/// [`EpochState`](super::EpochState).
pub fn epoch() -> Vec<u8> {
    key("beacon/epoch", &[])
}

/// [`Params`](super::Params).
pub fn params() -> Vec<u8> {
    key("beacon/params", &[])
}
