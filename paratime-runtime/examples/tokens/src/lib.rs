//! A ParaTime with balances by consensus address.
//!
//! | method | arguments | result |
//! |---|---|---|
//! | `transfer` | `{"to", "amount", "memo"?}` | `{}` |
//! | `withdraw` | `{"amount", "to"?}` | `{"message": 0}` |
//! | `mint` | `{"to", "amount"}`, minter only | `{}` |
//! | `collect_fees` | `{"to"}`, minter only | `{"amount"}` |
//!
//! | query | arguments | answer |
//! |---|---|---|
//! | `balance` | `{"address"?}` | `{"balance"}` |
//! | `received` | `{"address"?}` | the latest 16 transfers, newest first: `[{"from", "amount", "memo"}]` |
//! | `total_supply` | | `{"total_supply"}` |
//!
//! * **Supply.** `total_supply` = all balances + the fee pot + withdrawals under way.
//! * **Deposits** arrive as incoming messages and are credited to who sent them.
//! * **Withdrawals** are debited at once. Consensus pays when the round is final; if it refuses,
//!   the round that gets this result gives the amount back. At most what deposits brought in can be
//!   withdrawn:
//!   minted units are not backed by consensus tokens.
//! * **Fees** go from the sender's balance into a pot before the call, also if the call fails.
//! * **In a confidential deployment** an account's balance and transfers are shown to nobody but
//!   the account, in a signed query; no events are emitted; and calls must come in an envelope
//!   unless `init` allows plain ones. Still visible: who sends a transaction and its fee, deposits,
//!   withdrawals, whether a call changed anything, and that two transactions touch the same
//!   (nameless) entries.
//!
//! `init` takes `{"minter"?, "allow_plain"?, "balances"?: [{"address", "amount"}]}`.

mod calls;
mod error;
mod inbox;
mod ledger;
#[cfg(test)]
mod tests;

use paralith_sdk::{
    Call, Context, IncomingMessage, MessageResult, Result, Runtime, accept_nonce, check_nonce,
    export, unknown_method,
};

use crate::error::TokenError;

export!(Tokens);

/// The runtime.
pub struct Tokens;

impl Runtime for Tokens {
    const NAME: &'static str = "tokens";

    fn init(ctx: &mut Context, argument: &[u8]) -> Result<()> {
        calls::init(ctx, argument)
    }

    fn begin_block(
        ctx: &mut Context,
        incoming: &[IncomingMessage],
        results: &[MessageResult],
    ) -> Result<()> {
        ledger::settle_withdrawals(ctx, results)?;
        ledger::credit_deposits(ctx, incoming)
    }

    fn authenticate(ctx: &mut Context) -> Result<()> {
        accept_nonce(ctx)?;
        ledger::charge_fee(ctx)
    }

    fn check(ctx: &Context) -> Result<()> {
        check_nonce(ctx)?;
        ledger::check_fee(ctx)
    }

    fn execute(ctx: &mut Context, call: &Call) -> Result<Vec<u8>> {
        if ctx.confidential() && !ctx.encrypted()? && !ledger::plain_allowed(ctx)? {
            return Err(TokenError::Plain.into());
        }
        match call.method.as_str() {
            "transfer" => calls::transfer(ctx, call),
            "withdraw" => calls::withdraw(ctx, call),
            "mint" => calls::mint(ctx, call),
            "collect_fees" => calls::collect_fees(ctx, call),
            _ => unknown_method(call),
        }
    }

    fn query(ctx: &Context, call: &Call) -> Result<Vec<u8>> {
        match call.method.as_str() {
            "balance" => calls::balance(ctx, call),
            "received" => calls::received(ctx, call),
            "total_supply" => calls::total_supply(ctx, call),
            _ => unknown_method(call),
        }
    }
}
