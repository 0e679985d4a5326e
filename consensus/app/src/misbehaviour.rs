//! Validators that signed two blocks of one height or attacked light clients, as CometBFT reports.
//!
//! The entity that owned the key then is slashed, once for each height: CometBFT may report the
//! prevotes and the precommits of one height. The validator leaves the set at once and its node is in
//! no election for `freeze_epochs`.

use paralith_consensus_api::{Error, address};

use crate::block::Misbehaviour;
use crate::context::Context;
use crate::{registry, scheduler, staking};

/// Punishes what was not punished yet. An offence against a key that nobody answers for any more is
/// too old to count.
pub(crate) fn punish(ctx: &mut Context<'_>, offences: &[Misbehaviour]) -> Result<(), Error> {
    for offence in offences {
        let Some(mut owner) = registry::consensus_key_owner(ctx, &offence.validator)? else {
            continue;
        };
        // SK-24: once a height, whatever CometBFT reports of it.
        if !registry::note_punished(ctx, &offence.validator, &mut owner, offence.height) {
            continue;
        }
        let params = staking::params(ctx)?;
        staking::slash(ctx, &address::of_key(&owner.entity_id), params.slash_equivocation)?;
        let until = ctx.epoch()?.plus(params.freeze_epochs);
        registry::freeze(ctx, &owner.node_id, until)?;
        scheduler::remove_validator(ctx, &offence.validator)?;
    }
    Ok(())
}
