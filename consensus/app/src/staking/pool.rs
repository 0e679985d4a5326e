//! Share pools: multiply first, then divide, rounding down. What rounding takes stays in the pool.

use paralith_consensus_api::staking::{Error, SharePool};
use paralith_types::{Amount, AmountError};

/// Puts base units into a pool and gives the shares for them.
pub(super) fn deposit(pool: &mut SharePool, amount: Amount) -> Result<Amount, Error> {
    if amount == Amount::ZERO {
        return Ok(Amount::ZERO);
    }
    let shares = if pool.total_shares == Amount::ZERO {
        amount
    } else if pool.balance == Amount::ZERO {
        // Everything was slashed: no number of shares is worth the deposit.
        let reason = "the account's stake was slashed to nothing".to_string();
        return Err(Error::InvalidArgument { reason });
    } else {
        amount.mul_div(pool.total_shares, pool.balance).map_err(overflow)?
    };
    if shares == Amount::ZERO {
        let reason = format!("{amount} is less than one share");
        return Err(Error::InvalidArgument { reason });
    }
    pool.balance = pool.balance.add(amount).map_err(overflow)?;
    pool.total_shares = pool.total_shares.add(shares).map_err(overflow)?;
    Ok(shares)
}

/// Takes shares out of a pool and gives the base units that they are worth.
pub(super) fn withdraw(pool: &mut SharePool, shares: Amount) -> Result<Amount, Error> {
    if shares == Amount::ZERO {
        return Ok(Amount::ZERO);
    }
    let amount = shares.mul_div(pool.balance, pool.total_shares).map_err(overflow)?;
    pool.balance = pool.balance.sub(amount).map_err(overflow)?;
    pool.total_shares = pool.total_shares.sub(shares).map_err(overflow)?;
    Ok(amount)
}

/// Takes a pool's part of a slash of `amount` over a total stake of `total`.
pub(super) fn slash(pool: &mut SharePool, amount: Amount, total: Amount) -> Result<Amount, Error> {
    let part = if amount >= total {
        pool.balance
    } else {
        pool.balance.mul_div(amount, total).map_err(overflow)?.min(pool.balance)
    };
    pool.balance = pool.balance.sub(part).map_err(overflow)?;
    Ok(part)
}

pub(super) fn overflow(_: AmountError) -> Error {
    Error::Overflow
}
