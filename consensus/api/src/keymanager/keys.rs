//! State keys of key managers.

use paralith_types::RuntimeId;

use crate::key::key;

/// [`Status`](super::Status).
pub fn status(id: &RuntimeId) -> Vec<u8> {
    key("keymanager/status/", &[id.as_bytes()])
}

/// All statuses, sorted by id.
pub fn statuses() -> Vec<u8> {
    key("keymanager/status/", &[])
}

/// The newest [`PublishMasterSecret`](super::PublishMasterSecret).
pub fn master_secret(id: &RuntimeId) -> Vec<u8> {
    key("keymanager/master-secret/", &[id.as_bytes()])
}

/// The newest [`PublishEpochSecret`](super::PublishEpochSecret).
pub fn epoch_secret(id: &RuntimeId) -> Vec<u8> {
    key("keymanager/epoch-secret/", &[id.as_bytes()])
}

/// [`EpochChecksums`](super::EpochChecksums).
pub fn epoch_checksums(id: &RuntimeId) -> Vec<u8> {
    key("keymanager/epoch-checksums/", &[id.as_bytes()])
}

/// [`Params`](super::Params).
pub fn params() -> Vec<u8> {
    key("keymanager/params", &[])
}
