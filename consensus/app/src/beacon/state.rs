//! The beacon's keys.

use paralith_consensus_api::Error;
use paralith_consensus_api::beacon::{EpochState, Params, keys};

use crate::context::Context;

pub(super) fn epoch(ctx: &Context<'_>) -> Result<EpochState, Error> {
    ctx.require(&keys::epoch())
}

pub(super) fn set_epoch(ctx: &mut Context<'_>, epoch: &EpochState) {
    ctx.set(keys::epoch(), epoch);
}

pub(super) fn params(ctx: &Context<'_>) -> Result<Params, Error> {
    ctx.require(&keys::params())
}

pub(super) fn set_params(ctx: &mut Context<'_>, params: &Params) {
    ctx.set(keys::params(), params);
}
