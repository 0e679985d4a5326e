//! The SDK's accounts under this runtime's names and codes, and what only this runtime keeps.

use paralith_sdk::{
    Accounts, AccountsError, Address, Amount, Context, Error, IncomingMessage, MessageResult,
    Result,
};

use crate::error::TokenError;

/// All value of this runtime. Its keys have no prefix.
const ACCOUNTS: Accounts = Accounts::new("");

/// Moves from one account to another.
pub(crate) fn pay(ctx: &mut Context, from: &Address, to: &Address, amount: Amount) -> Result<()> {
    ACCOUNTS.pay(ctx, from, to, amount).map_err(refused)
}

/// Makes new units.
pub(crate) fn mint(ctx: &mut Context, to: &Address, amount: Amount) -> Result<()> {
    ACCOUNTS.mint(ctx, to, amount).map_err(refused)
}

/// Pays out to a consensus account. Gives the index of the message that does it.
pub(crate) fn withdraw(
    ctx: &mut Context,
    from: &Address,
    to: &Address,
    amount: Amount,
) -> Result<u32> {
    ACCOUNTS.withdraw(ctx, from, to, amount).map_err(refused)
}

/// Ends the withdrawals that have a result: paid ones leave the supply, failed ones are given back.
pub(crate) fn settle_withdrawals(ctx: &mut Context, results: &[MessageResult]) -> Result<()> {
    for settled in ACCOUNTS.settle_withdrawals(ctx, results)? {
        if !settled.paid {
            let (to, amount) = (settled.from, settled.amount);
            announce(ctx, "refund", || paralith_sdk::json!({"to": to, "amount": amount}));
        }
    }
    Ok(())
}

/// Credits what consensus accounts sent.
pub(crate) fn credit_deposits(ctx: &mut Context, incoming: &[IncomingMessage]) -> Result<()> {
    for deposit in ACCOUNTS.credit_deposits(ctx, incoming)? {
        let (to, amount) = (deposit.caller, deposit.tokens);
        announce(ctx, "deposit", || paralith_sdk::json!({"to": to, "amount": amount}));
    }
    Ok(())
}

/// Moves the transaction's fee into the pot.
pub(crate) fn charge_fee(ctx: &mut Context) -> Result<()> {
    ACCOUNTS.charge_fee(ctx).map_err(refused)
}

/// Whether the sender's balance covers the fee.
pub(crate) fn check_fee(ctx: &Context) -> Result<()> {
    ACCOUNTS.check_fee(ctx).map_err(refused)
}

/// Empties the fee pot into an account.
pub(crate) fn collect_fees(ctx: &mut Context, to: &Address) -> Result<Amount> {
    ACCOUNTS.collect_fees(ctx, to).map_err(refused)
}

/// Emits an event, in a public deployment only: events are never secret.
pub(crate) fn announce(
    ctx: &mut Context,
    topic: &str,
    data: impl FnOnce() -> paralith_sdk::JsonValue,
) {
    if !ctx.confidential() {
        ctx.emit_event(topic, data().to_string().as_bytes());
    }
}

/// An account's balance.
pub(crate) fn balance(ctx: &Context, address: &Address) -> Result<Amount> {
    ACCOUNTS.balance(ctx, address)
}

/// All balances, the fee pot and the withdrawals under way.
pub(crate) fn supply(ctx: &Context) -> Result<Amount> {
    ACCOUNTS.supply(ctx)
}

/// Who may mint.
pub(crate) fn minter(ctx: &Context) -> Result<Option<Address>> {
    ctx.get(MINTER)
}

/// Whether a confidential deployment takes calls in the clear.
pub(crate) fn plain_allowed(ctx: &Context) -> Result<bool> {
    Ok(ctx.get(ALLOW_PLAIN)?.unwrap_or(false))
}

/// Writes what `init` decides.
pub(crate) fn configure(ctx: &mut Context, minter: Option<Address>, allow_plain: bool) {
    if let Some(minter) = minter {
        ctx.set(MINTER, &minter);
    }
    ctx.set(ALLOW_PLAIN, &allow_plain);
}

/// This runtime's own codes, which are older than the accounts'.
fn refused(error: AccountsError) -> Error {
    match error {
        AccountsError::Balance => TokenError::Balance.into(),
        AccountsError::Backing => TokenError::Backing.into(),
        AccountsError::Fee => TokenError::Fee.into(),
        AccountsError::Supply => TokenError::Supply.into(),
        other => other.into(),
    }
}

const ALLOW_PLAIN: &[u8] = b"allow_plain";
const MINTER: &[u8] = b"minter";
