//! The token's keys. Nothing is stored for what is zero, so that a state has one form.

use paralith_consensus_api::Error;
use paralith_consensus_api::staking::{Account, Delegation, Params, keys};
use paralith_types::{Address, Amount, Epoch};

use crate::context::Context;
use crate::query::damaged;

pub(crate) fn account(ctx: &Context<'_>, address: &Address) -> Result<Account, Error> {
    Ok(ctx.get(&keys::account(address))?.unwrap_or_default())
}

pub(crate) fn set_account(ctx: &mut Context<'_>, address: &Address, account: &Account) {
    let key = keys::account(address);
    if *account == Account::default() { ctx.remove(key) } else { ctx.set(key, account) }
}

pub(super) fn delegation(
    ctx: &Context<'_>,
    escrow: &Address,
    delegator: &Address,
) -> Result<Amount, Error> {
    shares(ctx, &keys::delegation(escrow, delegator))
}

pub(super) fn set_delegation(
    ctx: &mut Context<'_>,
    escrow: &Address,
    delegator: &Address,
    shares: Amount,
) {
    set_shares(ctx, keys::delegation(escrow, delegator), shares);
}

pub(super) fn debonding(
    ctx: &Context<'_>,
    end: Epoch,
    delegator: &Address,
    escrow: &Address,
) -> Result<Amount, Error> {
    shares(ctx, &keys::debonding(end, delegator, escrow))
}

pub(super) fn set_debonding(
    ctx: &mut Context<'_>,
    end: Epoch,
    delegator: &Address,
    escrow: &Address,
    shares: Amount,
) {
    set_shares(ctx, keys::debonding(end, delegator, escrow), shares);
}

/// Delegator and account of everything that an epoch pays.
pub(super) fn debonding_at(
    ctx: &Context<'_>,
    end: Epoch,
) -> Result<Vec<(Address, Address)>, Error> {
    let prefix = keys::debonding_at(end);
    let read = |key: &[u8]| {
        let (delegator, escrow) = key.get(prefix.len()..)?.split_at_checked(Address::LEN)?;
        Some((Address::try_from(delegator).ok()?, Address::try_from(escrow).ok()?))
    };
    ctx.scan(&prefix)?
        .iter()
        .map(|(key, _)| read(key).ok_or_else(|| damaged(key, "not a debonding key")))
        .collect()
}

pub(super) fn set_total_supply(ctx: &mut Context<'_>, total: Amount) {
    ctx.set_raw(keys::total_supply(), total.to_be_bytes_minimal());
}

pub(super) fn params(ctx: &Context<'_>) -> Result<Params, Error> {
    ctx.require(&keys::params())
}

pub(super) fn set_params(ctx: &mut Context<'_>, params: &Params) {
    ctx.set(keys::params(), params);
}

fn shares(ctx: &Context<'_>, key: &[u8]) -> Result<Amount, Error> {
    Ok(ctx.get::<Delegation>(key)?.unwrap_or_default().shares)
}

fn set_shares(ctx: &mut Context<'_>, key: Vec<u8>, shares: Amount) {
    if shares == Amount::ZERO { ctx.remove(key) } else { ctx.set(key, &Delegation { shares }) }
}
