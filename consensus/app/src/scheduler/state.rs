//! The scheduler's keys.

use paralith_consensus_api::Error;
use paralith_consensus_api::scheduler::{Committee, Params, ValidatorAlarm, Validators, keys};
use paralith_types::RuntimeId;

use crate::context::Context;

pub(super) fn params(ctx: &Context<'_>) -> Result<Params, Error> {
    ctx.require(&keys::params())
}

pub(super) fn set_params(ctx: &mut Context<'_>, params: &Params) {
    ctx.set(keys::params(), params);
}

pub(super) fn validators(ctx: &Context<'_>) -> Result<Validators, Error> {
    ctx.require(&keys::validators())
}

pub(super) fn set_validators(ctx: &mut Context<'_>, validators: &Validators) {
    ctx.set(keys::validators(), validators);
}

pub(super) fn validator_alarm(ctx: &Context<'_>) -> Result<Option<ValidatorAlarm>, Error> {
    ctx.get(&keys::validator_alarm())
}

pub(super) fn set_validator_alarm(ctx: &mut Context<'_>, alarm: &ValidatorAlarm) {
    ctx.set(keys::validator_alarm(), alarm);
}

pub(super) fn remove_validator_alarm(ctx: &mut Context<'_>) {
    ctx.remove(keys::validator_alarm());
}

pub(super) fn committee(
    ctx: &Context<'_>,
    runtime: &RuntimeId,
) -> Result<Option<Committee>, Error> {
    ctx.get(&keys::committee(runtime))
}

pub(super) fn set_committee(ctx: &mut Context<'_>, committee: &Committee) {
    ctx.set(keys::committee(&committee.runtime_id), committee);
}

pub(super) fn remove_committee(ctx: &mut Context<'_>, runtime: &RuntimeId) {
    ctx.remove(keys::committee(runtime));
}
