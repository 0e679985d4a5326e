//! The registry's keys.

use paralith_consensus_api::Error;
use paralith_consensus_api::registry::{
    Entity, Freshness, Node, NodeStatus, Params, Runtime, keys,
};
use paralith_types::{Height, PublicKey, RuntimeId};

use super::comet_address;
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

/// Writes a node and where it is found by.
pub(super) fn set_node(ctx: &mut Context<'_>, node: &Node) {
    let id = node.id.as_bytes().to_vec();
    ctx.set_raw(keys::node_by_consensus_key(&node.consensus_key), id.clone());
    ctx.set_raw(keys::node_by_comet_address(&comet_address(&node.consensus_key)), id);
    ctx.set(keys::node(&node.id), node);
}

/// Removes a node and its indices.
pub(super) fn remove_node(ctx: &mut Context<'_>, node: &Node) {
    ctx.remove(keys::node_by_consensus_key(&node.consensus_key));
    ctx.remove(keys::node_by_comet_address(&comet_address(&node.consensus_key)));
    ctx.remove(keys::node(&node.id));
}

pub(super) fn remove_node_status(ctx: &mut Context<'_>, id: &PublicKey) {
    ctx.remove(keys::node_status(id));
}

pub(super) fn owner_of_consensus_key(
    ctx: &Context<'_>,
    consensus_key: &PublicKey,
) -> Result<Option<PublicKey>, Error> {
    node_id(ctx, &keys::node_by_consensus_key(consensus_key))
}

pub(super) fn node_by_comet_address(
    ctx: &Context<'_>,
    comet_address: &[u8; 20],
) -> Result<Option<Node>, Error> {
    match node_id(ctx, &keys::node_by_comet_address(comet_address))? {
        Some(id) => node(ctx, &id),
        None => Ok(None),
    }
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

/// Changes of runtimes that take effect when the next epoch begins.
pub(super) fn next_runtimes(ctx: &Context<'_>) -> Result<Vec<Runtime>, Error> {
    ctx.list(&keys::next_runtimes())
}

pub(super) fn set_next_runtime(ctx: &mut Context<'_>, runtime: &Runtime) {
    ctx.set(keys::next_runtime(&runtime.id), runtime);
}

pub(super) fn remove_next_runtime(ctx: &mut Context<'_>, id: &RuntimeId) {
    ctx.remove(keys::next_runtime(id));
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

fn node_id(ctx: &Context<'_>, key: &[u8]) -> Result<Option<PublicKey>, Error> {
    let bytes = ctx.get_raw(key)?;
    let id = bytes.map(|bytes| PublicKey::try_from(bytes.as_slice())).transpose();
    id.map_err(|e| damaged(key, &e.to_string()))
}
