//! Key managers: policy, status, published encrypted secrets. No secret ever passes through here.
//! Specification: docs/protocol/keymanager.md, "On chain".
//!
//! * A key manager's committee is not elected. At each epoch it is made of the live key-manager nodes
//!   whose attested enclaves say that they hold every accepted generation and follow the policy, and
//!   whose entities' stake covers its claims. A policy may name the only nodes that may be members.
//! * Members count by stake, or one each if the policy names them: see `weight`.
//! * The keys that a node has registered when an epoch begins are its recipient keys of that epoch.
//!   What it registers meanwhile is for the next one, so that an enclave can take a new encryption
//!   key in each epoch and erase the old one.
//! * A generation of the master secret takes three steps: one enclave publishes it, encrypted to all,
//!   for the next epoch; the others open it and register anew with its checksum; the epoch begins, and
//!   if enough of the committee registered so, it is accepted. Else it is dropped, and a new one may be
//!   published. A node that does not hold an accepted generation leaves the committee until it does.
//! * A revoked enclave is in no committee, publishes nothing and receives nothing. A generation is due
//!   that it does not have.
//! * An epoch's secret is published in the epoch before. The first one wins.
//! * A policy takes effect with the next epoch; nodes register for it before.

mod epoch;
pub mod execute;
pub mod query;
mod state;
#[cfg(test)]
mod tests;
mod weight;

use paralith_consensus_api::Error;
use paralith_consensus_api::genesis::Genesis;
use paralith_consensus_api::keymanager::{Error as KeyManagerError, Policy, Status, StatusUpdated};
use paralith_consensus_api::registry::{Runtime, RuntimeKind};
use paralith_types::{Epoch, RuntimeId};

use crate::{Context, registry};

pub(crate) use epoch::on_epoch;

/// Parameters, and the key managers that genesis registers with their policies.
pub(crate) fn init_genesis(ctx: &mut Context<'_>, genesis: &Genesis) -> Result<(), Error> {
    state::set_params(ctx, &genesis.params.keymanager);
    for runtime in registry::runtimes(ctx)? {
        on_runtime_registered(ctx, &runtime)?;
    }
    for policy in &genesis.policies {
        check_policy(policy)?;
        let mut status = status(ctx, &policy.id)?;
        if status.policy.is_some() {
            let reason = format!("two policies of key manager {}", policy.id);
            return Err(KeyManagerError::InvalidArgument { reason }.into());
        }
        status.policy = Some(policy.clone());
        state::set_status(ctx, &status);
    }
    Ok(())
}

/// Begins the status of a key manager. One that has a status keeps it.
pub(crate) fn on_runtime_registered(ctx: &mut Context<'_>, runtime: &Runtime) -> Result<(), Error> {
    if runtime.kind == RuntimeKind::KeyManager && state::status(ctx, &runtime.id)?.is_none() {
        state::set_status(ctx, &unborn(&runtime.id));
    }
    Ok(())
}

/// An enclave of a runtime is revoked: a rotation is due, so that it has no key of what is written
/// from then on. A key manager's own enclave may have the generation that is proposed for the next
/// epoch already: the one after it is due then.
pub(crate) fn on_enclave_revoked(ctx: &mut Context<'_>, runtime: &Runtime) -> Result<(), Error> {
    let next = ctx.epoch()?.next();
    let (managers, own) = match runtime.kind {
        RuntimeKind::KeyManager => (vec![runtime.id], true),
        RuntimeKind::Compute | RuntimeKind::Application => {
            (runtime.key_manager.into_iter().chain(runtime.second_key_manager).collect(), false)
        }
    };
    for id in managers {
        let mut status = status(ctx, &id)?;
        let proposed = epoch::proposal(ctx, &status, next)?.is_some();
        let required = if own && proposed { next.next() } else { next };
        if status.rotation_required < required {
            status.rotation_required = required;
            state::set_status(ctx, &status);
            ctx.emit(StatusUpdated { status });
        }
    }
    Ok(())
}

/// A key manager's status.
fn status(ctx: &Context<'_>, id: &RuntimeId) -> Result<Status, Error> {
    if let Some(status) = state::status(ctx, id)? {
        return Ok(status);
    }
    match registry::runtime(ctx, id)? {
        Some(runtime) if runtime.kind == RuntimeKind::KeyManager => Ok(unborn(id)),
        _ => Err(KeyManagerError::NoSuchStatus { id: id.to_string() }.into()),
    }
}

/// Where a key manager stands before anything has happened.
fn unborn(id: &RuntimeId) -> Status {
    Status {
        id: *id,
        initialised: false,
        generation: 0,
        rotation_epoch: Epoch(0),
        checksum: None,
        nodes: Vec::new(),
        policy: None,
        next_policy: None,
        signing_key: None,
        recipients: Vec::new(),
        rotation_required: Epoch(0),
    }
}

/// The generation that comes next.
fn next_generation(status: &Status) -> u64 {
    if status.checksum.is_none() { 0 } else { status.generation.saturating_add(1) }
}

/// Refuses a policy whose lists are not sorted or name something twice: a policy has one form.
fn check_policy(policy: &Policy) -> Result<(), KeyManagerError> {
    let sorted = policy.measurements.is_sorted_by(|a, b| a < b)
        && policy.nodes.is_sorted_by(|a, b| a < b)
        && policy.runtimes.is_sorted_by(|a, b| a.runtime_id < b.runtime_id)
        && policy.runtimes.iter().all(|one| one.measurements.is_sorted_by(|a, b| a < b));
    if sorted {
        return Ok(());
    }
    let reason = "a policy's lists must be sorted and name nothing twice".to_string();
    Err(KeyManagerError::InvalidArgument { reason })
}
