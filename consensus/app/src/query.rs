//! Typed reads of any kept state: what the node's services answer from.

use paralith_consensus_api::{
    Error, beacon, consensus, keymanager, registry, roothash, scheduler, staking,
};
use paralith_proto::Canonical;
use paralith_storage::{MAX_VALUE_BYTES, StateRead, StorageError};
use paralith_types::{Address, Amount, ChainContext, Hash, Height, PublicKey, RuntimeId};

/// The value under a key.
pub fn read<T: Canonical>(state: &dyn StateRead, key: &[u8]) -> Result<Option<T>, Error> {
    match state.get(key).map_err(unavailable)? {
        None => Ok(None),
        Some(bytes) => decode(key, &bytes).map(Some),
    }
}

/// All values under a prefix, in the order of their keys.
pub fn list<T: Canonical>(state: &dyn StateRead, prefix: &[u8]) -> Result<Vec<T>, Error> {
    let pairs = state.scan(prefix, None, MAX_SCAN).map_err(unavailable)?;
    pairs.iter().map(|(key, bytes)| decode(key, bytes)).collect()
}

/// The value under a key that genesis has written.
pub fn require<T: Canonical>(state: &dyn StateRead, key: &[u8]) -> Result<T, Error> {
    read(state, key)?.ok_or_else(|| damaged(key, "it is missing"))
}

/// The chain.
pub fn chain_context(state: &dyn StateRead) -> Result<Option<ChainContext>, Error> {
    let key = consensus::keys::chain_context();
    let bytes = state.get(&key).map_err(unavailable)?;
    let context = bytes.map(|bytes| ChainContext::try_from(bytes.as_slice())).transpose();
    context.map_err(|e| damaged(&key, &e.to_string()))
}

/// Limits and prices of transactions.
pub fn consensus_params(state: &dyn StateRead) -> Result<consensus::Params, Error> {
    require(state, &consensus::keys::params())
}

/// The root over the events of the newest block that had any.
pub fn events_root(state: &dyn StateRead) -> Result<Option<consensus::EventsRoot>, Error> {
    read(state, &consensus::keys::events_root())
}

/// An account; the default if it was never touched.
pub fn account(state: &dyn StateRead, address: &Address) -> Result<staking::Account, Error> {
    Ok(read(state, &staking::keys::account(address))?.unwrap_or_default())
}

/// Shares of a delegator in an account's active pool.
pub fn delegation(
    state: &dyn StateRead,
    escrow: &Address,
    delegator: &Address,
) -> Result<staking::Delegation, Error> {
    Ok(read(state, &staking::keys::delegation(escrow, delegator))?.unwrap_or_default())
}

/// All base units that there are.
pub fn total_supply(state: &dyn StateRead) -> Result<Amount, Error> {
    let key = staking::keys::total_supply();
    let bytes = state.get(&key).map_err(unavailable)?.unwrap_or_default();
    Amount::from_be_bytes_minimal(&bytes).map_err(|e| damaged(&key, &e.to_string()))
}

/// The token's parameters.
pub fn staking_params(state: &dyn StateRead) -> Result<staking::Params, Error> {
    require(state, &staking::keys::params())
}

/// The epoch that runs.
pub fn epoch(state: &dyn StateRead) -> Result<beacon::EpochState, Error> {
    require(state, &beacon::keys::epoch())
}

/// An entity.
pub fn entity(state: &dyn StateRead, id: &PublicKey) -> Result<Option<registry::Entity>, Error> {
    read(state, &registry::keys::entity(id))
}

/// A node.
pub fn node(state: &dyn StateRead, id: &PublicKey) -> Result<Option<registry::Node>, Error> {
    read(state, &registry::keys::node(id))
}

/// All registered nodes, sorted by id.
pub fn nodes(state: &dyn StateRead) -> Result<Vec<registry::Node>, Error> {
    list(state, &registry::keys::nodes())
}

/// What the chain notes about a node.
pub fn node_status(
    state: &dyn StateRead,
    id: &PublicKey,
) -> Result<Option<registry::NodeStatus>, Error> {
    read(state, &registry::keys::node_status(id))
}

/// The newest blob that a node had included for a runtime.
pub fn freshness(
    state: &dyn StateRead,
    node: &PublicKey,
    runtime: &RuntimeId,
) -> Result<Option<registry::Freshness>, Error> {
    read(state, &registry::keys::freshness(node, runtime))
}

/// A runtime.
pub fn runtime(state: &dyn StateRead, id: &RuntimeId) -> Result<Option<registry::Runtime>, Error> {
    read(state, &registry::keys::runtime(id))
}

/// All runtimes, sorted by id.
pub fn runtimes(state: &dyn StateRead) -> Result<Vec<registry::Runtime>, Error> {
    list(state, &registry::keys::runtimes())
}

/// A change of a runtime that waits for its epoch.
pub fn runtime_change(
    state: &dyn StateRead,
    id: &RuntimeId,
) -> Result<Option<registry::RuntimeChange>, Error> {
    read(state, &registry::keys::runtime_change(id))
}

/// What is being decided about a runtime.
pub fn decisions(
    state: &dyn StateRead,
    id: &RuntimeId,
) -> Result<Option<registry::Decisions>, Error> {
    read(state, &registry::keys::decisions(id))
}

/// A proposed descriptor of a runtime.
pub fn proposal(
    state: &dyn StateRead,
    id: &RuntimeId,
    descriptor: &Hash,
) -> Result<Option<registry::Runtime>, Error> {
    read(state, &registry::keys::proposal(id, descriptor))
}

/// An enclave of a node that counts.
pub fn enclave(
    state: &dyn StateRead,
    runtime: &RuntimeId,
    rak: &PublicKey,
) -> Result<Option<registry::Enclave>, Error> {
    read(state, &registry::keys::enclave(runtime, rak))
}

/// Since when an enclave is revoked; none if it is not.
pub fn revoked(
    state: &dyn StateRead,
    runtime: &RuntimeId,
    rak: &PublicKey,
) -> Result<Option<registry::Revoked>, Error> {
    read(state, &registry::keys::revoked(runtime, rak))
}

/// The registry's parameters.
pub fn registry_params(state: &dyn StateRead) -> Result<registry::Params, Error> {
    require(state, &registry::keys::params())
}

/// The validators that were elected last.
pub fn validators(state: &dyn StateRead) -> Result<scheduler::Validators, Error> {
    require(state, &scheduler::keys::validators())
}

/// Why the validator set needs its operators; none if it is as it should be.
pub fn validator_alarm(state: &dyn StateRead) -> Result<Option<scheduler::ValidatorAlarm>, Error> {
    read(state, &scheduler::keys::validator_alarm())
}

/// Who answers for what the consensus key with this address in CometBFT signs.
pub fn consensus_key_owner(
    state: &dyn StateRead,
    comet_address: &[u8; 20],
) -> Result<Option<registry::ConsensusKeyOwner>, Error> {
    read(state, &registry::keys::consensus_key_owner(comet_address))
}

/// A runtime's committee in the epoch that runs.
pub fn committee(
    state: &dyn StateRead,
    runtime: &RuntimeId,
) -> Result<Option<scheduler::Committee>, Error> {
    read(state, &scheduler::keys::committee(runtime))
}

/// Where a runtime stands.
pub fn runtime_state(
    state: &dyn StateRead,
    runtime: &RuntimeId,
) -> Result<Option<roothash::RuntimeState>, Error> {
    read(state, &roothash::keys::runtime_state(runtime))
}

/// Where a key manager stands.
pub fn keymanager_status(
    state: &dyn StateRead,
    id: &RuntimeId,
) -> Result<Option<keymanager::Status>, Error> {
    read(state, &keymanager::keys::status(id))
}

/// The height at which the next epoch begins.
pub fn next_epoch_height(state: &dyn StateRead) -> Result<Height, Error> {
    Ok(epoch(state)?.next_height)
}

pub(crate) fn unavailable(error: StorageError) -> Error {
    consensus::Error::StateUnavailable { reason: error.to_string() }.into()
}

pub(crate) fn damaged(key: &[u8], reason: &str) -> Error {
    let key = String::from_utf8_lossy(key);
    consensus::Error::StateUnavailable { reason: format!("{key}: {reason}") }.into()
}

fn decode<T: Canonical>(key: &[u8], bytes: &[u8]) -> Result<T, Error> {
    T::decode(bytes, MAX_VALUE_BYTES).map_err(|e| damaged(key, &e.to_string()))
}

/// Entries that one scan may give: more than any list of state can have by its limits.
pub(crate) const MAX_SCAN: usize = 1 << 20;
