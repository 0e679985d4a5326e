//! Claims: what an account's active stake is promised to.
//!
//! A claim is refused unless the active stake covers all claims together. A later slash or reclaim
//! may leave them uncovered: the node or runtime that they are for then counts in no election until there is enough
//! stake again.

use paralith_consensus_api::Error;
use paralith_consensus_api::staking::{Account, Claim, Error as StakingError};
use paralith_types::{Address, Amount};

use super::{pool::overflow, state};
use crate::context::Context;

/// Makes a claim, or changes it.
pub(crate) fn set_claim(
    ctx: &mut Context<'_>,
    address: &Address,
    id: String,
    amount: Amount,
) -> Result<(), Error> {
    let mut account = state::account(ctx, address)?;
    let claim = Claim { id, amount };
    match account.claims.binary_search_by(|other| other.id.cmp(&claim.id)) {
        Ok(index) => account.claims.splice(index..=index, [claim]).for_each(drop),
        Err(index) => account.claims.insert(index, claim),
    }
    let needed = total(&account)?;
    // SK-6: stake that may leave at any time secures nothing.
    if account.active.balance < needed {
        let (stake, needed) = (account.active.balance.to_string(), needed.to_string());
        return Err(StakingError::InsufficientStake { stake, needed }.into());
    }
    state::set_account(ctx, address, &account);
    Ok(())
}

/// Gives a claim up, if there is one.
pub(crate) fn remove_claim(
    ctx: &mut Context<'_>,
    address: &Address,
    id: &str,
) -> Result<(), Error> {
    let mut account = state::account(ctx, address)?;
    account.claims.retain(|claim| claim.id != id);
    state::set_account(ctx, address, &account);
    Ok(())
}

/// Whether the active stake covers all claims.
pub(crate) fn claims_covered(account: &Account) -> Result<bool, Error> {
    Ok(account.active.balance >= total(account)?)
}

fn total(account: &Account) -> Result<Amount, StakingError> {
    account
        .claims
        .iter()
        .try_fold(Amount::ZERO, |sum, claim| sum.add(claim.amount))
        .map_err(overflow)
}
