//! Ids and hashes of contracts, definitions, packages, changes and keys.

use paralith_crypto::hash;
use paralith_private_contract_messages::{Canonical, ContractId, Definition, Package, VoteKey};
use paralith_types::{ChainContext, CodeId, Hash, PublicKey, RuntimeId};

use crate::domains;

/// Where a contract is: everything that is signed or sealed for it names this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The chain.
    pub chain_context: ChainContext,
    /// The mediator's runtime.
    pub mediator: RuntimeId,
    /// The contract.
    pub contract_id: ContractId,
}

/// The hash of a domain alone.
#[must_use]
pub fn tagged(domain: paralith_crypto::Domain) -> Hash {
    hash(domain, &[])
}

/// The id of the contract that this account creates by its transaction of this nonce.
#[must_use]
pub fn contract_id(
    chain_context: &ChainContext,
    mediator: &RuntimeId,
    owner: &PublicKey,
    owner_nonce: u64,
) -> ContractId {
    let parts: [&[u8]; 4] = [&chain_context.0, &mediator.0, &owner.0, &owner_nonce.to_be_bytes()];
    ContractId(hash(domains::ID, &parts).0)
}

/// What `join` names.
#[must_use]
pub fn definition_hash(definition: &Definition) -> Hash {
    hash(domains::DEFINITION, &[&definition.encode()])
}

/// What a definition says of the package. `code_id` is the hash of its module on chain: SHA-256.
#[must_use]
pub fn package_hash(package: &Package) -> Hash {
    let code_id = code_id(&package.module);
    let secrets: [&[u8]; 2] = [&package.derive_secret.0, &package.group_secret.0];
    let group = hash(domains::GROUP, &secrets);
    hash(domains::PACKAGE, &[&code_id.0, &package.init_argument, &group.0])
}

/// The code id of a module.
#[must_use]
pub fn code_id(module: &[u8]) -> CodeId {
    CodeId(paralith_crypto::sha256(module))
}

/// What the proof of possession of a vote key is over.
#[must_use]
pub fn possession_message(
    chain_context: &ChainContext,
    mediator: &RuntimeId,
    account: &PublicKey,
    vote_key: &VoteKey,
) -> Hash {
    let parts: [&[u8]; 4] = [&chain_context.0, &mediator.0, &account.0, &vote_key.0];
    hash(domains::POSSESSION, &parts)
}

/// What the members sign that agree to a change.
#[must_use]
pub fn change_hash(place: &Place, definition: &Hash, migrate: bool) -> Hash {
    let parts: [&[u8]; 5] = [
        &place.chain_context.0,
        &place.mediator.0,
        &place.contract_id.0,
        &definition.0,
        &u64::from(migrate).to_be_bytes(),
    ];
    hash(domains::CHANGE, &parts)
}

/// What the members sign that agree to close a contract, under this version, after this batch: so a
/// signature for an earlier state of it closes nothing.
#[must_use]
pub fn close_hash(place: &Place, version: u64, next_batch: u64) -> Hash {
    let parts: [&[u8]; 5] = [
        &place.chain_context.0,
        &place.mediator.0,
        &place.contract_id.0,
        &version.to_be_bytes(),
        &next_batch.to_be_bytes(),
    ];
    hash(domains::CLOSE, &parts)
}
