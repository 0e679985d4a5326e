//! Runtimes whose changes organisations approve.
//!
//! ```text
//! RegisterRuntime   stores a proposal: one for each proposer, the owner or an organisation
//! ApproveRuntime    stores an approval: one for each organisation, the newest
//! satisfied         sequence 1 takes effect at once, later ones in the next epoch
//! ```
//!
//! * The policy in force decides; of a runtime that is not registered yet, the proposed one. Only its
//!   owner proposes that, since its stake is claimed, and the id is reserved meanwhile.
//! * A change that waits for its epoch is cancelled when an approval that it needs is withdrawn, or
//!   goes to another descriptor; it is replaced when another descriptor is approved.
//! * An approval is of a descriptor that is proposed or waits for its epoch. When it is neither any
//!   more the approval is gone, so that nobody proposes an old descriptor again and counts it.
//! * Proposals, approvals and votes lapse after [`DECISION_EPOCHS`], except of the change that waits.
//! * A change that takes effect clears all proposals and approvals: they were for its sequence.
//!
//! Storage is bounded: 33 proposals a runtime, one if it is not registered, and that one claims stake.

use paralith_consensus_api::Error;
use paralith_consensus_api::registry::{
    Approval, ApproveRuntime, Approved, DECISION_EPOCHS, Decisions, Error as RegistryError,
    MAX_ORGANISATIONS, MAX_REVOCATION_VOTES, Proposed, RevocationVote, Runtime, RuntimeApproved,
    RuntimeProposed, RuntimeRegistered,
};
use paralith_consensus_api::roothash;
use paralith_policy::{Members, Policy};
use paralith_types::{Epoch, Hash, PublicKey, RuntimeId};

use super::{account_of, invalid, require_entity, runtime, runtime_claim, state};
use crate::context::Context;
use crate::query::damaged;
use crate::staking;

/// Whether an approval can be satisfied, and by all of those that it names only together.
pub(super) fn check_approval(ctx: &Context<'_>, approval: &Approval) -> Result<(), Error> {
    let organisations = &approval.organisations;
    if organisations.is_empty() || organisations.len() > MAX_ORGANISATIONS {
        return Err(invalid(format!("an approval names 1 to {MAX_ORGANISATIONS} organisations")));
    }
    if !organisations.is_sorted_by(|a, b| a < b) {
        return Err(invalid("an approval's organisations must be sorted, each once"));
    }
    Policy::decode(&approval.policy)
        .and_then(|policy| policy.check(organisations.len()))
        .map_err(|e| invalid(format!("the approval's policy: {e}")))?;
    organisations.iter().try_for_each(|id| require_entity(ctx, id).map(|_| ()))
}

/// Whether these organisations together satisfy an approval that was checked.
fn satisfied(approval: &Approval, yes: impl Fn(&PublicKey) -> bool) -> Result<bool, Error> {
    let policy = Policy::decode(&approval.policy)
        .map_err(|e| damaged(b"registry/runtime", &format!("a stored policy: {e}")))?;
    let organisations = approval.organisations.iter().zip(0..);
    let members: Members = organisations.filter(|(id, _)| yes(id)).map(|(_, at)| at).collect();
    Ok(policy.satisfied(&members))
}

/// Whether the descriptor has enough approvals.
fn is_approved(decisions: &Decisions, approval: &Approval, hash: &Hash) -> Result<bool, Error> {
    let yes = |organisation: &PublicKey| {
        let mut approvals = decisions.approvals.iter();
        approvals.any(|one| one.organisation == *organisation && one.descriptor == *hash)
    };
    satisfied(approval, yes)
}

fn not_an_organisation(key: &PublicKey, runtime: &RuntimeId) -> Error {
    let (key, runtime) = (key.to_string(), runtime.to_string());
    RegistryError::NotAnOrganisation { key, runtime }.into()
}

/// Refuses an id that somebody else has proposed.
pub(super) fn require_free(
    ctx: &Context<'_>,
    id: &RuntimeId,
    signer: &PublicKey,
) -> Result<(), Error> {
    let decisions = state::decisions(ctx, id)?;
    match decisions.proposals.iter().find(|one| one.proposer != *signer) {
        Some(other) => {
            let (owner, runtime) = (other.proposer.to_string(), id.to_string());
            Err(RegistryError::IdInUse { owner, runtime }.into())
        }
        None => Ok(()),
    }
}

/// Proposes the first descriptor of a runtime that has an approval. The signer is its owner.
pub(super) fn propose_first(
    ctx: &mut Context<'_>,
    proposed: &Runtime,
    limits: &roothash::Params,
) -> Result<(), Error> {
    runtime::check_first(ctx, proposed, limits)?;
    runtime::claim(ctx, proposed)?;
    propose(ctx, proposed)
}

/// Proposes a change of a runtime that has an approval. The descriptor in force takes the signer's
/// proposal back.
pub(super) fn propose_change(
    ctx: &mut Context<'_>,
    known: &Runtime,
    approval: &Approval,
    proposed: &Runtime,
    limits: &roothash::Params,
) -> Result<(), Error> {
    let signer = ctx.signer()?.key;
    if signer != known.entity_id && approval.organisations.binary_search(&signer).is_err() {
        return Err(not_an_organisation(&signer, &known.id));
    }
    if proposed == known {
        let mut decisions = state::decisions(ctx, &known.id)?;
        decisions.proposals.retain(|one| one.proposer != signer);
        return settle(ctx, decisions);
    }
    runtime::check_change(ctx, known, proposed, limits)?;
    propose(ctx, proposed)
}

/// Stores a descriptor as the signer's proposal, in place of an earlier one.
fn propose(ctx: &mut Context<'_>, proposed: &Runtime) -> Result<(), Error> {
    let (proposer, epoch) = (ctx.signer()?.key, ctx.epoch()?);
    let descriptor = proposed.descriptor_hash();
    let mut decisions = state::decisions(ctx, &proposed.id)?;
    decisions.proposals.retain(|one| one.proposer != proposer);
    let at = decisions.proposals.partition_point(|one| one.proposer < proposer);
    decisions.proposals.insert(at, Proposed { proposer, descriptor, epoch });
    state::set_proposal(ctx, &descriptor, proposed);
    settle(ctx, decisions)?;
    let (runtime_id, sequence) = (proposed.id, proposed.sequence);
    ctx.emit(RuntimeProposed { runtime_id, sequence, descriptor, proposer });
    Ok(())
}

/// Approves a descriptor for the signer, or withdraws its approval. Gives a runtime that is new.
pub(super) fn approve(
    ctx: &mut Context<'_>,
    body: &ApproveRuntime,
) -> Result<Option<Runtime>, Error> {
    let id = &body.runtime_id;
    let known = state::runtime(ctx, id)?;
    let mut decisions = state::decisions(ctx, id)?;
    let approval = match &known {
        Some(known) => known.approval.clone(),
        None => first_proposal(ctx, &decisions)?.approval,
    };
    let no_approval = || invalid(format!("nobody but its owner decides on runtime {id}"));
    let approval = approval.ok_or_else(no_approval)?;
    let expected = known.as_ref().map_or(0, |known| known.sequence).saturating_add(1);
    if body.sequence != expected {
        let got = body.sequence;
        return Err(RegistryError::WrongSequence { expected, got }.into());
    }
    let organisation = ctx.signer()?.key;
    if approval.organisations.binary_search(&organisation).is_err() {
        return Err(not_an_organisation(&organisation, id));
    }
    decisions.approvals.retain(|one| one.organisation != organisation);
    let descriptor = body.descriptor;
    if descriptor != Hash::ZERO {
        require_proposed(ctx, &decisions, &descriptor)?;
        let at = decisions.approvals.partition_point(|one| one.organisation < organisation);
        let epoch = ctx.epoch()?;
        decisions.approvals.insert(at, Approved { organisation, descriptor, epoch });
    }
    ctx.emit(RuntimeApproved {
        runtime_id: *id,
        sequence: body.sequence,
        descriptor,
        organisation,
    });
    let approved = descriptor != Hash::ZERO && is_approved(&decisions, &approval, &descriptor)?;
    match known {
        None if approved => begin(ctx, decisions).map(Some),
        None => settle(ctx, decisions).map(|()| None),
        Some(known) => {
            reschedule(ctx, &known, &approval, &decisions, approved.then_some(&descriptor))?;
            settle(ctx, decisions).map(|()| None)
        }
    }
}

/// The proposal of a runtime that is not registered.
fn first_proposal(ctx: &Context<'_>, decisions: &Decisions) -> Result<Runtime, Error> {
    let id = &decisions.runtime_id;
    let missing = || RegistryError::NoSuchRuntime { runtime: id.to_string() };
    let first = decisions.proposals.first().ok_or_else(missing)?;
    state::proposal(ctx, id, &first.descriptor)
}

fn require_proposed(
    ctx: &Context<'_>,
    decisions: &Decisions,
    descriptor: &Hash,
) -> Result<(), Error> {
    let id = &decisions.runtime_id;
    let proposed = decisions.proposals.iter().any(|one| one.descriptor == *descriptor);
    if proposed || scheduled(ctx, id)? == Some(*descriptor) {
        return Ok(());
    }
    let (runtime, descriptor) = (id.to_string(), descriptor.to_string());
    Err(RegistryError::NoSuchProposal { runtime, descriptor }.into())
}

/// The hash of the change that waits for its epoch.
fn scheduled(ctx: &Context<'_>, id: &RuntimeId) -> Result<Option<Hash>, Error> {
    Ok(state::runtime_change(ctx, id)?.map(|change| change.runtime.descriptor_hash()))
}

/// A first descriptor takes effect at once.
fn begin(ctx: &mut Context<'_>, mut decisions: Decisions) -> Result<Runtime, Error> {
    let runtime = first_proposal(ctx, &decisions)?;
    state::set_runtime(ctx, &runtime);
    decisions.proposals.clear();
    settle(ctx, decisions)?;
    ctx.emit(RuntimeRegistered { runtime_id: runtime.id });
    Ok(runtime)
}

/// Schedules a descriptor that is approved now; cancels the scheduled one if it is so no more.
fn reschedule(
    ctx: &mut Context<'_>,
    known: &Runtime,
    approval: &Approval,
    decisions: &Decisions,
    approved: Option<&Hash>,
) -> Result<(), Error> {
    let waiting = scheduled(ctx, &known.id)?;
    match approved {
        Some(hash) if waiting == Some(*hash) => Ok(()),
        Some(hash) => {
            let change = state::proposal(ctx, &known.id, hash)?;
            runtime::schedule(ctx, known, &change)?;
            ctx.emit(RuntimeRegistered { runtime_id: known.id });
            Ok(())
        }
        None => {
            if let Some(hash) = waiting
                && !is_approved(decisions, approval, &hash)?
            {
                state::remove_runtime_change(ctx, &known.id);
            }
            Ok(())
        }
    }
}

/// Notes that an organisation wants an enclave revoked. Whether enough do.
pub(super) fn vote_revocation(
    ctx: &mut Context<'_>,
    runtime: &Runtime,
    rak: &PublicKey,
    signer: &PublicKey,
) -> Result<bool, Error> {
    let Some(approval) = &runtime.approval else { return Ok(false) };
    if approval.organisations.binary_search(signer).is_err() {
        return Err(not_an_organisation(signer, &runtime.id));
    }
    let epoch = ctx.epoch()?;
    let mut decisions = state::decisions(ctx, &runtime.id)?;
    let votes = &mut decisions.revocations;
    votes.retain(|vote| (vote.rak, vote.organisation) != (*rak, *signer));
    let own = || votes.iter().enumerate().filter(|(_, vote)| vote.organisation == *signer);
    if own().count() >= MAX_REVOCATION_VOTES
        && let Some((oldest, _)) = own().min_by_key(|(_, vote)| vote.epoch)
    {
        votes.remove(oldest);
    }
    let place = (*rak, *signer);
    let at = votes.partition_point(|vote| (vote.rak, vote.organisation) < place);
    votes.insert(at, RevocationVote { rak: *rak, organisation: *signer, epoch });
    let yes = |organisation: &PublicKey| {
        let mut votes = decisions.revocations.iter();
        votes.any(|vote| vote.rak == *rak && vote.organisation == *organisation)
    };
    let decided = satisfied(approval, yes)?;
    settle(ctx, decisions)?;
    Ok(decided)
}

/// An enclave is revoked: nobody needs to ask for it any more.
pub(super) fn forget_revocation(
    ctx: &mut Context<'_>,
    id: &RuntimeId,
    rak: &PublicKey,
) -> Result<(), Error> {
    let mut decisions = state::decisions(ctx, id)?;
    decisions.revocations.retain(|vote| vote.rak != *rak);
    settle(ctx, decisions)
}

/// A descriptor has taken effect: what was proposed and approved was for its sequence.
pub(super) fn on_changed(ctx: &mut Context<'_>, runtime: &Runtime) -> Result<(), Error> {
    let mut decisions = state::decisions(ctx, &runtime.id)?;
    decisions.proposals.clear();
    let organisations = runtime.approval.as_ref().map(|approval| &approval.organisations);
    let decides = |key: &PublicKey| organisations.is_some_and(|all| all.binary_search(key).is_ok());
    decisions.revocations.retain(|vote| decides(&vote.organisation));
    settle(ctx, decisions)
}

/// Removes what has lapsed in the epoch that begins.
pub(super) fn lapse(ctx: &mut Context<'_>, epoch: Epoch) -> Result<(), Error> {
    for mut decisions in state::all_decisions(ctx)? {
        let before = decisions.clone();
        let waiting = scheduled(ctx, &decisions.runtime_id)?;
        let lapsed = |since: &Epoch| since.plus(DECISION_EPOCHS) <= epoch;
        let waits = |descriptor: &Hash| waiting == Some(*descriptor);
        decisions.proposals.retain(|one| waits(&one.descriptor) || !lapsed(&one.epoch));
        decisions.approvals.retain(|one| waits(&one.descriptor) || !lapsed(&one.epoch));
        decisions.revocations.retain(|vote| !lapsed(&vote.epoch));
        if decisions != before {
            settle(ctx, decisions)?;
        }
    }
    Ok(())
}

/// Stores decisions: without approvals of descriptors that are neither proposed nor scheduled, and
/// without descriptors that nobody proposes.
fn settle(ctx: &mut Context<'_>, mut decisions: Decisions) -> Result<(), Error> {
    let id = decisions.runtime_id;
    let before = state::decisions(ctx, &id)?;
    let Decisions { proposals, approvals, .. } = &mut decisions;
    let waiting = scheduled(ctx, &id)?;
    let proposed = |hash: &Hash| proposals.iter().any(|one| one.descriptor == *hash);
    approvals.retain(|one| proposed(&one.descriptor) || waiting == Some(one.descriptor));
    for old in &before.proposals {
        if !proposed(&old.descriptor) {
            state::remove_proposal(ctx, &id, &old.descriptor);
        }
    }
    // An owner's stake is not claimed for what has lapsed before it took effect.
    if proposals.is_empty() && state::runtime(ctx, &id)?.is_none() {
        for owner in &before.proposals {
            let account = account_of(&owner.proposer);
            staking::remove_claim(ctx, &account, &runtime_claim(&id))?;
        }
    }
    state::set_decisions(ctx, &decisions);
    Ok(())
}
