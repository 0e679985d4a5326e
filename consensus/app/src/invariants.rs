//! What must hold after every block, checked on what the block changed.
//!
//! * The total supply is the sum over all accounts of balance, active and debonding pool.
//! * The shares of a pool are the sum of the shares delegated in it.
//! * The fee accumulator is empty between blocks.
//! * The validator set is not empty.
//!
//! Handlers refuse bad input; a violation here is a fault of this program. The node stops before it
//! votes for such a state, rather than let it become final. The check costs one read for each account,
//! delegation and pool that the block changed.

use std::collections::BTreeMap;

use paralith_consensus_api::staking::{Account, Delegation, keys};
use paralith_consensus_api::{Error, address, scheduler};
use paralith_proto::Canonical;
use paralith_storage::{Changes, StateRead};
use paralith_types::{Address, Amount};

use crate::query::{damaged, read, unavailable};

/// Compares the changes of a block with the state before it.
pub(crate) fn check(before: &dyn StateRead, changes: &Changes) -> Result<(), Error> {
    let mut sums = Sums::default();
    for (key, after) in changes {
        if let Some(account) = accounts(key) {
            let was: Account = read(before, key)?.unwrap_or_default();
            sums.account(account, &was, &decoded(key, after)?);
        } else if let Some(pool) = delegations(key).or_else(|| debondings(key)) {
            let was: Delegation = read(before, key)?.unwrap_or_default();
            let now: Delegation = decoded(key, after)?;
            sums.pool(pool, was.shares, now.shares);
        }
    }
    // SK-7: each violation is a fault of the program, and ends it.
    sums.check(supply(before, changes)?)?;
    let accumulator = keys::account(&address::fee_accumulator());
    if matches!(changes.get(&accumulator), Some(Some(_))) {
        return Err(damaged(&accumulator, "fees are left after the block"));
    }
    let validators = scheduler::keys::validators();
    if let Some(set) = changes.get(&validators)
        && decoded::<scheduler::Validators>(&validators, set)?.validators.is_empty()
    {
        return Err(damaged(&validators, "the validator set is empty"));
    }
    Ok(())
}

/// A pool of an account: the active one, or the debonding one.
type Pool = (Address, bool);

/// Differences, modulo 2^128: they are compared with each other only.
#[derive(Default)]
struct Sums {
    tokens: u128,
    /// Shares that the pools say they gave out, less those that delegators hold.
    shares: BTreeMap<Pool, u128>,
}

impl Sums {
    fn account(&mut self, address: Address, was: &Account, now: &Account) {
        let tokens = |account: &Account| {
            let Account { balance, active, debonding, .. } = account;
            balance.0.wrapping_add(active.balance.0).wrapping_add(debonding.balance.0)
        };
        self.tokens = self.tokens.wrapping_add(tokens(now)).wrapping_sub(tokens(was));
        for (debonding, was, now) in
            [(false, &was.active, &now.active), (true, &was.debonding, &now.debonding)]
        {
            let shares = self.shares.entry((address, debonding)).or_default();
            *shares = shares.wrapping_add(now.total_shares.0).wrapping_sub(was.total_shares.0);
        }
    }

    fn pool(&mut self, pool: Pool, was: Amount, now: Amount) {
        let shares = self.shares.entry(pool).or_default();
        *shares = shares.wrapping_sub(now.0).wrapping_add(was.0);
    }

    fn check(&self, minted: u128) -> Result<(), Error> {
        if self.tokens != minted {
            return Err(damaged(&keys::total_supply(), "tokens were made or lost"));
        }
        match self.shares.iter().find(|(_, difference)| **difference != 0) {
            Some(((account, _), _)) => {
                let reason = "a pool's shares are not those of its delegators";
                Err(damaged(&keys::account(account), reason))
            }
            None => Ok(()),
        }
    }
}

/// By how much the total supply grew.
fn supply(before: &dyn StateRead, changes: &Changes) -> Result<u128, Error> {
    let key = keys::total_supply();
    let Some(after) = changes.get(&key) else { return Ok(0) };
    let amount = |bytes: Option<&[u8]>| {
        let bytes = bytes.unwrap_or_default();
        Amount::from_be_bytes_minimal(bytes).map_err(|e| damaged(&key, &e.to_string()))
    };
    let was = before.get(&key).map_err(unavailable)?;
    Ok(amount(after.as_deref())?.0.wrapping_sub(amount(was.as_deref())?.0))
}

fn decoded<T: Canonical + Default>(key: &[u8], bytes: &Option<Vec<u8>>) -> Result<T, Error> {
    match bytes {
        Some(bytes) => T::decode(bytes, bytes.len()).map_err(|e| damaged(key, &e.to_string())),
        None => Ok(T::default()),
    }
}

fn accounts(key: &[u8]) -> Option<Address> {
    Address::try_from(key.strip_prefix(keys::accounts().as_slice())?).ok()
}

/// The pool of an active delegation: the key ends with escrow and delegator.
fn delegations(key: &[u8]) -> Option<Pool> {
    let rest = key.strip_prefix(keys::delegations().as_slice())?;
    Some((Address::try_from(rest.get(..Address::LEN)?).ok()?, false))
}

/// The pool of a debonding delegation: the key ends with epoch, delegator and escrow.
fn debondings(key: &[u8]) -> Option<Pool> {
    let rest = key.strip_prefix(keys::debonding_queue().as_slice())?;
    let escrow = rest.get(rest.len().checked_sub(Address::LEN)?..)?;
    Some((Address::try_from(escrow).ok()?, true))
}
