//! ParaTime blocks: votes, verdicts, evidence and messages.

pub mod execute;
pub mod query;

use consensus_api::registry::Runtime;
use consensus_api::Error;

use crate::Context;

/// At genesis.
pub(crate) fn init_genesis(
    _ctx: &mut Context<'_>,
    _genesis: &consensus_api::genesis::Genesis,
) -> Result<(), Error> {
    Ok(())
}

/// A compute runtime was registered.
pub(crate) fn on_runtime_registered(_ctx: &mut Context<'_>, _r: &Runtime) -> Result<(), Error> {
    Ok(())
}

/// Committees were elected.
pub(crate) fn on_committees_changed(_ctx: &mut Context<'_>) -> Result<(), Error> {
    Ok(())
}

/// A block ends.
pub(crate) fn end_block(_ctx: &mut Context<'_>) -> Result<(), Error> {
    Ok(())
}
