//! The index of enclaves, and their revocation.
//!
//! The index has one small record for each enclave of a node that counts: registered with evidence,
//! not expired, not frozen; and the enclave is not revoked. So guests, key managers and clients read
//! one proven value instead of a node with its evidence. It follows from the nodes, the descriptors,
//! the revocations and the epoch alone: a test makes it anew after random operations and compares.
//!
//! A RAK belongs to one node as long as its registration is kept, counted or not. A revoked one is
//! refused for ever, wherever evidence is verified.

use paralith_attest::{Evidence, Kind};
use paralith_consensus_api::Error;
use paralith_consensus_api::registry::{
    CapabilityTee, Enclave, EnclaveRegistered, EnclaveRevoked, Error as RegistryError, Node,
    RevokeEnclave, Revoked, Runtime, keys,
};
use paralith_types::{Height, PublicKey, RuntimeId};

use super::{decisions, invalid, is_frozen, is_live, state};
use crate::context::Context;
use crate::query::damaged;

/// The enclaves of a registration, with their runtimes.
fn enclaves_of(node: &Node) -> impl Iterator<Item = (&RuntimeId, &CapabilityTee)> {
    node.runtimes.iter().filter_map(|one| Some((&one.runtime_id, one.tee.as_ref()?)))
}

/// Refuses a registration with an enclave of another node.
pub(super) fn require_own(ctx: &Context<'_>, node: &Node) -> Result<(), Error> {
    for (runtime, tee) in enclaves_of(node) {
        if state::rak_node(ctx, runtime, &tee.rak)?.is_some_and(|owner| owner != node.id) {
            return Err(RegistryError::EnclaveInUse { rak: tee.rak.to_string() }.into());
        }
    }
    Ok(())
}

/// A registration replaces another, appears or goes: so do its enclaves.
pub(super) fn replace(
    ctx: &mut Context<'_>,
    before: Option<&Node>,
    after: Option<&Node>,
) -> Result<(), Error> {
    for (runtime, tee) in before.into_iter().flat_map(enclaves_of) {
        let mut stay = after.into_iter().flat_map(enclaves_of);
        if !stay.any(|(other, same)| (other, same.rak) == (runtime, tee.rak)) {
            state::remove_rak_node(ctx, runtime, &tee.rak);
            state::remove_enclave(ctx, runtime, &tee.rak)?;
        }
    }
    let Some(node) = after else { return Ok(()) };
    for (runtime, tee) in enclaves_of(node) {
        state::set_rak_node(ctx, runtime, &tee.rak, &node.id);
    }
    refresh(ctx, node)
}

/// Writes what the index has to say of a node now.
pub(super) fn refresh(ctx: &mut Context<'_>, node: &Node) -> Result<(), Error> {
    let counts = is_live(ctx, node)? && !is_frozen(ctx, node)?;
    for (runtime_id, tee) in enclaves_of(node) {
        let known = state::enclave(ctx, runtime_id, &tee.rak)?;
        let wanted = match state::runtime(ctx, runtime_id)? {
            Some(runtime) if counts && !is_revoked(ctx, runtime_id, &tee.rak)? => {
                record(node, tee, &runtime)?
            }
            _ => None,
        };
        match wanted {
            Some(wanted) if known.as_ref() != Some(&wanted) => {
                state::set_enclave(ctx, runtime_id, &tee.rak, &wanted);
                if known.is_none() {
                    let (runtime_id, rak, node_id) = (*runtime_id, tee.rak, node.id);
                    ctx.emit(EnclaveRegistered { runtime_id, rak, node_id });
                }
            }
            Some(_) => {}
            None => state::remove_enclave(ctx, runtime_id, &tee.rak)?,
        }
    }
    Ok(())
}

/// What was attested; none if the runtime wants no enclaves.
fn record(node: &Node, tee: &CapabilityTee, runtime: &Runtime) -> Result<Option<Enclave>, Error> {
    let Some(policy) = &runtime.tee else { return Ok(None) };
    // It was verified when the node registered, and may be too old by now.
    let evidence = Evidence::decode(&tee.evidence)
        .map_err(|e| damaged(&keys::node(&node.id), &format!("its evidence: {e}")))?;
    let software = evidence.kind() == Kind::Software;
    let Evidence::Software(quote) = evidence;
    let claims = quote.claims;
    let expires = claims.height.0.saturating_add(policy.max_age_blocks).saturating_add(1);
    Ok(Some(Enclave {
        node: node.id,
        entity_id: node.entity_id,
        rek: tee.rek,
        measurement: claims.measurement.0,
        code: claims.code,
        attested_height: claims.height,
        expires_height: Height(expires),
        node_expiration: node.expiration,
        software,
    }))
}

/// Whether an enclave is revoked.
pub(crate) fn is_revoked(
    ctx: &Context<'_>,
    runtime: &RuntimeId,
    rak: &PublicKey,
) -> Result<bool, Error> {
    Ok(state::revoked(ctx, runtime, rak)?.is_some())
}

/// Revokes an enclave, or notes that an organisation wants it revoked. Gives the runtime if the
/// enclave is revoked now.
///
/// The enclave's own entity does it alone, and so does the owner of a runtime that nobody else
/// approves changes of. Else organisations do that satisfy the policy in force. They may name an
/// enclave that is not registered: one that comes and goes must not escape.
pub(super) fn revoke(
    ctx: &mut Context<'_>,
    body: &RevokeEnclave,
) -> Result<Option<Runtime>, Error> {
    let (id, rak) = (&body.runtime_id, &body.rak);
    let missing = || RegistryError::NoSuchRuntime { runtime: id.to_string() };
    let runtime = state::runtime(ctx, id)?.ok_or_else(missing)?;
    if runtime.tee.is_none() {
        return Err(invalid(format!("runtime {id} has no enclaves")));
    }
    if is_revoked(ctx, id, rak)? {
        return Err(RegistryError::EnclaveRevoked { rak: rak.to_string() }.into());
    }
    let signer = ctx.signer()?.key;
    let own = match state::rak_node(ctx, id, rak)? {
        Some(node) => state::node(ctx, &node)?.is_some_and(|node| node.entity_id == signer),
        None => false,
    };
    let decided = own
        || match &runtime.approval {
            Some(_) => decisions::vote_revocation(ctx, &runtime, rak, &signer)?,
            None if runtime.entity_id == signer => true,
            None => {
                let (owner, runtime) = (runtime.entity_id.to_string(), id.to_string());
                return Err(RegistryError::BadEntityForRuntime { owner, runtime }.into());
            }
        };
    if !decided {
        return Ok(None);
    }
    let height = ctx.height();
    state::set_revoked(ctx, id, rak, &Revoked { height });
    state::remove_enclave(ctx, id, rak)?;
    decisions::forget_revocation(ctx, id, rak)?;
    ctx.emit(EnclaveRevoked { runtime_id: *id, rak: *rak });
    Ok(Some(runtime))
}
