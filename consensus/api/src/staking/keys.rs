//! State keys of the token.

use paralith_types::{Address, Epoch};

use crate::key::key;

/// [`Account`](super::Account).
pub fn account(address: &Address) -> Vec<u8> {
    key("staking/account/", &[address.as_bytes()])
}

/// All accounts, sorted by address.
pub fn accounts() -> Vec<u8> {
    key("staking/account/", &[])
}

/// All delegations in active pools, sorted by the account staked on, then by delegator.
pub fn delegations() -> Vec<u8> {
    key("staking/delegation/", &[])
}

/// [`Delegation`](super::Delegation) of a delegator in an account's active pool.
pub fn delegation(escrow: &Address, delegator: &Address) -> Vec<u8> {
    key("staking/delegation/", &[escrow.as_bytes(), delegator.as_bytes()])
}

/// All delegations in an account's active pool.
pub fn delegations_in(escrow: &Address) -> Vec<u8> {
    key("staking/delegation/", &[escrow.as_bytes()])
}

/// [`Delegation`](super::Delegation) in an account's debonding pool, in the order of payment.
pub fn debonding(end: Epoch, delegator: &Address, escrow: &Address) -> Vec<u8> {
    let end = end.0.to_be_bytes();
    key("staking/debonding/", &[&end, delegator.as_bytes(), escrow.as_bytes()])
}

/// All debonding delegations, ordered by the epoch that pays them.
pub fn debonding_queue() -> Vec<u8> {
    key("staking/debonding/", &[])
}

/// The debonding delegations that one epoch pays, ordered by delegator.
pub fn debonding_at(end: Epoch) -> Vec<u8> {
    key("staking/debonding/", &[&end.0.to_be_bytes()])
}

/// Total supply: an amount, minimal big-endian.
pub fn total_supply() -> Vec<u8> {
    key("staking/total-supply", &[])
}

/// [`Params`](super::Params).
pub fn params() -> Vec<u8> {
    key("staking/params", &[])
}
