//! Balances, the supply, fees, and the two ways across the border to consensus.
//!
//! Nothing here can fail in `begin_block` for what users did: minting stops at [`SUPPLY_MAX`], and
//! the supply counts withdrawals under way, so that giving one back cannot overflow.

use paralith_sdk::{Address, Amount, Context, IncomingMessage, Map, MessageResult, Result, Value};

use crate::error::TokenError;

/// Up to here minting is allowed; the other half of the range is left to deposits.
const SUPPLY_MAX: Amount = Amount(u128::MAX / 2);

/// Adds to an account's balance.
pub(crate) fn credit(ctx: &mut Context, address: &Address, amount: Amount) -> Result<()> {
    let balance = balance(ctx, address)?.add(amount)?;
    BALANCES.insert(ctx, address, &balance)
}

/// Takes from an account's balance.
pub(crate) fn debit(ctx: &mut Context, address: &Address, amount: Amount) -> Result<()> {
    let left = balance(ctx, address)?.sub(amount).map_err(|_| TokenError::Balance)?;
    BALANCES.insert(ctx, address, &left)
}

/// Makes new units.
pub(crate) fn mint(ctx: &mut Context, to: &Address, amount: Amount) -> Result<()> {
    let supply = supply(ctx)?.add(amount).map_err(|_| TokenError::Supply)?;
    if supply > SUPPLY_MAX {
        return Err(TokenError::Supply.into());
    }
    ctx.set(SUPPLY, &supply);
    credit(ctx, to, amount)
}

/// Pays out to a consensus account. Gives the index of the message that does it.
pub(crate) fn withdraw(
    ctx: &mut Context,
    from: Address,
    to: &Address,
    amount: Amount,
) -> Result<u32> {
    debit(ctx, &from, amount)?;
    let backing = stored(ctx, BACKING)?.sub(amount).map_err(|_| TokenError::Backing)?;
    ctx.set(BACKING, &backing);
    let message = ctx.transfer_out(to, amount)?;
    PENDING.insert(ctx, &pending_key(ctx.round(), message), &Pending { from, amount })?;
    Ok(message)
}

/// Ends the withdrawals that have a result: paid ones leave the supply, failed ones are given back.
/// The others wait: a missing result says nothing.
pub(crate) fn settle_withdrawals(ctx: &mut Context, results: &[MessageResult]) -> Result<()> {
    for result in results {
        let key = pending_key(result.round, result.index);
        let Some(Pending { from, amount }) = PENDING.remove(ctx, &key)? else { continue };
        if result.code == 0 {
            let supply = supply(ctx)?.sub(amount)?;
            ctx.set(SUPPLY, &supply);
        } else {
            let backing = stored(ctx, BACKING)?.add(amount)?;
            ctx.set(BACKING, &backing);
            credit(ctx, &from, amount)?;
            announce(ctx, "refund", || paralith_sdk::json!({"to": from, "amount": amount}));
        }
    }
    Ok(())
}

/// Credits what consensus accounts sent.
pub(crate) fn credit_deposits(ctx: &mut Context, incoming: &[IncomingMessage]) -> Result<()> {
    for IncomingMessage { caller, tokens, .. } in incoming {
        if *tokens == Amount::ZERO {
            continue;
        }
        // Only more than 2^127 real base units could overflow. They go back; if the round can send no
        // message, `begin_block` fails and takes nothing.
        let (Ok(supply), Ok(backing)) =
            (supply(ctx)?.add(*tokens), stored(ctx, BACKING)?.add(*tokens))
        else {
            ctx.transfer_out(caller, *tokens)?;
            continue;
        };
        ctx.set(SUPPLY, &supply);
        ctx.set(BACKING, &backing);
        credit(ctx, caller, *tokens)?;
        announce(ctx, "deposit", || paralith_sdk::json!({"to": caller, "amount": tokens}));
    }
    Ok(())
}

/// Moves the transaction's fee into the pot.
pub(crate) fn charge_fee(ctx: &mut Context) -> Result<()> {
    let (sender, fee) = (ctx.sender_address()?, ctx.fee()?);
    if fee == Amount::ZERO {
        return Ok(());
    }
    debit(ctx, &sender, fee).map_err(|_| TokenError::Fee)?;
    let pot = stored(ctx, FEE_POT)?.add(fee)?;
    ctx.set(FEE_POT, &pot);
    Ok(())
}

/// Whether the sender's balance covers the fee.
pub(crate) fn check_fee(ctx: &Context) -> Result<()> {
    match balance(ctx, &ctx.sender_address()?)?.sub(ctx.fee()?) {
        Ok(_) => Ok(()),
        Err(_) => Err(TokenError::Fee.into()),
    }
}

/// Empties the fee pot into an account.
pub(crate) fn collect_fees(ctx: &mut Context, to: &Address) -> Result<Amount> {
    let pot = stored(ctx, FEE_POT)?;
    ctx.set(FEE_POT, &Amount::ZERO);
    credit(ctx, to, pot)?;
    Ok(pot)
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
    Ok(BALANCES.get(ctx, address)?.unwrap_or_default())
}

/// All balances, the fee pot and the withdrawals under way.
pub(crate) fn supply(ctx: &Context) -> Result<Amount> {
    stored(ctx, SUPPLY)
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

fn stored(ctx: &Context, key: &[u8]) -> Result<Amount> {
    Ok(ctx.get(key)?.unwrap_or_default())
}

/// A withdrawal whose result has not come yet.
struct Pending {
    from: Address,
    amount: Amount,
}

impl Value for Pending {
    fn to_bytes(&self) -> Vec<u8> {
        [self.from.to_bytes(), self.amount.to_bytes()].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (from, amount) = bytes.split_at_checked(Address::LEN)?;
        Some(Self { from: Value::from_bytes(from)?, amount: Value::from_bytes(amount)? })
    }
}

/// Names a message to consensus: the round that emitted it and its index there.
fn pending_key(round: u64, message: u32) -> Vec<u8> {
    [round.to_bytes(), message.to_bytes()].concat()
}

const ALLOW_PLAIN: &[u8] = b"allow_plain";
/// What deposits brought in and withdrawals did not take out.
const BACKING: &[u8] = b"backing";
const FEE_POT: &[u8] = b"fee_pot";
const MINTER: &[u8] = b"minter";
const SUPPLY: &[u8] = b"supply";

const BALANCES: Map<Address, Amount> = Map::new("balances");
/// Withdrawals under way, by round and message.
const PENDING: Map<Vec<u8>, Pending> = Map::new("pending");
