//! Transactions.
use consensus_api::Error;
use consensus_api::roothash::{Evidence, ExecutorCommit, SubmitMessage};

use crate::Context;

/// Votes.
pub(crate) fn executor_commit(_ctx: &mut Context<'_>, _b: &ExecutorCommit) -> Result<(), Error> {
    Ok(())
}
/// Evidence.
pub(crate) fn evidence(_ctx: &mut Context<'_>, _b: &Evidence) -> Result<(), Error> {
    Ok(())
}
/// A message.
pub(crate) fn submit_message(_ctx: &mut Context<'_>, _b: &SubmitMessage) -> Result<(), Error> {
    Ok(())
}
