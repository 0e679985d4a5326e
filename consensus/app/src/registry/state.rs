//! The registry's keys.

use paralith_consensus_api::Error;
use paralith_consensus_api::registry::{
    ConsensusKeyOwner, Entity, Freshness, Node, NodeStatus, Params, Runtime, RuntimeChange, keys,
};
use paralith_types::{Height, PublicKey, RuntimeId};

use crate::context::Context;
use crate::query::damaged;

pub(super) fn params(ctx: &Context<'_>) -> Result<Params, Error> {
    ctx.require(&keys::params())
}

pub(super) fn set_params(ctx: &mut Context<'_>, params: &Params) {
    ctx.set(keys::params(), params);
}

pub(super) fn entity(ctx: &Context<'_>, id: &PublicKey) -> Result<Option<Entity>, Error> {
    ctx.get(&keys::entity(id))
}

pub(super) fn set_entity(ctx: &mut Context<'_>, entity: &Entity) {
    ctx.set(keys::entity(&entity.id), entity);
}

pub(super) fn node(ctx: &Context<'_>, id: &PublicKey) -> Result<Option<Node>, Error> {
    ctx.get(&keys::node(id))
}

pub(super) fn nodes(ctx: &Context<'_>) -> Result<Vec<Node>, Error> {
    ctx.list(&keys::nodes())
}

pub(super) fn set_node(ctx: &mut Context<'_>, node: &Node) {
    ctx.set(keys::node(&node.id), node);
}

pub(super) fn remove_node(ctx: &mut Context<'_>, id: &PublicKey) {
    ctx.remove(keys::node(id));
}

pub(super) fn remove_node_status(ctx: &mut Context<'_>, id: &PublicKey) {
    ctx.remove(keys::node_status(id));
}

pub(super) fn consensus_key_owner(
    ctx: &Context<'_>,
    address: &[u8; 20],
) -> Result<Option<ConsensusKeyOwner>, Error> {
    ctx.get(&keys::consensus_key_owner(address))
}

pub(super) fn set_consensus_key_owner(
    ctx: &mut Context<'_>,
    address: &[u8; 20],
    owner: &ConsensusKeyOwner,
) {
    ctx.set(keys::consensus_key_owner(address), owner);
}

pub(super) fn remove_consensus_key_owner(ctx: &mut Context<'_>, address: &[u8; 20]) {
    ctx.remove(keys::consensus_key_owner(address));
}

/// All owners of consensus keys with the keys' addresses in CometBFT.
pub(super) fn consensus_key_owners(
    ctx: &Context<'_>,
) -> Result<Vec<([u8; 20], ConsensusKeyOwner)>, Error> {
    let prefix = keys::consensus_key_owners();
    let mut owners = Vec::new();
    for (key, _) in ctx.scan(&prefix)? {
        let address = key.get(prefix.len()..).and_then(|rest| rest.first_chunk::<20>().copied());
        let address = address.ok_or_else(|| damaged(&key, "not the key of an owner"))?;
        owners.push((address, ctx.require(&key)?));
    }
    Ok(owners)
}

pub(super) fn node_status(ctx: &Context<'_>, id: &PublicKey) -> Result<NodeStatus, Error> {
    Ok(ctx.get(&keys::node_status(id))?.unwrap_or_default())
}

pub(super) fn set_node_status(ctx: &mut Context<'_>, id: &PublicKey, status: &NodeStatus) {
    ctx.set(keys::node_status(id), status);
}

pub(super) fn runtime(ctx: &Context<'_>, id: &RuntimeId) -> Result<Option<Runtime>, Error> {
    ctx.get(&keys::runtime(id))
}

pub(super) fn runtimes(ctx: &Context<'_>) -> Result<Vec<Runtime>, Error> {
    ctx.list(&keys::runtimes())
}

pub(super) fn set_runtime(ctx: &mut Context<'_>, runtime: &Runtime) {
    ctx.set(keys::runtime(&runtime.id), runtime);
}

/// Changes of runtimes that wait for their epoch, sorted by id.
pub(super) fn runtime_changes(ctx: &Context<'_>) -> Result<Vec<RuntimeChange>, Error> {
    ctx.list(&keys::runtime_changes())
}

pub(super) fn set_runtime_change(ctx: &mut Context<'_>, change: &RuntimeChange) {
    ctx.set(keys::runtime_change(&change.runtime.id), change);
}

pub(super) fn remove_runtime_change(ctx: &mut Context<'_>, id: &RuntimeId) {
    ctx.remove(keys::runtime_change(id));
}

pub(super) fn set_freshness(
    ctx: &mut Context<'_>,
    signer: &PublicKey,
    runtime: &RuntimeId,
    freshness: &Freshness,
) {
    ctx.set(keys::freshness(signer, runtime), freshness);
}

/// Removes the proofs that were included before `earliest`: no enclave accepts them any more.
pub(super) fn forget_freshness(ctx: &mut Context<'_>, earliest: Height) -> Result<(), Error> {
    for (key, _) in ctx.scan(&keys::freshness_proofs())? {
        if ctx.require::<Freshness>(&key)?.height < earliest {
            ctx.remove(key);
        }
    }
    Ok(())
}
