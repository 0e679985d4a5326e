//! `vote` (TX3): counts votes for each verdict.

use paralith_policy::Members;
use paralith_private_contract_core::messages::{
    ContractId, MAX_CALL_BYTES, OpenBatch, Tally, TransactionStatus, Verdict, Vote, keys,
};
use paralith_private_contract_core::vote::{
    actions_allowed, actions_hash, inputs_hash, paid, vote_hash,
};
use paralith_private_contract_core::{Class, Classes};
use paralith_sdk::{Amount, Call, Context, Hash, Result};

use crate::Hooks;
use crate::dispute::slash;
use crate::error::MediatorError;
use crate::fini::{Decision, fail_batch, finish, spendable};
use crate::state::{
    Definitions, args, corrupt, open_batch, place, put, put_contract, running, signers, transaction,
};

/// `vote`, by a member's account.
pub(crate) fn vote<H: Hooks>(ctx: &mut Context, call: &Call) -> Result<Vec<u8>> {
    let vote: Vote = args(call, MAX_CALL_BYTES)?;
    let id = vote.contract_id;
    let mut record = running(ctx, &id)?;
    if vote.batch == 0 || vote.batch >= record.next_batch {
        return Err(MediatorError::NoBatch.into());
    }
    if vote.batch != record.open_batch {
        return Err(MediatorError::Decided.into());
    }
    let mut open = open_batch(ctx, &id)?;
    let definition = Definitions::need(ctx, &id, open.batch.version)?;
    let gone = bitmap(&open.gone, &definition)?;
    let set = signers(&vote.signers, definition.count(), &gone)?;
    // A member that left during the batch may still vote in it, and send votes.
    let account = ctx.sender()?;
    if !definition.record.definition.members.contains(&account) {
        return Err(MediatorError::Signers("only members send votes").into());
    }
    let classes = check_verdict(ctx, &id, &open, &vote)?;
    let hash = verdict_hash(ctx, &id, &open, &definition, &vote.verdict)?;
    let keys_of_signers = definition.vote_keys(&set)?;
    if !ctx.bls_verify(&keys_of_signers, &hash.0, &vote.signature.0) {
        return Err(MediatorError::Aggregate.into());
    }
    count(ctx, &id, &definition, &mut open, &vote.verdict, &set)?;
    let void = bitmap(&open.void, &definition)?;
    let tallies = tallies(&open, &definition)?;
    let policy = &definition.record.definition.policy;
    let yes = tallies.iter().find(|(verdict, _)| *verdict == vote.verdict).map(|(_, set)| set);
    if yes.is_some_and(|yes| policy.satisfied(yes)) {
        let others = tallies.iter().filter(|(verdict, _)| *verdict != vote.verdict);
        let dissenters: Members =
            others.flat_map(|(_, set)| set.iter()).chain(void.iter()).collect();
        let decision = Decision {
            verdict: &vote.verdict,
            classes: &classes,
            actions: &vote.actions,
            by: ctx.sender_address()?,
            dissenters: &dissenters,
        };
        finish::<H>(ctx, &id, &mut record, &open, &decision)?;
        put_contract(ctx, &id, &record);
    } else if is_possible(&definition, &tallies, &gone, &void) {
        put(ctx, &keys::open_batch(&id), &open);
    } else {
        fail_batch::<H>(ctx, &id, &mut record, &open, TransactionStatus::No)?;
        put_contract(ctx, &id, &record);
    }
    Ok(Vec::new())
}

/// Whether any verdict can still satisfy the policy, with the votes of all that have not voted.
fn is_possible(
    definition: &Definitions,
    tallies: &[(Verdict, Members)],
    gone: &Members,
    void: &Members,
) -> bool {
    let all = Members::first(u32::try_from(definition.count()).unwrap_or(0));
    let voted: Members = tallies.iter().flat_map(|(_, set)| set.iter()).collect();
    let decided =
        |index: u32| gone.contains(index) || void.contains(index) || voted.contains(index);
    let undecided: Members = all.iter().filter(|index| !decided(*index)).collect();
    let policy = &definition.record.definition.policy;
    let possible = |set: &Members| {
        let most: Members = set.iter().chain(undecided.iter()).collect();
        policy.still_possible(&most)
    };
    possible(&Members::new()) || tallies.iter().any(|(_, set)| possible(set))
}

pub(crate) fn bitmap(bytes: &[u8], definition: &Definitions) -> Result<Members> {
    Members::from_bytes(bytes, definition.count()).map_err(|_| corrupt())
}

/// The verdicts with their signers.
fn tallies(open: &OpenBatch, definition: &Definitions) -> Result<Vec<(Verdict, Members)>> {
    let one = |tally: &Tally| Ok((tally.verdict.clone(), bitmap(&tally.signers, definition)?));
    open.tallies.iter().map(one).collect()
}

/// What the signers of a verdict of the open batch sign. The mediator computes the inputs itself, so a vote on
/// another root or other inputs cannot be valid.
pub(crate) fn verdict_hash(
    ctx: &Context,
    id: &ContractId,
    open: &OpenBatch,
    definition: &Definitions,
    verdict: &Verdict,
) -> Result<Hash> {
    let inputs = inputs(ctx, id, open)?;
    let version = definition.record.definition.version;
    Ok(vote_hash(&place(ctx, id), version, open.batch.number, &inputs, verdict))
}

pub(crate) fn inputs(ctx: &Context, id: &ContractId, open: &OpenBatch) -> Result<Hash> {
    use paralith_private_contract_core::messages::BatchKind;
    let parts: Vec<Hash> = match open.batch.kind {
        BatchKind::Transactions | BatchKind::Probe => {
            let hash = |seq| Ok(transaction(ctx, id, seq)?.tx_hash);
            open.batch.seqs().map(hash).collect::<Result<_>>()?
        }
        BatchKind::Migrate => {
            let next = crate::state::contract(ctx, id)?.newest_version();
            vec![Definitions::need(ctx, id, next)?.record.hash]
        }
    };
    Ok(inputs_hash(&open.batch, &parts))
}

/// PC-9: whether a verdict can be one of this batch, with these actions.
fn check_verdict(ctx: &Context, id: &ContractId, open: &OpenBatch, vote: &Vote) -> Result<Classes> {
    let Vote { verdict, actions, .. } = vote;
    let refuse = |reason| Err(MediatorError::Verdict(reason).into());
    let count = usize::try_from(open.batch.classes()).map_err(|_| corrupt())?;
    let Some(classes) = Classes::from_bytes(&verdict.classes, count) else {
        return refuse("its classes are not those of the batch's transactions");
    };
    if actions_hash(actions) != verdict.actions_hash || !actions_allowed(actions) {
        return Err(MediatorError::Actions.into());
    }
    if !verdict.taken {
        // `begin_block` failed: nothing ran, and nothing was written.
        let ran = classes.0.contains(&Class::Executed);
        if ran || !actions.actions.is_empty() || verdict.new_root != open.batch.old_root {
            return refuse("nothing happens in a batch whose begin_block fails");
        }
        return Ok(classes);
    }
    let paid = paid(actions).filter(|paid| *paid != Amount::ZERO);
    let covered = match paid {
        None => !actions.actions.iter().any(is_pay),
        Some(paid) => paid <= spendable(ctx, id, open, &classes)?,
    };
    if covered { Ok(classes) } else { refuse("its payments exceed the contract's balance") }
}

const fn is_pay(action: &paralith_private_contract_core::messages::Action) -> bool {
    matches!(action, paralith_private_contract_core::messages::Action::Pay(_))
}

/// PC-8: counts the signers of a verdict. One that signed another verdict of the batch before is void in both, and
/// is slashed.
fn count(
    ctx: &mut Context,
    id: &ContractId,
    definition: &Definitions,
    open: &mut OpenBatch,
    verdict: &Verdict,
    set: &Members,
) -> Result<()> {
    let mut void = bitmap(&open.void, definition)?;
    let mut tallies = tallies(open, definition)?;
    let other = |index: u32| {
        tallies.iter().any(|(known, signers)| known != verdict && signers.contains(index))
    };
    let twice: Members = set.iter().filter(|index| other(*index)).collect();
    void.extend(twice.iter());
    let fresh: Members = set.iter().filter(|index| !void.contains(*index)).collect();
    let at = tallies.iter().position(|(known, _)| known == verdict);
    let known = at.and_then(|at| tallies.get(at)).map(|(_, signers)| signers);
    let nothing_new = known.map_or(fresh.is_empty(), |known| fresh.is_subset(known));
    if nothing_new && twice.is_empty() {
        return Err(MediatorError::Signers("all of them are counted, or void").into());
    }
    match at.and_then(|at| tallies.get_mut(at)) {
        Some((_, signers)) => signers.extend(fresh.iter()),
        None => tallies.push((verdict.clone(), fresh)),
    }
    set_tallies(open, tallies, &void);
    for index in twice.iter() {
        slash(ctx, id, definition, open.batch.number, index)?;
    }
    Ok(())
}

/// Takes void members out of every tally, and tallies without signers out of the list.
fn set_tallies(open: &mut OpenBatch, tallies: Vec<(Verdict, Members)>, void: &Members) {
    let without = |(verdict, signers): (Verdict, Members)| {
        let signers: Members = signers.iter().filter(|index| !void.contains(*index)).collect();
        (!signers.is_empty()).then(|| Tally { verdict, signers: signers.to_bytes() })
    };
    open.tallies = tallies.into_iter().filter_map(without).collect();
    open.void = void.to_bytes();
}

/// Makes members void in the open batch, if it is this one, of this definition: evidence came from elsewhere.
pub(crate) fn make_void(
    ctx: &mut Context,
    id: &ContractId,
    definition: &Definitions,
    batch: u64,
    members: &Members,
) -> Result<()> {
    let record = crate::state::contract(ctx, id)?;
    if record.open_batch != batch || batch == 0 {
        return Ok(());
    }
    let mut open = open_batch(ctx, id)?;
    if open.batch.version != definition.record.definition.version {
        // Their places in that definition are other members' places in this one.
        return Ok(());
    }
    let mut void = bitmap(&open.void, definition)?;
    void.extend(members.iter());
    let tallies = tallies(&open, definition)?;
    set_tallies(&mut open, tallies, &void);
    put(ctx, &keys::open_batch(id), &open);
    Ok(())
}
