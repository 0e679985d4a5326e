//! The methods: arguments in, checks, results out.

use paralith_sdk::{Address, Amount, Call, Context, NoArgs, Result, args, json, reply};
use serde::Deserialize;

use crate::error::TokenError;
use crate::inbox::{self, MEMO_BYTES_MAX, Received};
use crate::ledger;

/// `init`
pub(crate) fn init(ctx: &mut Context, argument: &[u8]) -> Result<()> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Init {
        minter: Option<Address>,
        #[serde(default)]
        allow_plain: bool,
        #[serde(default)]
        balances: Vec<Balance>,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Balance {
        address: Address,
        amount: Amount,
    }
    let call = Call { method: "init".into(), args: argument.to_vec() };
    let Init { minter, allow_plain, balances } = args(&call)?;
    ledger::configure(ctx, minter, allow_plain);
    for Balance { address, amount } in balances {
        ledger::mint(ctx, &address, amount)?;
    }
    Ok(())
}

/// `transfer`
pub(crate) fn transfer(ctx: &mut Context, call: &Call) -> Result<Vec<u8>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Transfer {
        to: Address,
        amount: Amount,
        #[serde(default)]
        memo: String,
    }
    let Transfer { to, amount, memo } = args(call)?;
    let from = ctx.sender_address()?;
    not_zero(amount)?;
    if memo.len() > MEMO_BYTES_MAX {
        return Err(TokenError::Memo.into());
    }
    ledger::pay(ctx, &from, &to, amount)?;
    let received = Received { from, amount, memo };
    inbox::push(ctx, &to, &received)?;
    let Received { memo, .. } = received;
    // For the developer of a public deployment; of a confidential one the host lets nothing out.
    ctx.log(&format!("{from} pays {amount} to {to}: {memo}"));
    ledger::announce(
        ctx,
        "transfer",
        || json!({"from": from, "to": to, "amount": amount, "memo": memo}),
    );
    reply(&json!({}))
}

/// `withdraw`
pub(crate) fn withdraw(ctx: &mut Context, call: &Call) -> Result<Vec<u8>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Withdraw {
        amount: Amount,
        to: Option<Address>,
    }
    let Withdraw { amount, to } = args(call)?;
    let from = ctx.sender_address()?;
    not_zero(amount)?;
    let to = to.unwrap_or(from);
    let message = ledger::withdraw(ctx, &from, &to, amount)?;
    ledger::announce(ctx, "withdraw", || json!({"from": from, "to": to, "amount": amount}));
    reply(&json!({ "message": message }))
}

/// `mint`
pub(crate) fn mint(ctx: &mut Context, call: &Call) -> Result<Vec<u8>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Mint {
        to: Address,
        amount: Amount,
    }
    let Mint { to, amount } = args(call)?;
    only_minter(ctx)?;
    not_zero(amount)?;
    ledger::mint(ctx, &to, amount)?;
    ledger::announce(ctx, "mint", || json!({"to": to, "amount": amount}));
    reply(&json!({}))
}

/// `collect_fees`
pub(crate) fn collect_fees(ctx: &mut Context, call: &Call) -> Result<Vec<u8>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct CollectFees {
        to: Address,
    }
    let CollectFees { to } = args(call)?;
    only_minter(ctx)?;
    let amount = ledger::collect_fees(ctx, &to)?;
    ledger::announce(ctx, "collect_fees", || json!({"to": to, "amount": amount}));
    reply(&json!({ "amount": amount }))
}

/// `balance`
pub(crate) fn balance(ctx: &Context, call: &Call) -> Result<Vec<u8>> {
    let address = subject(ctx, call)?;
    reply(&json!({ "balance": ledger::balance(ctx, &address)? }))
}

/// `received`
pub(crate) fn received(ctx: &Context, call: &Call) -> Result<Vec<u8>> {
    let address = subject(ctx, call)?;
    reply(&inbox::latest(ctx, &address)?)
}

/// `total_supply`
pub(crate) fn total_supply(ctx: &Context, call: &Call) -> Result<Vec<u8>> {
    let NoArgs {} = args(call)?;
    reply(&json!({ "total_supply": ledger::supply(ctx)? }))
}

/// The account that a query is about: the one named or else the one that asks.
fn subject(ctx: &Context, call: &Call) -> Result<Address> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Subject {
        address: Option<Address>,
    }
    let Subject { address } = args(call)?;
    let address = address.or(ctx.caller()).ok_or(TokenError::Unnamed)?;
    if ctx.confidential() && ctx.caller() != Some(address) {
        return Err(TokenError::Forbidden.into());
    }
    Ok(address)
}

fn only_minter(ctx: &Context) -> Result<()> {
    match ledger::minter(ctx)? {
        Some(minter) if minter == ctx.sender_address()? => Ok(()),
        _ => Err(TokenError::NotMinter.into()),
    }
}

fn not_zero(amount: Amount) -> Result<()> {
    if amount == Amount::ZERO { Err(TokenError::Zero.into()) } else { Ok(()) }
}
