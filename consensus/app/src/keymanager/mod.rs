//! Key managers.

pub mod execute;
pub mod query;

use consensus_api::Error;

use crate::Context;

/// At genesis.
pub(crate) fn init_genesis(
    _ctx: &mut Context<'_>,
    _genesis: &consensus_api::genesis::Genesis,
) -> Result<(), Error> {
    Ok(())
}

/// A new epoch.
pub(crate) fn on_epoch(_ctx: &mut Context<'_>) -> Result<(), Error> {
    Ok(())
}
