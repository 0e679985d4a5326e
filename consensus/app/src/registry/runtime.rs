//! The rules for runtimes.
//!
//! Id, owner, kind, key manager, confidentiality and the argument of `init` never change, and neither
//! does the code of what executes rounds: votes, secrets and state depend on them. The other rules
//! (name, plain calls, enclaves, executor, batching, gas, penalties, approval, terms; the code of
//! applications) may, and all of a change takes effect when an epoch begins, before its elections:
//! within an epoch the rules of the game are fixed. That is the next epoch, unless a penalty rises.
//! Each change names the next sequence, so that nobody replays an older one.

use paralith_consensus_api::Error;
use paralith_consensus_api::registry::{
    Batching, Code, Error as RegistryError, Executor, MAX_BATCH_SIZE, MAX_TERMS_BYTES, Runtime,
    RuntimeChange, RuntimeKind, RuntimeRegistered, RuntimeStaking, TeePolicy,
};
use paralith_consensus_api::roothash;
use paralith_types::{Amount, Epoch, PublicKey, RuntimeId};

use super::{
    KNOWN_ABI_VERSION, account_of, decisions, invalid, require_entity, runtime_claim, state,
};
use crate::context::Context;
use crate::staking;

/// Registers a runtime that was not there.
pub(super) fn admit(
    ctx: &mut Context<'_>,
    runtime: &Runtime,
    limits: &roothash::Params,
) -> Result<(), Error> {
    if state::runtime(ctx, &runtime.id)?.is_some() {
        return Err(invalid(format!("runtime {} is there twice", runtime.id)));
    }
    check_first(ctx, runtime, limits)?;
    claim(ctx, runtime)?;
    state::set_runtime(ctx, runtime);
    ctx.emit(RuntimeRegistered { runtime_id: runtime.id });
    Ok(())
}

/// Changes a runtime from a later epoch on. The newest change counts.
pub(super) fn change(
    ctx: &mut Context<'_>,
    signer: &PublicKey,
    known: &Runtime,
    runtime: &Runtime,
    limits: &roothash::Params,
) -> Result<(), Error> {
    if known.entity_id != *signer {
        let (owner, runtime) = (known.entity_id.to_string(), known.id.to_string());
        return Err(RegistryError::BadEntityForRuntime { owner, runtime }.into());
    }
    if known == runtime {
        state::remove_runtime_change(ctx, &runtime.id);
    } else {
        check_change(ctx, known, runtime, limits)?;
        claim(ctx, runtime)?;
        schedule(ctx, known, runtime)?;
    }
    ctx.emit(RuntimeRegistered { runtime_id: runtime.id });
    Ok(())
}

/// Whether a descriptor may be a runtime's first.
pub(super) fn check_first(
    ctx: &Context<'_>,
    runtime: &Runtime,
    limits: &roothash::Params,
) -> Result<(), Error> {
    check_sequence(FIRST_SEQUENCE, runtime)?;
    check(ctx, runtime, limits)
}

/// Whether a descriptor may follow the one in force.
pub(super) fn check_change(
    ctx: &Context<'_>,
    known: &Runtime,
    runtime: &Runtime,
    limits: &roothash::Params,
) -> Result<(), Error> {
    let fixed_code = known.kind != RuntimeKind::Application;
    for (same, what) in [
        (known.entity_id == runtime.entity_id, "its owner"),
        (known.kind == runtime.kind, "its kind"),
        (known.code == runtime.code || !fixed_code, "its code"),
        (known.confidential == runtime.confidential, "its confidentiality"),
        (known.key_manager == runtime.key_manager, "its key manager"),
        (known.init_argument == runtime.init_argument, "its init argument"),
    ] {
        if !same {
            return Err(RegistryError::RuntimeUpdateNotAllowed { what }.into());
        }
    }
    check_sequence(known.sequence.saturating_add(1), runtime)?;
    check(ctx, runtime, limits)
}

fn check_sequence(expected: u64, runtime: &Runtime) -> Result<(), RegistryError> {
    let got = runtime.sequence;
    if got == expected { Ok(()) } else { Err(RegistryError::WrongSequence { expected, got }) }
}

/// Has a change take effect in a later epoch, in place of one that waits.
pub(super) fn schedule(
    ctx: &mut Context<'_>,
    known: &Runtime,
    runtime: &Runtime,
) -> Result<(), Error> {
    let epoch = effective_epoch(ctx, known, runtime)?;
    state::set_runtime_change(ctx, &RuntimeChange { epoch, runtime: runtime.clone() });
    Ok(())
}

/// When a change takes effect. A raised penalty waits until everybody who accepted the old one could
/// leave: nodes until their registration ends, delegators until their stake is paid out.
fn effective_epoch(ctx: &Context<'_>, known: &Runtime, runtime: &Runtime) -> Result<Epoch, Error> {
    let now = ctx.epoch()?;
    let (old, new) = (&known.staking, &runtime.staking);
    let raised = new.slash_incorrect_results > old.slash_incorrect_results
        || new.slash_equivocation > old.slash_equivocation;
    if !raised {
        return Ok(now.next());
    }
    // SK-19: nobody answers with more than what it accepted.
    let paid_out = now.plus(staking::params(ctx)?.debonding_epochs);
    let members = state::nodes(ctx)?.into_iter().filter(|node| node.runtime(&known.id).is_some());
    let left = members.map(|node| node.expiration).max().unwrap_or(now);
    Ok(paid_out.max(left).next())
}

/// The owner's stake answers for a runtime.
pub(super) fn claim(ctx: &mut Context<'_>, runtime: &Runtime) -> Result<(), Error> {
    let threshold = staking::params(ctx)?.runtime_threshold;
    staking::set_claim(ctx, &account_of(&runtime.entity_id), runtime_claim(&runtime.id), threshold)
}

fn check(ctx: &Context<'_>, runtime: &Runtime, limits: &roothash::Params) -> Result<(), Error> {
    require_entity(ctx, &runtime.entity_id)?;
    if runtime.id == RuntimeId([0; RuntimeId::LEN]) {
        return Err(invalid("a runtime's id cannot be all zero"));
    }
    if runtime.name.is_empty() || runtime.name.len() > MAX_NAME_BYTES {
        return Err(invalid(format!("a runtime's name has 1 to {MAX_NAME_BYTES} bytes")));
    }
    if runtime.init_argument.len() > MAX_INIT_ARGUMENT_BYTES {
        let most = MAX_INIT_ARGUMENT_BYTES;
        return Err(invalid(format!("an init argument has {most} bytes at most")));
    }
    if runtime.terms.len() > MAX_TERMS_BYTES {
        return Err(invalid(format!("the terms have {MAX_TERMS_BYTES} bytes at most")));
    }
    check_not_built(runtime)?;
    if let Some(approval) = &runtime.approval {
        decisions::check_approval(ctx, approval)?;
    }
    if let Some(policy) = &runtime.tee {
        check_tee(policy)?;
    }
    match runtime.kind {
        RuntimeKind::Compute => check_compute(ctx, runtime, limits),
        RuntimeKind::KeyManager => {
            let fine =
                runtime.code.is_none() && runtime.key_manager.is_none() && runtime.tee.is_some();
            if !fine {
                return Err(invalid("a key manager has enclaves, and no code or keys"));
            }
            // Its policy is its owner's: an approval would promise what it does not give.
            match runtime.approval {
                Some(_) => Err(invalid("a key manager has no approval: its owner sets its policy")),
                None => Ok(()),
            }
        }
        RuntimeKind::Application => check_application(ctx, runtime),
    }
}

/// Fields whose form is fixed and whose behaviour this version does not have.
fn check_not_built(runtime: &Runtime) -> Result<(), RegistryError> {
    for (unused, what) in [
        (!runtime.raw_transactions, "raw_transactions"),
        (runtime.batching.empty_round_blocks == 0, "batching.empty_round_blocks"),
        (runtime.second_key_manager.is_none(), "second_key_manager"),
    ] {
        if !unused {
            return Err(RegistryError::NotSupported { what });
        }
    }
    Ok(())
}

/// An application has no rounds, and so no rules for them.
fn check_application(ctx: &Context<'_>, runtime: &Runtime) -> Result<(), Error> {
    if let Some(code) = &runtime.code {
        check_code(ctx, code)?;
    }
    if let Some(id) = &runtime.key_manager {
        check_key_manager(ctx, id)?;
    }
    let no_rounds = runtime.executor == Executor::default()
        && runtime.batching == Batching::default()
        && runtime.staking == RuntimeStaking::default()
        && (runtime.min_gas_price, runtime.max_tx_gas) == (Amount::ZERO, 0)
        && !runtime.allow_plain_calls
        && runtime.init_argument.is_empty();
    for (fine, rule) in [
        (runtime.approval.is_some(), "an application names who approves its changes"),
        (runtime.tee.is_some(), "an application runs in enclaves"),
        (
            runtime.key_manager.is_some() == runtime.confidential,
            "confidential applications have a key manager, others not",
        ),
        (no_rounds, "an application has no rounds: rules for them and the init argument are empty"),
    ] {
        if !fine {
            return Err(invalid(rule));
        }
    }
    Ok(())
}

fn check_tee(policy: &TeePolicy) -> Result<(), Error> {
    let measurements = &policy.measurements;
    if measurements.is_empty() || !measurements.is_sorted_by(|a, b| a < b) {
        return Err(invalid("a policy's enclaves must be sorted, each once, and at least one"));
    }
    if policy.max_age_blocks == 0 {
        return Err(invalid("an attestation must be allowed to become a block old"));
    }
    Ok(())
}

fn check_compute(
    ctx: &Context<'_>,
    runtime: &Runtime,
    limits: &roothash::Params,
) -> Result<(), Error> {
    let Some(code) = &runtime.code else {
        return Err(invalid("a compute runtime has code"));
    };
    check_code(ctx, code)?;
    let confidential = runtime.confidential;
    if runtime.key_manager.is_some() != confidential || runtime.tee.is_some() != confidential {
        return Err(invalid("confidential runtimes have a key manager and enclaves, others not"));
    }
    if let Some(id) = &runtime.key_manager {
        check_key_manager(ctx, id)?;
    }
    check_penalties(ctx, runtime)?;
    check_rounds(runtime, limits)
}

fn check_key_manager(ctx: &Context<'_>, id: &RuntimeId) -> Result<(), Error> {
    let missing = || RegistryError::NoSuchRuntime { runtime: id.to_string() };
    let key_manager = state::runtime(ctx, id)?.ok_or_else(missing)?;
    if key_manager.kind == RuntimeKind::KeyManager {
        return Ok(());
    }
    Err(invalid(format!("runtime {id} is no key manager")))
}

/// Delegators answer for what a runtime asks of their operator: the chain bounds it.
fn check_penalties(ctx: &Context<'_>, runtime: &Runtime) -> Result<(), Error> {
    let (terms, params) = (&runtime.staking, staking::params(ctx)?);
    for (what, got, most) in [
        (
            "for a wrong result",
            terms.slash_incorrect_results,
            params.max_runtime_slash_incorrect_results,
        ),
        ("for equivocation", terms.slash_equivocation, params.max_runtime_slash_equivocation),
    ] {
        // SK-18: an owner could set a penalty to take stake of its operators' delegators.
        if got > most {
            return Err(invalid(format!("the penalty {what} is {got}, at most {most} is allowed")));
        }
    }
    Ok(())
}

fn check_code(ctx: &Context<'_>, code: &Code) -> Result<(), Error> {
    let (known, got) = (KNOWN_ABI_VERSION, code.abi_version);
    if got == 0 || got > known {
        return Err(RegistryError::UnknownVersion { known, got }.into());
    }
    let (known, got) = (code.abi_version, code.gas_schedule_version);
    if got != known {
        return Err(RegistryError::UnknownVersion { known, got }.into());
    }
    let most = state::params(ctx)?.max_code_bytes;
    if code.size_bytes == 0 || code.size_bytes > most {
        return Err(invalid(format!("a module has 1 to {most} bytes")));
    }
    Ok(())
}

fn check_rounds(runtime: &Runtime, limits: &roothash::Params) -> Result<(), Error> {
    let (executor, batching, staking) = (&runtime.executor, &runtime.batching, &runtime.staking);
    let rules = [
        (executor.workers >= 1 && executor.workers <= MAX_COMMITTEE, "workers: 1 to 128"),
        (executor.backups <= MAX_COMMITTEE, "backups: at most 128"),
        (executor.allowed_stragglers < executor.workers, "stragglers: fewer than workers"),
        (executor.round_timeout_blocks > discrepancy::GRACE, "round timeout: more than 2 blocks"),
        (executor.round_timeout_blocks <= MAX_TIMEOUT_BLOCKS, "round timeout: at most a million"),
        (
            executor.max_messages <= limits.max_runtime_messages,
            "messages: within the chain's limit",
        ),
        (
            executor.max_in_messages <= limits.max_in_runtime_messages,
            "incoming messages: within the chain's limit",
        ),
        (executor.max_failed_rounds >= 1, "failed rounds: at least 1"),
        (
            executor.liveness.min_live_percent <= 100
                && executor.liveness.max_missed_percent <= 100,
            "liveness: at most 100 percent",
        ),
        (
            (1..=MAX_BATCH_SIZE).contains(&batching.max_batch_size),
            "batch size: 1 to 16384 transactions",
        ),
        (batching.max_batch_bytes >= MIN_BATCH_BYTES, "batch bytes: at least 1024"),
        (batching.max_batch_gas >= 1, "batch gas: at least 1"),
        (runtime.max_tx_gas >= 1, "gas of a transaction: at least 1"),
        (
            runtime.max_tx_gas <= batching.max_batch_gas,
            "gas of a transaction: at most that of a batch",
        ),
        (staking.reward_incorrect_results_percent <= 100, "rewards: at most 100 percent"),
        (staking.reward_equivocation_percent <= 100, "rewards: at most 100 percent"),
    ];
    match rules.iter().find(|(fine, _)| !fine) {
        Some((_, rule)) => Err(invalid(*rule)),
        None => Ok(()),
    }
}

/// The sequence of a runtime's first descriptor.
const FIRST_SEQUENCE: u64 = 1;
const MAX_NAME_BYTES: usize = 64;
const MAX_INIT_ARGUMENT_BYTES: usize = 64 * 1024;
const MAX_COMMITTEE: u32 = 128;
const MAX_TIMEOUT_BLOCKS: u64 = 1_000_000;
const MIN_BATCH_BYTES: u32 = 1024;
