//! State keys of elections.

use paralith_types::RuntimeId;

use crate::key::key;

/// [`Validators`](super::Validators).
pub fn validators() -> Vec<u8> {
    key("scheduler/validators", &[])
}

/// [`Committee`](super::Committee) of the epoch that runs; absent if none could be elected.
pub fn committee(runtime: &RuntimeId) -> Vec<u8> {
    key("scheduler/committee/", &[runtime.as_bytes()])
}

/// [`Params`](super::Params).
pub fn params() -> Vec<u8> {
    key("scheduler/params", &[])
}
