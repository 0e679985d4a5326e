//! The token's transactions.

use paralith_consensus_api::Error;
use paralith_consensus_api::staking::{
    AddEscrow, DebondingStarted, Error as StakingError, ReclaimEscrow, Transfer,
};
use paralith_types::Amount;

use super::pool::{Deposit, overflow};
use super::{credit, escrow, invalid, pool, refuse_reserved, state, subtract};
use crate::context::Context;

/// Moves base units to another account.
pub(crate) fn transfer(ctx: &mut Context<'_>, body: &Transfer) -> Result<(), Error> {
    let params = state::params(ctx)?;
    ctx.charge(params.gas_transfer)?;
    if body.amount < params.min_transfer {
        let minimum = params.min_transfer.to_string();
        return Err(StakingError::UnderMinTransfer { minimum }.into());
    }
    let from = ctx.signer()?.address;
    super::transfer(ctx, &from, &body.to, body.amount)
}

/// Puts base units into an active pool.
pub(crate) fn add_escrow(ctx: &mut Context<'_>, body: &AddEscrow) -> Result<(), Error> {
    let params = state::params(ctx)?;
    ctx.charge(params.gas_add_escrow)?;
    if body.amount == Amount::ZERO {
        return Err(invalid("nothing to escrow".to_string()));
    }
    if body.amount < params.min_delegation {
        let minimum = params.min_delegation.to_string();
        return Err(StakingError::UnderMinDelegation { minimum }.into());
    }
    refuse_reserved(&body.account)?;
    let owner = ctx.signer()?.address;
    escrow(ctx, &owner, &body.account, body.amount)
}

/// Begins to take stake out. As long as it is debonding it can be slashed and counts for nothing.
/// Claims do not hold it back: who they are for is not elected once they are not covered.
pub(crate) fn reclaim_escrow(ctx: &mut Context<'_>, body: &ReclaimEscrow) -> Result<(), Error> {
    let params = state::params(ctx)?;
    ctx.charge(params.gas_reclaim_escrow)?;
    if body.shares == Amount::ZERO {
        return Err(invalid("no shares to reclaim".to_string()));
    }
    let (owner, escrow) = (ctx.signer()?.address, body.account);
    let owned = state::delegation(ctx, &escrow, &owner)?;
    let left = owned.sub(body.shares).map_err(|_| StakingError::InsufficientShares {
        owned: owned.to_string(),
        asked: body.shares.to_string(),
    })?;
    state::set_delegation(ctx, &escrow, &owner, left);

    let mut account = state::account(ctx, &escrow)?;
    // SK-3: what leaves stays slashable until its epoch begins.
    let amount = pool::withdraw(&mut account.active, body.shares)?;
    let Deposit { shares: debonding_shares, taken } =
        pool::deposit(&mut account.debonding, amount)?;
    state::set_account(ctx, &escrow, &account);
    // Less than the price of one debonding share, which is about one base unit.
    credit(ctx, &owner, subtract(amount, taken)?)?;
    let end = ctx.epoch()?.plus(params.debonding_epochs);
    let waiting = state::debonding(ctx, end, &owner, &escrow)?;
    let waiting = waiting.add(debonding_shares).map_err(overflow)?;
    state::set_debonding(ctx, end, &owner, &escrow, waiting);
    ctx.emit(DebondingStarted {
        owner,
        escrow,
        amount: taken,
        active_shares: body.shares,
        debonding_shares,
        debond_end_epoch: end,
    });
    Ok(())
}
