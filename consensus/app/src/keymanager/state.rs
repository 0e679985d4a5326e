//! The keys of key managers.

use paralith_consensus_api::Error;
use paralith_consensus_api::keymanager::{
    EpochChecksum, EpochChecksums, MAX_EPOCH_CHECKSUMS, Params, PublishEpochSecret,
    PublishMasterSecret, Status, keys,
};
use paralith_types::{Epoch, Hash, RuntimeId};

use crate::Context;

pub(super) fn params(ctx: &Context<'_>) -> Result<Params, Error> {
    ctx.require(&keys::params())
}

pub(super) fn set_params(ctx: &mut Context<'_>, params: &Params) {
    ctx.set(keys::params(), params);
}

pub(super) fn status(ctx: &Context<'_>, id: &RuntimeId) -> Result<Option<Status>, Error> {
    ctx.get(&keys::status(id))
}

pub(super) fn set_status(ctx: &mut Context<'_>, status: &Status) {
    ctx.set(keys::status(&status.id), status);
}

/// The newest proposal of a generation, accepted or not.
pub(super) fn master_secret(
    ctx: &Context<'_>,
    id: &RuntimeId,
) -> Result<Option<PublishMasterSecret>, Error> {
    ctx.get(&keys::master_secret(id))
}

pub(super) fn set_master_secret(
    ctx: &mut Context<'_>,
    id: &RuntimeId,
    secret: &PublishMasterSecret,
) {
    ctx.set(keys::master_secret(id), secret);
}

/// The newest epoch secret.
pub(super) fn epoch_secret(
    ctx: &Context<'_>,
    id: &RuntimeId,
) -> Result<Option<PublishEpochSecret>, Error> {
    ctx.get(&keys::epoch_secret(id))
}

pub(super) fn set_epoch_secret(ctx: &mut Context<'_>, id: &RuntimeId, secret: &PublishEpochSecret) {
    ctx.set(keys::epoch_secret(id), secret);
}

/// Adds the checksum of a published epoch secret and drops the oldest above the limit.
pub(super) fn add_epoch_checksum(
    ctx: &mut Context<'_>,
    id: &RuntimeId,
    epoch: Epoch,
    checksum: Hash,
) -> Result<(), Error> {
    let key = keys::epoch_checksums(id);
    let held: Option<EpochChecksums> = ctx.get(&key)?;
    let mut checksums = held.map(|held| held.checksums).unwrap_or_default();
    checksums.push(EpochChecksum { epoch, checksum });
    let above = checksums.len().saturating_sub(MAX_EPOCH_CHECKSUMS);
    checksums.drain(..above);
    ctx.set(key, &EpochChecksums { checksums });
    Ok(())
}
