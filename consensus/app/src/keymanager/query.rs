//! Reads of key managers, of any kept state.

use paralith_consensus_api::Error;
use paralith_consensus_api::keymanager::{
    Params, PublishEpochSecret, PublishMasterSecret, Status, keys,
};
use paralith_storage::StateRead;
use paralith_types::RuntimeId;

use crate::query::{list, read, require};

/// Parameters of key managers.
pub fn params(state: &dyn StateRead) -> Result<Params, Error> {
    require(state, &keys::params())
}

/// Where a key manager stands.
pub fn status(state: &dyn StateRead, id: &RuntimeId) -> Result<Option<Status>, Error> {
    read(state, &keys::status(id))
}

/// All key managers, sorted by id.
pub fn statuses(state: &dyn StateRead) -> Result<Vec<Status>, Error> {
    list(state, &keys::statuses())
}

/// The newest proposal of a generation, accepted or not.
pub fn master_secret(
    state: &dyn StateRead,
    id: &RuntimeId,
) -> Result<Option<PublishMasterSecret>, Error> {
    read(state, &keys::master_secret(id))
}

/// The newest epoch secret.
pub fn epoch_secret(
    state: &dyn StateRead,
    id: &RuntimeId,
) -> Result<Option<PublishEpochSecret>, Error> {
    read(state, &keys::epoch_secret(id))
}
