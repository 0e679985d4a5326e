//! Share pools: multiply first, then divide. Every rounding is in favour of the pool and takes less than
//! one base unit.

use paralith_consensus_api::staking::{Error, SharePool};
use paralith_types::{Amount, AmountError};

/// What a deposit did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Deposit {
    /// Shares given.
    pub(super) shares: Amount,
    /// Base units that the pool took for them, at most those offered.
    pub(super) taken: Amount,
}

/// Buys as many whole shares as `amount` pays for, at their price rounded up.
///
/// What does not pay for a whole share is not taken. If the pool took it, the holder of the few
/// shares of a pool with a high price would gain it.
pub(super) fn deposit(pool: &mut SharePool, amount: Amount) -> Result<Deposit, Error> {
    if amount == Amount::ZERO {
        return Ok(Deposit::default());
    }
    // SK-1: shares rounded down, their price rounded up.
    let (shares, taken) = if pool.total_shares == Amount::ZERO {
        (amount, amount)
    } else if pool.balance == Amount::ZERO {
        // Everything was slashed: no number of shares is worth the deposit.
        let reason = "the account's stake was slashed to nothing".to_string();
        return Err(Error::InvalidArgument { reason });
    } else {
        let shares = amount.mul_div(pool.total_shares, pool.balance).map_err(overflow)?;
        (shares, price(pool, shares)?)
    };
    if shares == Amount::ZERO {
        let reason = format!("{amount} is less than one share");
        return Err(Error::InvalidArgument { reason });
    }
    pool.balance = pool.balance.add(taken).map_err(overflow)?;
    pool.total_shares = pool.total_shares.add(shares).map_err(overflow)?;
    Ok(Deposit { shares, taken })
}

/// What shares of a pool are worth, rounded up.
fn price(pool: &SharePool, shares: Amount) -> Result<Amount, Error> {
    let down = shares.mul_div(pool.balance, pool.total_shares).map_err(overflow)?;
    // The remainder is less than the divisor, so that its low 128 bits are all of it.
    let exact = shares.0.wrapping_mul(pool.balance.0) == down.0.wrapping_mul(pool.total_shares.0);
    if exact { Ok(down) } else { down.add(Amount(1)).map_err(overflow) }
}

/// Takes shares out of a pool and gives the base units that they are worth.
pub(super) fn withdraw(pool: &mut SharePool, shares: Amount) -> Result<Amount, Error> {
    if shares == Amount::ZERO {
        return Ok(Amount::ZERO);
    }
    // SK-2: rounded down, in favour of those who stay.
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
