//! The state a chain begins with, as the application takes it.

use paralith_types::{Address, Amount, Height};
use serde::{Deserialize, Serialize};

use crate::{beacon, consensus, keymanager, registry, roothash, scheduler, staking};

/// Parameters of every module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Limits and prices of transactions.
    pub consensus: consensus::Params,
    /// The token's.
    pub staking: staking::Params,
    /// The registry's.
    pub registry: registry::Params,
    /// Epochs'.
    pub beacon: beacon::Params,
    /// Elections'.
    pub scheduler: scheduler::Params,
    /// ParaTimes'.
    pub roothash: roothash::Params,
    /// Key managers'.
    pub keymanager: keymanager::Params,
}

/// Base units that an account begins with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allocation {
    /// The account.
    pub address: Address,
    /// Base units.
    pub balance: Amount,
}

/// Stake that an account begins with, its own or another's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Escrow {
    /// Whose.
    pub owner: Address,
    /// On which account.
    pub escrow: Address,
    /// Base units.
    pub amount: Amount,
}

/// The state a chain begins with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Genesis {
    /// Height of the first block; 1 for a new chain.
    pub initial_height: Height,
    /// Parameters of every module.
    pub params: Params,
    /// Balances, sorted by address.
    pub accounts: Vec<Allocation>,
    /// Stake, taken from none of the balances.
    pub escrows: Vec<Escrow>,
    /// Entities.
    pub entities: Vec<registry::Entity>,
    /// Nodes: the first validators, at least.
    pub nodes: Vec<registry::RegisterNode>,
    /// Runtimes, with empty roots.
    pub runtimes: Vec<registry::Runtime>,
    /// Policies of key managers.
    pub policies: Vec<keymanager::Policy>,
}
