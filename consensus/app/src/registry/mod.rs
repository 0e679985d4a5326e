//! Who takes part: entities, which answer with stake; their nodes; runtimes.
//!
//! * A node is registered for a time and counts while that time lasts. It stays known as long as its
//!   stake can be debonding, or as it is in the validator set, so that what it did can still be
//!   punished; then it is forgotten and its claim on stake is given up.
//! * Who answers for a consensus key is kept for as long ([`ConsensusKeyOwner`]), even if the node
//!   comes back with another key or entity meanwhile. Nobody else may register the key until then.
//! * A node that is registered in one epoch can be elected from the very next epoch on.
//! * Which code a ParaTime executes never changes; its other rules may, from the next epoch on. Where
//!   organisations approve changes, the owner changes nothing alone.
//! * Each enclave of a node that counts is in an index; one that is revoked never comes back.
//!
//! Specification: docs/protocol/registry.md.
//!
//! Not here yet: deregistration of entities, admission policies.

mod decisions;
mod enclaves;
pub(crate) mod epoch;
pub(crate) mod execute;
mod node;
mod runtime;
pub(crate) mod state;
mod tee;
#[cfg(test)]
mod tests;

use paralith_consensus_api::genesis::Genesis;
use paralith_consensus_api::registry::{
    ConsensusKeyOwner, Entity, Error as RegistryError, GENESIS_CONTEXT, Node, NodeFrozen,
    NodeStatus, Runtime,
};
use paralith_consensus_api::{Error, address};
use paralith_crypto::sha256;
use paralith_types::{Address, Epoch, Height, PublicKey, RuntimeId};

use crate::context::Context;

pub(crate) use enclaves::is_revoked;
pub(crate) use tee::verify_tee;

/// The newest contract between guest and host that this chain's nodes implement; they implement all
/// older ones. Each has the gas table of the same number.
pub const KNOWN_ABI_VERSION: u32 = 2;

/// Entities, runtimes and nodes of genesis, by the rules of their transactions. Only nodes without an
/// enclave can be in genesis: evidence is made for one chain, and the chain's context is the hash of
/// genesis.
pub(crate) fn init_genesis(ctx: &mut Context<'_>, genesis: &Genesis) -> Result<(), Error> {
    state::set_params(ctx, &genesis.params.registry);
    for entity in &genesis.entities {
        execute::admit_entity(ctx, entity)?;
    }
    // Key managers first: other runtimes name them.
    for kind in [true, false] {
        for runtime in genesis.runtimes.iter().filter(|r| r.key_manager.is_none() == kind) {
            runtime::admit(ctx, runtime, &genesis.params.roothash)?;
        }
    }
    for registration in &genesis.nodes {
        node::admit(ctx, registration, &GENESIS_CONTEXT)?;
        let eligible = NodeStatus { election_eligible_after: Some(0), ..NodeStatus::default() };
        state::set_node_status(ctx, &registration.node.id, &eligible);
    }
    Ok(())
}

/// A node, whether it still counts or not.
pub(crate) fn node(ctx: &Context<'_>, id: &PublicKey) -> Result<Option<Node>, Error> {
    state::node(ctx, id)
}

/// An entity.
pub(crate) fn entity(ctx: &Context<'_>, id: &PublicKey) -> Result<Option<Entity>, Error> {
    state::entity(ctx, id)
}

/// All registered nodes, sorted by id.
pub(crate) fn nodes(ctx: &Context<'_>) -> Result<Vec<Node>, Error> {
    state::nodes(ctx)
}

/// Who answers for what the consensus key with this address in CometBFT signs; none if evidence
/// against it is too old.
pub(crate) fn consensus_key_owner(
    ctx: &Context<'_>,
    comet_address: &[u8; 20],
) -> Result<Option<ConsensusKeyOwner>, Error> {
    state::consensus_key_owner(ctx, comet_address)
}

/// Notes that an offence is punished. False if it was before.
pub(crate) fn note_punished(
    ctx: &mut Context<'_>,
    comet_address: &[u8; 20],
    owner: &mut ConsensusKeyOwner,
    height: Height,
) -> bool {
    let Err(place) = owner.punished.binary_search(&height) else { return false };
    owner.punished.insert(place, height);
    state::set_consensus_key_owner(ctx, comet_address, owner);
    true
}

/// Keeps a node out of elections up to and including an epoch. A longer freeze stays.
pub(crate) fn freeze(ctx: &mut Context<'_>, id: &PublicKey, until: Epoch) -> Result<(), Error> {
    let Some(node) = state::node(ctx, id)? else { return Ok(()) };
    let mut status = state::node_status(ctx, id)?;
    if status.frozen_until.is_none_or(|frozen| frozen < until.0) {
        status.frozen_until = Some(until.0);
        state::set_node_status(ctx, id, &status);
        enclaves::refresh(ctx, &node)?;
        ctx.emit(NodeFrozen { node_id: *id, until });
    }
    Ok(())
}

/// A runtime.
pub(crate) fn runtime(ctx: &Context<'_>, id: &RuntimeId) -> Result<Option<Runtime>, Error> {
    state::runtime(ctx, id)
}

/// All runtimes, sorted by id.
pub(crate) fn runtimes(ctx: &Context<'_>) -> Result<Vec<Runtime>, Error> {
    state::runtimes(ctx)
}

/// Whether the node's registration has not expired.
pub(crate) fn is_live(ctx: &Context<'_>, node: &Node) -> Result<bool, Error> {
    Ok(node.expiration >= ctx.epoch()?)
}

/// Whether the node was registered early enough for an election in this epoch. In epoch 0, elections
/// are of genesis, and so are all nodes.
pub(crate) fn is_eligible(ctx: &Context<'_>, node: &Node) -> Result<bool, Error> {
    let epoch = ctx.epoch()?;
    let after = state::node_status(ctx, &node.id)?.election_eligible_after;
    Ok(epoch == Epoch(0) || after.is_some_and(|after| after < epoch.0))
}

/// Whether the node is kept out of elections because it misbehaved.
pub(crate) fn is_frozen(ctx: &Context<'_>, node: &Node) -> Result<bool, Error> {
    let frozen = state::node_status(ctx, &node.id)?.frozen_until;
    let epoch = ctx.epoch()?;
    Ok(frozen.is_some_and(|until| until >= epoch.0))
}

/// CometBFT's address of a validator: the first 20 bytes of its key's SHA-256.
pub fn comet_address(consensus_key: &PublicKey) -> [u8; 20] {
    let digest = sha256(consensus_key.as_bytes());
    *digest.first_chunk().unwrap_or(&[0; 20])
}

fn entity_claim() -> String {
    "registry.RegisterEntity".to_string()
}

fn node_claim(id: &PublicKey) -> String {
    format!("registry.RegisterNode.{id}")
}

fn runtime_claim(id: &RuntimeId) -> String {
    format!("registry.RegisterRuntime.{id}")
}

/// The entity, which must be registered.
fn require_entity(ctx: &Context<'_>, id: &PublicKey) -> Result<Entity, Error> {
    let missing = || RegistryError::NoSuchEntity { entity: id.to_string() };
    Ok(state::entity(ctx, id)?.ok_or_else(missing)?)
}

/// The account that answers for what an entity registers.
fn account_of(entity: &PublicKey) -> Address {
    address::of_key(entity)
}

fn invalid(reason: impl Into<String>) -> Error {
    RegistryError::InvalidArgument { reason: reason.into() }.into()
}

fn refuse_signer(expected: &PublicKey, got: &PublicKey) -> Result<(), Error> {
    if expected == got {
        return Ok(());
    }
    let (expected, got) = (expected.to_string(), got.to_string());
    Err(RegistryError::IncorrectSigner { expected, got }.into())
}
