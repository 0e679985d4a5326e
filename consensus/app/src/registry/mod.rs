//! Who takes part: entities, which answer with stake; their nodes; runtimes.
//!
//! * A node is registered for a time and counts while that time lasts. It stays known as long as its
//!   stake can be debonding, so that what it did can still be punished; then it is forgotten and its
//!   claim on stake is given up.
//! * A node that is registered in one epoch can be elected from the very next epoch on.
//! * Which code a runtime executes never changes; its other rules may, from the next epoch on.
//!
//! Not here yet: deregistration of entities, freezing, admission policies.

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
    Entity, Error as RegistryError, GENESIS_CONTEXT, Node, NodeStatus, Runtime,
};
use paralith_consensus_api::{Error, address};
use paralith_crypto::sha256;
use paralith_types::{Address, Epoch, PublicKey, RuntimeId};

use crate::context::Context;

pub(crate) use tee::verify_tee;

/// The contract between guest and host that this chain's nodes implement.
pub const KNOWN_ABI_VERSION: u32 = 1;

/// The gas table that this chain's nodes implement.
pub const KNOWN_GAS_SCHEDULE_VERSION: u32 = 1;

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
        let eligible = NodeStatus { expiration_processed: false, election_eligible_after: Some(0) };
        state::set_node_status(ctx, &registration.node.id, &eligible);
    }
    Ok(())
}

/// A node, whether it still counts or not.
pub(crate) fn node(ctx: &Context<'_>, id: &PublicKey) -> Result<Option<Node>, Error> {
    state::node(ctx, id)
}

/// All registered nodes, sorted by id.
pub(crate) fn nodes(ctx: &Context<'_>) -> Result<Vec<Node>, Error> {
    state::nodes(ctx)
}

/// The node that CometBFT knows by this address.
pub(crate) fn node_by_comet_address(
    ctx: &Context<'_>,
    comet_address: &[u8; 20],
) -> Result<Option<Node>, Error> {
    state::node_by_comet_address(ctx, comet_address)
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
