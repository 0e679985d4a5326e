//! Keys and money of accounts.

use paralith_private_contract_core::ids::possession_message;
use paralith_private_contract_core::messages::{
    AccountKeys, MAX_TEXT_BYTES, SetKeys, Withdraw, keys,
};
use paralith_sdk::{Call, Context, PublicKey, Result, reply};

use crate::error::MediatorError;
use crate::money::ACCOUNTS;
use crate::settings;
use crate::state::{account_keys, args, next, put};

const MAX_BYTES: usize = 4096;

/// `set_keys`.
pub(crate) fn set_keys(ctx: &mut Context, call: &Call) -> Result<Vec<u8>> {
    let set: SetKeys = args(call, MAX_BYTES)?;
    let (account, address) = (ctx.sender()?, ctx.sender_address()?);
    let refuse = |reason| Err(MediatorError::Keys(reason).into());
    if set.link_address.len() > MAX_TEXT_BYTES || set.origin.len() > MAX_TEXT_BYTES {
        return refuse("an address has at most 255 bytes");
    }
    // A key of small order, or one that is not canonical, would make every honest wrap look false.
    if ctx.hpke_seal(set.kem_id, &set.kem_key, b"", b"", &[0; 32]).is_none() {
        return refuse("nothing can be sealed to the KEM key");
    }
    let message =
        possession_message(&ctx.chain_context(), &ctx.runtime_id(), &account, &set.vote_key);
    if !ctx.bls_possession(&set.vote_key.0, &message.0, &set.possession.0) {
        return refuse("the proof of possession of the vote key is not valid");
    }
    // Two members with one vote key would be two votes by one signer.
    let owner: Option<PublicKey> = ctx.get(&keys::vote_key(&set.vote_key))?;
    if owner.is_some_and(|owner| owner != account) {
        return Err(MediatorError::KeyInUse.into());
    }
    let number = account_keys(ctx, &account)?.map_or(0, |before| before.number);
    let SetKeys { kem_id, kem_key, vote_key, link_address, origin, .. } = set;
    ctx.set(&keys::vote_key(&vote_key), &account);
    let number = next(number)?;
    let record = AccountKeys { number, address, kem_id, kem_key, vote_key, link_address, origin };
    put(ctx, &keys::account(&account), &record);
    Ok(Vec::new())
}

/// `withdraw`.
pub(crate) fn withdraw(ctx: &mut Context, call: &Call) -> Result<Vec<u8>> {
    let Withdraw { to, amount } = args(call, MAX_BYTES)?;
    let from = ctx.sender_address()?;
    let index = ACCOUNTS.withdraw(ctx, &from, &to, amount);
    let index = index.map_err(|error| MediatorError::of_accounts(error, "the withdrawal"))?;
    Ok(index.to_be_bytes().to_vec())
}

/// `collect_fees`.
pub(crate) fn collect_fees(ctx: &mut Context) -> Result<Vec<u8>> {
    let sender = ctx.sender_address()?;
    if settings(ctx)?.collector != Some(sender) {
        return Err(MediatorError::Money("what another account may collect").into());
    }
    let amount = ACCOUNTS.collect_fees(ctx, &sender)?;
    reply(&amount)
}
