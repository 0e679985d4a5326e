//! The registry's transactions.

use paralith_consensus_api::Error;
use paralith_consensus_api::registry::{
    ApproveRuntime, Entity, EntityRegistered, Error as RegistryError, Freshness, ProveFreshness,
    RegisterEntity, RegisterNode, RegisterRuntime, RevokeEnclave, Runtime,
};

use super::{
    account_of, decisions, enclaves, entity_claim, invalid, node, refuse_signer, runtime, state,
};
use crate::context::Context;
use crate::staking;

/// Registers the signer as an entity, or changes which nodes it answers for. A node that it no
/// longer lists counts until it expires, and cannot renew.
pub(crate) fn register_entity(ctx: &mut Context<'_>, body: &RegisterEntity) -> Result<(), Error> {
    let gas = state::params(ctx)?.gas_register_entity;
    ctx.charge(gas)?;
    refuse_signer(&body.entity.id, &ctx.signer()?.key)?;
    admit_entity(ctx, &body.entity)
}

/// Checks an entity by the rules that hold for every registration, genesis included.
pub(super) fn admit_entity(ctx: &mut Context<'_>, entity: &Entity) -> Result<(), Error> {
    if !entity.nodes.is_sorted_by(|a, b| a < b) {
        return Err(invalid("an entity's nodes must be sorted, each once"));
    }
    let threshold = staking::params(ctx)?.entity_threshold;
    staking::set_claim(ctx, &account_of(&entity.id), entity_claim(), threshold)?;
    state::set_entity(ctx, entity);
    ctx.emit(EntityRegistered { entity_id: entity.id });
    Ok(())
}

/// Registers the signer as a node, or renews it.
pub(crate) fn register_node(ctx: &mut Context<'_>, body: &RegisterNode) -> Result<(), Error> {
    let gas = node::gas(ctx, &body.node)?;
    ctx.charge(gas)?;
    refuse_signer(&body.node.id, &ctx.signer()?.key)?;
    let chain_context = *ctx.chain_context();
    node::admit(ctx, body, &chain_context)
}

/// Registers a runtime of the signer's entity, or changes it from a later epoch on; where others
/// approve changes, proposes that. Whether it is new.
pub(crate) fn register_runtime(
    ctx: &mut Context<'_>,
    body: &RegisterRuntime,
) -> Result<bool, Error> {
    let gas = state::params(ctx)?.gas_register_runtime;
    ctx.charge(gas)?;
    let limits = roothash_params(ctx)?;
    let signer = ctx.signer()?.key;
    let runtime = &body.runtime;
    if let Some(known) = state::runtime(ctx, &runtime.id)? {
        match &known.approval {
            Some(approval) => decisions::propose_change(ctx, &known, approval, runtime, &limits)?,
            None => runtime::change(ctx, &signer, &known, runtime, &limits)?,
        }
        return Ok(false);
    }
    refuse_signer(&runtime.entity_id, &signer)?;
    decisions::require_free(ctx, &runtime.id, &signer)?;
    if runtime.approval.is_some() {
        decisions::propose_first(ctx, runtime, &limits)?;
        return Ok(false);
    }
    runtime::admit(ctx, runtime, &limits)?;
    // It may have been proposed with an approval before.
    decisions::on_changed(ctx, runtime)?;
    Ok(true)
}

/// Approves a proposed descriptor for the signer, an organisation. Gives a runtime that is new.
pub(crate) fn approve_runtime(
    ctx: &mut Context<'_>,
    body: &ApproveRuntime,
) -> Result<Option<Runtime>, Error> {
    let gas = state::params(ctx)?.gas_register_runtime;
    ctx.charge(gas)?;
    decisions::approve(ctx, body)
}

/// Revokes an enclave, or notes that an organisation wants it. Gives its runtime if it is revoked.
pub(crate) fn revoke_enclave(
    ctx: &mut Context<'_>,
    body: &RevokeEnclave,
) -> Result<Option<Runtime>, Error> {
    let gas = state::params(ctx)?.gas_register_runtime;
    ctx.charge(gas)?;
    enclaves::revoke(ctx, body)
}

/// Includes a random blob of an enclave. Any signer may: a key manager proves freshness before it
/// is registered. The blob is stored under the signer's key, so that nobody writes another's, and
/// for a registered runtime only, so that the number of entries of a signer is bounded.
pub(crate) fn prove_freshness(ctx: &mut Context<'_>, body: &ProveFreshness) -> Result<(), Error> {
    let gas = state::params(ctx)?.gas_prove_freshness;
    ctx.charge(gas)?;
    if state::runtime(ctx, &body.runtime_id)?.is_none() {
        let runtime = body.runtime_id.to_string();
        return Err(RegistryError::NoSuchRuntime { runtime }.into());
    }
    // SK-17: under its signer and runtime, so that nobody replaces another's.
    let (signer, height) = (ctx.signer()?.key, ctx.height());
    let freshness = Freshness { blob: body.blob, height };
    state::set_freshness(ctx, &signer, &body.runtime_id, &freshness);
    Ok(())
}

fn roothash_params(ctx: &Context<'_>) -> Result<paralith_consensus_api::roothash::Params, Error> {
    ctx.require(&paralith_consensus_api::roothash::keys::params())
}
