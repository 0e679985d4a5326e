//! Money in the mediator's custody: bonds, deposits, payments, rewards and contracts' balances.
//!
//! PC-11: it lies in one account that has no key. What it holds is the sum of what the records say: contracts'
//! balances, deposits that no batch took, payments, rewards and deposits of transactions, bonds. Each of
//! these ends by a timer or by a call of its owner.

use paralith_private_contract_core::domains;
use paralith_sdk::{Accounts, Address, Amount, Context, Result};

use crate::error::MediatorError;
use crate::state::corrupt;

pub(crate) const ACCOUNTS: Accounts = Accounts::new("money/");

/// The account of the money in custody: the hash of a domain, so nobody has a key of it.
#[must_use]
pub fn custody() -> Address {
    let hash = paralith_private_contract_core::ids::tagged(domains::CUSTODY);
    let mut address = [0; Address::LEN];
    for (to, from) in address.iter_mut().skip(1).zip(hash.0) {
        *to = from;
    }
    Address(address)
}

/// Takes from an account into custody.
pub(crate) fn take(
    ctx: &mut Context,
    from: &Address,
    amount: Amount,
    what: &'static str,
) -> Result<()> {
    if amount == Amount::ZERO {
        return Ok(());
    }
    let taken = ACCOUNTS.pay(ctx, from, &custody(), amount);
    taken.map_err(|error| MediatorError::of_accounts(error, what))
}

/// Gives out of custody. What a contract pays to the custody itself, which nobody could ever get out, goes
/// into the pot of fees.
pub(crate) fn give(ctx: &mut Context, to: &Address, amount: Amount) -> Result<()> {
    if amount == Amount::ZERO {
        return Ok(());
    }
    if *to == custody() {
        return to_pot(ctx, amount);
    }
    // Custody covers what the records say.
    ACCOUNTS.pay(ctx, &custody(), to, amount).map_err(|_| corrupt())
}

/// Moves from custody into the pot of fees.
pub(crate) fn to_pot(ctx: &mut Context, amount: Amount) -> Result<()> {
    ACCOUNTS.charge(ctx, &custody(), amount).map_err(|_| corrupt())
}

/// Moves from the pot of fees into custody.
pub(crate) fn from_pot(ctx: &mut Context, amount: Amount) -> Result<()> {
    if amount == Amount::ZERO {
        return Ok(());
    }
    ACCOUNTS.pay_from_pot(ctx, &custody(), amount).map_err(|_| corrupt())
}

/// Gives out of custody in equal parts; the rest, or all if there is nobody, goes into the pot.
pub(crate) fn share(ctx: &mut Context, amount: Amount, to: &[Address]) -> Result<()> {
    let parts = u128::try_from(to.len()).map_err(|_| corrupt())?;
    let part = Amount(amount.0.checked_div(parts).unwrap_or(0));
    let mut rest = amount;
    for address in to {
        give(ctx, address, part)?;
        rest = rest.sub(part)?;
    }
    to_pot(ctx, rest)
}
