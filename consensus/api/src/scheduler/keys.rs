//! State keys of elections.

use paralith_types::{Round, RuntimeId};

use crate::key::key;

/// [`Validators`](super::Validators).
pub fn validators() -> Vec<u8> {
    key("scheduler/validators", &[])
}

/// [`ValidatorAlarm`](super::ValidatorAlarm), while there is one.
pub fn validator_alarm() -> Vec<u8> {
    key("scheduler/validator-alarm", &[])
}

/// [`Committee`](super::Committee) of the epoch that runs; absent if none could be elected.
pub fn committee(runtime: &RuntimeId) -> Vec<u8> {
    key("scheduler/committee/", &[runtime.as_bytes()])
}

/// [`CommitteeTerm`](super::CommitteeTerm) by its first round.
pub fn term(runtime: &RuntimeId, first_round: Round) -> Vec<u8> {
    key("scheduler/term/", &[runtime.as_bytes(), &first_round.0.to_be_bytes()])
}

/// The kept terms of a runtime, by their first round.
pub fn terms_of(runtime: &RuntimeId) -> Vec<u8> {
    key("scheduler/term/", &[runtime.as_bytes()])
}

/// [`Params`](super::Params).
pub fn params() -> Vec<u8> {
    key("scheduler/params", &[])
}
