//! Debonded stake is paid out when its epoch begins.

use paralith_consensus_api::Error;
use paralith_consensus_api::staking::EscrowReclaimed;
use paralith_types::{Address, Amount, Epoch};

use super::{credit, pool, state};
use crate::context::Context;

/// Pays everything whose time has come.
///
/// What is still there can only be due in this epoch, or in the one before if debonding takes no time:
/// every earlier one was paid when its epoch began.
pub(crate) fn pay_out(ctx: &mut Context<'_>) -> Result<(), Error> {
    let epoch = ctx.epoch()?;
    for end in [epoch.minus(1), epoch] {
        for (delegator, escrow) in state::debonding_at(ctx, end)? {
            pay(ctx, end, &delegator, &escrow)?;
        }
    }
    Ok(())
}

fn pay(
    ctx: &mut Context<'_>,
    end: Epoch,
    delegator: &Address,
    escrow: &Address,
) -> Result<(), Error> {
    let shares = state::debonding(ctx, end, delegator, escrow)?;
    state::set_debonding(ctx, end, delegator, escrow, Amount::ZERO);
    let mut account = state::account(ctx, escrow)?;
    let amount = pool::withdraw(&mut account.debonding, shares)?;
    state::set_account(ctx, escrow, &account);
    credit(ctx, delegator, amount)?;
    ctx.emit(EscrowReclaimed { owner: *delegator, escrow: *escrow, amount, shares });
    Ok(())
}
