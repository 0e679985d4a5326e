//! The native token: accounts, escrow in share pools, slashing, claims on stake.
//!
//! What always holds: the total supply is the sum over all accounts (the common pool and the fee
//! accumulator are accounts) of balance, active and debonding pool; and each pool's shares are the
//! sum of the shares delegated in it.
//!
//! Not here yet: commission, epoch rewards, allowances, burning.

mod claims;
pub(crate) mod epoch;
pub(crate) mod execute;
mod pool;
pub(crate) mod state;
#[cfg(test)]
mod tests;

use paralith_consensus_api::genesis::Genesis;
use paralith_consensus_api::staking::{
    Account, Error as StakingError, EscrowAdded, EscrowTaken, Params, Transferred,
};
use paralith_consensus_api::{Error, address};
use paralith_types::{Address, Amount};

use crate::context::Context;
use pool::{Deposit, overflow};

pub(crate) use claims::{claims_covered, remove_claim, set_claim};

/// Balances, stake and total supply of genesis.
pub(crate) fn init_genesis(ctx: &mut Context<'_>, genesis: &Genesis) -> Result<(), Error> {
    state::set_params(ctx, &genesis.params.staking);
    let mut total = Amount::ZERO;
    for allocation in &genesis.accounts {
        let mut account = state::account(ctx, &allocation.address)?;
        if account != Account::default() || allocation.address == address::fee_accumulator() {
            return Err(invalid(format!("a second or reserved account {}", allocation.address)));
        }
        account.balance = allocation.balance;
        total = total.add(allocation.balance).map_err(overflow)?;
        state::set_account(ctx, &allocation.address, &account);
    }
    for escrow in &genesis.escrows {
        if address::is_reserved(&escrow.escrow) {
            return Err(invalid(format!("stake on the reserved account {}", escrow.escrow)));
        }
        total = total.add(escrow.amount).map_err(overflow)?;
        // Nothing was slashed yet: a share costs one base unit, and the pool takes all.
        add_stake(ctx, &escrow.owner, &escrow.escrow, escrow.amount)?;
    }
    state::set_total_supply(ctx, total);
    Ok(())
}

/// The token's parameters.
pub(crate) fn params(ctx: &Context<'_>) -> Result<Params, Error> {
    state::params(ctx)
}

/// An account; the default if it was never touched.
pub(crate) fn account(ctx: &Context<'_>, address: &Address) -> Result<Account, Error> {
    state::account(ctx, address)
}

/// Moves base units between accounts of which none belongs to the chain itself. Nothing moves and
/// no event is emitted when the amount is zero.
pub(crate) fn transfer(
    ctx: &mut Context<'_>,
    from: &Address,
    to: &Address,
    amount: Amount,
) -> Result<(), Error> {
    refuse_reserved(from)?;
    refuse_reserved(to)?;
    move_balance(ctx, from, to, amount)
}

/// [`transfer`] for the chain itself: between any accounts.
pub(crate) fn move_balance(
    ctx: &mut Context<'_>,
    from: &Address,
    to: &Address,
    amount: Amount,
) -> Result<(), Error> {
    if amount == Amount::ZERO {
        return Ok(());
    }
    let mut source = state::account(ctx, from)?;
    source.balance = subtract(source.balance, amount)?;
    if from != to {
        state::set_account(ctx, from, &source);
        credit(ctx, to, amount)?;
    }
    ctx.emit(Transferred { from: *from, to: *to, amount });
    Ok(())
}

/// What a slash took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Slashed {
    /// From all delegators together.
    pub(crate) taken: Amount,
    /// From what the account has staked on itself and is not debonding.
    pub(crate) own: Amount,
}

/// Slashes an account's stake, what is debonding included, in favour of the common pool.
///
/// Each pool loses `min(balance, floor(balance * amount / total))`, so both lose in proportion. At
/// most the whole stake is taken.
pub(crate) fn slash(
    ctx: &mut Context<'_>,
    address: &Address,
    amount: Amount,
) -> Result<Slashed, Error> {
    let mut account = state::account(ctx, address)?;
    let total = account.active.balance.add(account.debonding.balance).map_err(overflow)?;
    if total == Amount::ZERO || amount == Amount::ZERO {
        return Ok(Slashed::default());
    }
    // SK-4: stake on its way out answers like stake that stays.
    let active = pool::slash(&mut account.active, amount, total)?;
    let debonding = pool::slash(&mut account.debonding, amount, total)?;
    let taken = active.add(debonding).map_err(overflow)?;
    if taken == Amount::ZERO {
        return Ok(Slashed::default());
    }
    let own_shares = state::delegation(ctx, address, address)?;
    let own = match account.active.total_shares {
        Amount::ZERO => Amount::ZERO,
        shares => active.mul_div(own_shares, shares).map_err(overflow)?,
    };
    state::set_account(ctx, address, &account);
    credit(ctx, &address::common_pool(), taken)?;
    ctx.emit(EscrowTaken { owner: *address, amount: taken, debonding_amount: debonding });
    Ok(Slashed { taken, own })
}

/// How much of a slash may be paid as rewards. It is never more than the offender lost itself, so
/// that no operator gains by an offence of its own, whatever its delegators lose.
pub(crate) fn reward_of(ctx: &Context<'_>, slashed: &Slashed) -> Result<Amount, Error> {
    let percent = Amount(u128::from(state::params(ctx)?.slash_reward_percent.min(100)));
    // SK-30: the second bound makes an offence under another name worthless.
    let share = slashed.taken.mul_div(percent, Amount(100)).map_err(overflow)?;
    Ok(share.min(slashed.own))
}

/// Adds stake from the common pool, at most what it has, without new shares: every delegator's
/// shares are worth more. An account without shares gets it as its own delegation.
pub(crate) fn reward_from_common(
    ctx: &mut Context<'_>,
    to: &Address,
    amount: Amount,
) -> Result<Amount, Error> {
    let amount = amount.min(state::account(ctx, &address::common_pool())?.balance);
    if amount == Amount::ZERO {
        return Ok(Amount::ZERO);
    }
    if state::account(ctx, to)?.active.total_shares == Amount::ZERO {
        move_balance(ctx, &address::common_pool(), to, amount)?;
        escrow(ctx, to, to, amount)?;
        return Ok(amount);
    }
    debit(ctx, &address::common_pool(), amount)?;
    let mut account = state::account(ctx, to)?;
    // SK-5: without new shares, so that all delegators gain alike.
    account.active.balance = account.active.balance.add(amount).map_err(overflow)?;
    state::set_account(ctx, to, &account);
    let (owner, new_shares) = (address::common_pool(), Amount::ZERO);
    ctx.emit(EscrowAdded { owner, escrow: *to, amount, new_shares });
    Ok(amount)
}

/// Pays from the common pool, at most what it has. Gives what was paid.
pub(crate) fn pay_from_common(
    ctx: &mut Context<'_>,
    to: &Address,
    amount: Amount,
) -> Result<Amount, Error> {
    let amount = amount.min(state::account(ctx, &address::common_pool())?.balance);
    move_balance(ctx, &address::common_pool(), to, amount)?;
    Ok(amount)
}

/// Moves base units of `owner` into the active pool of `account`.
fn escrow(
    ctx: &mut Context<'_>,
    owner: &Address,
    account: &Address,
    amount: Amount,
) -> Result<(), Error> {
    debit(ctx, owner, amount)?;
    let taken = add_stake(ctx, owner, account, amount)?;
    credit(ctx, owner, subtract(amount, taken)?)
}

/// Puts base units that were taken from somewhere into an active pool. Gives how many the pool took.
fn add_stake(
    ctx: &mut Context<'_>,
    owner: &Address,
    account: &Address,
    amount: Amount,
) -> Result<Amount, Error> {
    let mut staked_on = state::account(ctx, account)?;
    let Deposit { shares, taken } = pool::deposit(&mut staked_on.active, amount)?;
    state::set_account(ctx, account, &staked_on);
    let held = state::delegation(ctx, account, owner)?.add(shares).map_err(overflow)?;
    state::set_delegation(ctx, account, owner, held);
    ctx.emit(EscrowAdded { owner: *owner, escrow: *account, amount: taken, new_shares: shares });
    Ok(taken)
}

fn credit(ctx: &mut Context<'_>, address: &Address, amount: Amount) -> Result<(), Error> {
    if amount == Amount::ZERO {
        return Ok(());
    }
    let mut account = state::account(ctx, address)?;
    account.balance = account.balance.add(amount).map_err(overflow)?;
    state::set_account(ctx, address, &account);
    Ok(())
}

fn debit(ctx: &mut Context<'_>, address: &Address, amount: Amount) -> Result<(), Error> {
    let mut account = state::account(ctx, address)?;
    account.balance = subtract(account.balance, amount)?;
    state::set_account(ctx, address, &account);
    Ok(())
}

fn subtract(balance: Amount, amount: Amount) -> Result<Amount, StakingError> {
    balance.sub(amount).map_err(|_| StakingError::InsufficientBalance {
        balance: balance.to_string(),
        amount: amount.to_string(),
    })
}

fn refuse_reserved(address: &Address) -> Result<(), StakingError> {
    if address::is_reserved(address) {
        let reason = format!("{address} belongs to the chain itself");
        return Err(StakingError::Forbidden { reason });
    }
    Ok(())
}

fn invalid(reason: String) -> Error {
    StakingError::InvalidArgument { reason }.into()
}
