//! Fees: what a transaction pays whatever its result, and who gets it.
//!
//! A transaction's fee moves to the fee accumulator before it runs. At the end of the block all of it
//! goes to the entity of the block's proposer, or to the common pool if the proposer is not a
//! registered validator. A share for those who voted is a later version's rule.

use paralith_consensus_api::registry::ROLE_VALIDATOR;
use paralith_consensus_api::{Error, address, consensus};

use crate::check::Candidate;
use crate::context::Context;
use crate::{registry, staking};

/// Uses the sender's nonce and takes the fee, or refuses and changes nothing.
pub(crate) fn authenticate(
    ctx: &mut Context<'_>,
    params: &consensus::Params,
    tx: &Candidate,
) -> Result<(), Error> {
    let sender = tx.sender();
    let mut account = staking::account(ctx, &sender)?;
    tx.authorise(params, account.nonce, account.balance)?;
    account.nonce = account.nonce.saturating_add(1);
    staking::state::set_account(ctx, &sender, &account);
    staking::move_balance(ctx, &sender, &address::fee_accumulator(), tx.tx.fee.amount)
}

/// Pays the block's fees out.
pub(crate) fn pay_out(ctx: &mut Context<'_>, proposer: &[u8; 20]) -> Result<(), Error> {
    let accumulator = address::fee_accumulator();
    let fees = staking::account(ctx, &accumulator)?.balance;
    let node = registry::node_by_comet_address(ctx, proposer)?;
    let receiver = match node.filter(|node| node.has_role(ROLE_VALIDATOR)) {
        Some(node) => address::of_key(&node.entity_id),
        None => address::common_pool(),
    };
    staking::move_balance(ctx, &accumulator, &receiver, fees)
}
