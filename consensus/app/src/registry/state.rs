//! The registry's keys.

use paralith_consensus_api::Error;
use paralith_consensus_api::registry::{
    ConsensusKeyOwner, Decisions, Enclave, Entity, Freshness, Node, NodeStatus, Params, Revoked,
    Runtime, RuntimeChange, keys,
};
use paralith_types::{Hash, Height, PublicKey, RuntimeId};

use super::enclaves;
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

/// Stores a node, and its enclaves in the index.
pub(super) fn set_node(ctx: &mut Context<'_>, node: &Node) -> Result<(), Error> {
    let before = self::node(ctx, &node.id)?;
    ctx.set(keys::node(&node.id), node);
    enclaves::replace(ctx, before.as_ref(), Some(node))
}

/// Removes a node, and its enclaves from the index.
pub(super) fn remove_node(ctx: &mut Context<'_>, node: &Node) -> Result<(), Error> {
    ctx.remove(keys::node(&node.id));
    enclaves::replace(ctx, Some(node), None)
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

/// The change of a runtime that waits for its epoch.
pub(super) fn runtime_change(
    ctx: &Context<'_>,
    id: &RuntimeId,
) -> Result<Option<RuntimeChange>, Error> {
    ctx.get(&keys::runtime_change(id))
}

/// What is being decided about a runtime; nothing if state has nothing.
pub(super) fn decisions(ctx: &Context<'_>, id: &RuntimeId) -> Result<Decisions, Error> {
    let nothing = || Decisions {
        runtime_id: *id,
        proposals: Vec::new(),
        approvals: Vec::new(),
        revocations: Vec::new(),
    };
    Ok(ctx.get(&keys::decisions(id))?.unwrap_or_else(nothing))
}

pub(super) fn all_decisions(ctx: &Context<'_>) -> Result<Vec<Decisions>, Error> {
    ctx.list(&keys::all_decisions())
}

/// Nothing to decide leaves no entry.
pub(super) fn set_decisions(ctx: &mut Context<'_>, decisions: &Decisions) {
    let Decisions { runtime_id, proposals, approvals, revocations } = decisions;
    let key = keys::decisions(runtime_id);
    if proposals.is_empty() && approvals.is_empty() && revocations.is_empty() {
        ctx.remove(key);
    } else {
        ctx.set(key, decisions);
    }
}

/// A proposed descriptor, which must be there.
pub(super) fn proposal(
    ctx: &Context<'_>,
    id: &RuntimeId,
    descriptor: &Hash,
) -> Result<Runtime, Error> {
    ctx.require(&keys::proposal(id, descriptor))
}

pub(super) fn set_proposal(ctx: &mut Context<'_>, descriptor: &Hash, runtime: &Runtime) {
    ctx.set(keys::proposal(&runtime.id, descriptor), runtime);
}

pub(super) fn remove_proposal(ctx: &mut Context<'_>, id: &RuntimeId, descriptor: &Hash) {
    ctx.remove(keys::proposal(id, descriptor));
}

pub(super) fn enclave(
    ctx: &Context<'_>,
    runtime: &RuntimeId,
    rak: &PublicKey,
) -> Result<Option<Enclave>, Error> {
    ctx.get(&keys::enclave(runtime, rak))
}

pub(super) fn set_enclave(
    ctx: &mut Context<'_>,
    runtime: &RuntimeId,
    rak: &PublicKey,
    enclave: &Enclave,
) {
    ctx.set(keys::enclave(runtime, rak), enclave);
}

/// Removes an enclave from the index, if it is there.
pub(super) fn remove_enclave(
    ctx: &mut Context<'_>,
    runtime: &RuntimeId,
    rak: &PublicKey,
) -> Result<(), Error> {
    let key = keys::enclave(runtime, rak);
    if ctx.get_raw(&key)?.is_some() {
        ctx.remove(key);
    }
    Ok(())
}

/// The node that has the enclave in its registration, whether it counts or not.
pub(super) fn rak_node(
    ctx: &Context<'_>,
    runtime: &RuntimeId,
    rak: &PublicKey,
) -> Result<Option<PublicKey>, Error> {
    let key = keys::rak_node(runtime, rak);
    let bytes = ctx.get_raw(&key)?;
    let node = bytes.map(|bytes| PublicKey::try_from(bytes.as_slice())).transpose();
    node.map_err(|e| damaged(&key, &e.to_string()))
}

pub(super) fn set_rak_node(
    ctx: &mut Context<'_>,
    runtime: &RuntimeId,
    rak: &PublicKey,
    node: &PublicKey,
) {
    ctx.set_raw(keys::rak_node(runtime, rak), node.as_bytes().to_vec());
}

pub(super) fn remove_rak_node(ctx: &mut Context<'_>, runtime: &RuntimeId, rak: &PublicKey) {
    ctx.remove(keys::rak_node(runtime, rak));
}

pub(super) fn set_revoked(
    ctx: &mut Context<'_>,
    runtime: &RuntimeId,
    rak: &PublicKey,
    revoked: &Revoked,
) {
    ctx.set(keys::revoked(runtime, rak), revoked);
}

pub(super) fn revoked(
    ctx: &Context<'_>,
    runtime: &RuntimeId,
    rak: &PublicKey,
) -> Result<Option<Revoked>, Error> {
    ctx.get(&keys::revoked(runtime, rak))
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
