//! Fees: what a transaction pays whatever its result, and who gets it.
//!
//! A transaction's fee moves to the fee accumulator before it runs. At the end of the block all of it
//! goes to the entity of the block's proposer, or to the common pool if nobody is known to own the
//! proposer's consensus key. A share for those who voted is a later version's rule.

use paralith_consensus_api::{Error, address, consensus};

use crate::check::Candidate;
use crate::context::Context;
use crate::{gas, registry, staking};

/// Uses the sender's nonce and takes the fee, or refuses and changes nothing.
pub(crate) fn authenticate(
    ctx: &mut Context<'_>,
    params: &consensus::Params,
    tx: &Candidate,
) -> Result<(), Error> {
    let sender = tx.sender();
    let mut account = staking::account(ctx, &sender)?;
    let floor = gas::floor(ctx.state(), params, tx)?;
    tx.authorise(params, floor, account.nonce, account.balance)?;
    account.nonce = account.nonce.saturating_add(1);
    staking::state::set_account(ctx, &sender, &account);
    staking::move_balance(ctx, &sender, &address::fee_accumulator(), tx.tx.fee.amount)
}

/// Pays the block's fees out.
pub(crate) fn pay_out(ctx: &mut Context<'_>, proposer: &[u8; 20]) -> Result<(), Error> {
    let accumulator = address::fee_accumulator();
    let fees = staking::account(ctx, &accumulator)?.balance;
    let receiver = match registry::consensus_key_owner(ctx, proposer)? {
        Some(owner) => address::of_key(&owner.entity_id),
        None => address::common_pool(),
    };
    staking::move_balance(ctx, &accumulator, &receiver, fees)
}
