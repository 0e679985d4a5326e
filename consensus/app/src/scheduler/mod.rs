//! Elections: validators by stake, committees of runtimes by lot.
//!
//! Elections happen at genesis and when an epoch begins, and at no other time: a slash in the middle of
//! an epoch shows in the next election. Only a validator that signed two blocks leaves the set at once.
//! Who counts is the same in both: nodes that have not expired and are not frozen, whose entity's
//! active stake covers all its claims. The lot is a hash of the epoch's
//! randomness with what is drawn, so the same state gives the same result on every machine.

mod committee;
mod state;
mod term;
#[cfg(test)]
mod tests;
mod validators;

use paralith_consensus_api::genesis::Genesis;
use paralith_consensus_api::registry::Node;
use paralith_consensus_api::scheduler::{Committee, Error as SchedulerError, Validators};
use paralith_consensus_api::{Error, address};
use paralith_types::{Amount, RuntimeId};

use crate::context::Context;
use crate::{registry, staking};

pub(crate) use term::{begin_term, forget_terms, term_of};
pub(crate) use validators::{remove_validator, updates};

/// Parameters, and no validators yet.
pub(crate) fn init_genesis(ctx: &mut Context<'_>, genesis: &Genesis) -> Result<(), Error> {
    state::set_params(ctx, &genesis.params.scheduler);
    state::set_validators(ctx, &Validators::default());
    Ok(())
}

/// Elects validators and all committees for the epoch that begins.
pub(crate) fn elect(ctx: &mut Context<'_>) -> Result<(), Error> {
    let (mut candidates, mut lapsed) = (Vec::new(), Vec::new());
    for node in registry::nodes(ctx)? {
        let Some(stake) = stake_of(ctx, &node)? else { continue };
        match registry::is_live(ctx, &node)? {
            true if registry::is_eligible(ctx, &node)? => {
                candidates.push(Candidate { node, stake })
            }
            true => {}
            false => lapsed.push(Candidate { node, stake }),
        }
    }
    validators::elect(ctx, &candidates, &lapsed)?;
    for runtime in registry::runtimes(ctx)? {
        committee::elect(ctx, &runtime, &candidates)?;
    }
    Ok(())
}

/// A chain cannot begin without enough validators.
pub(crate) fn require_validators(ctx: &Context<'_>) -> Result<(), Error> {
    let minimum = state::params(ctx)?.min_validators.max(1);
    let got = u32::try_from(validators(ctx)?.validators.len()).unwrap_or(u32::MAX);
    if got < minimum {
        return Err(SchedulerError::TooFewValidators { got, minimum }.into());
    }
    Ok(())
}

/// A runtime's committee in the epoch that runs.
pub(crate) fn committee(
    ctx: &Context<'_>,
    runtime: &RuntimeId,
) -> Result<Option<Committee>, Error> {
    state::committee(ctx, runtime)
}

/// The validators that were elected last.
pub(crate) fn validators(ctx: &Context<'_>) -> Result<Validators, Error> {
    state::validators(ctx)
}

/// A node that counts in elections.
struct Candidate {
    node: Node,
    /// The entity's active stake.
    stake: Amount,
}

/// The active stake of a node's entity, if it covers its claims and the node is not frozen.
fn stake_of(ctx: &Context<'_>, node: &Node) -> Result<Option<Amount>, Error> {
    if registry::is_frozen(ctx, node)? {
        return Ok(None);
    }
    let account = staking::account(ctx, &address::of_key(&node.entity_id))?;
    Ok(staking::claims_covered(&account)?.then_some(account.active.balance))
}
