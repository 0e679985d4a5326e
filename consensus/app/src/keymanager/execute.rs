//! Transactions.
use consensus_api::Error;
use consensus_api::keymanager::{PublishEpochSecret, PublishMasterSecret, UpdatePolicy};

use crate::Context;

/// Policy.
pub(crate) fn update_policy(_ctx: &mut Context<'_>, _b: &UpdatePolicy) -> Result<(), Error> {
    Ok(())
}
/// Master secret.
pub(crate) fn publish_master_secret(
    _ctx: &mut Context<'_>,
    _b: &PublishMasterSecret,
) -> Result<(), Error> {
    Ok(())
}
/// Epoch secret.
pub(crate) fn publish_epoch_secret(
    _ctx: &mut Context<'_>,
    _b: &PublishEpochSecret,
) -> Result<(), Error> {
    Ok(())
}
