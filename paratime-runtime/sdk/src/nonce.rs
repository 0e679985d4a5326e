//! Nonces: each account numbers its transactions from 0, so that none can be replayed.

use crate::{Address, Context, Result, SdkError};

/// How many transactions of one sender may wait in a pool.
pub const NONCE_GAP_MAX: u64 = 64;

/// The nonce that an account's next transaction must have.
pub fn next_nonce(ctx: &Context, address: &Address) -> Result<u64> {
    Ok(known_nonce(ctx, address)?.unwrap_or(0))
}

/// As [`next_nonce`]; none of an account that never sent a transaction.
pub(crate) fn known_nonce(ctx: &Context, address: &Address) -> Result<Option<u64>> {
    ctx.get(&nonce_key(address))
}

/// Takes the transaction's nonce if it is the account's next one. For `authenticate`.
pub fn accept_nonce(ctx: &mut Context) -> Result<()> {
    let (sender, got) = (ctx.sender_address()?, ctx.nonce()?);
    let expected = next_nonce(ctx, &sender)?;
    if got < expected {
        return Err(SdkError::NonceTooLow { got, expected }.into());
    }
    // The largest nonce has no next one, so it is never taken.
    match got.checked_add(1) {
        Some(next) if got == expected => ctx.set(&nonce_key(&sender), &next),
        _ => return Err(SdkError::NonceTooHigh { got, expected }.into()),
    }
    Ok(())
}

/// Whether the transaction's nonce is the account's next one or at most [`NONCE_GAP_MAX`] - 1
/// later, so that a sender need not wait for one transaction before sending another. For `check`.
pub fn check_nonce(ctx: &Context) -> Result<()> {
    let (sender, got) = (ctx.sender_address()?, ctx.nonce()?);
    let expected = next_nonce(ctx, &sender)?;
    match got.checked_sub(expected) {
        None => Err(SdkError::NonceTooLow { got, expected }.into()),
        Some(gap) if gap >= NONCE_GAP_MAX => Err(SdkError::NonceTooHigh { got, expected }.into()),
        Some(_) => Ok(()),
    }
}

/// A zero for the SDK and a zero for "no collection's name".
fn nonce_key(address: &Address) -> Vec<u8> {
    [b"\0\0nonce/", address.as_bytes()].concat()
}
