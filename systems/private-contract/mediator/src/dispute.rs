//! Complaints about false wraps, and evidence of two votes.

use paralith_policy::Members;
use paralith_private_contract_core::messages::{
    Accuse, BondRecord, Canonical, Complain, ContractId, Evidence, MAX_CALL_BYTES, MAX_URI_BYTES,
    SlashedEvent, TOPIC_SLASHED, TransactionRecord, WrapsRecord, keys,
};
use paralith_private_contract_core::sealing::{CallOf, ContentKey, RightWrap, gone, right_wrap};
use paralith_private_contract_core::vote::vote_hash;
use paralith_sdk::{Address, Amount, Call, Context, Result};

use crate::error::MediatorError;
use crate::money::share;
use crate::state::{Definitions, args, contract, get, key_set, place, put, signers};
use crate::vote::make_void;

/// `complain` (PC-12): a wrap is not the one that the content key gives. No member can frame an honest sender, whose
/// wraps are exactly those.
pub(crate) fn complain(ctx: &mut Context, call: &Call) -> Result<Vec<u8>> {
    let Complain { contract_id: id, seq, sk, uri, index } = args(call, MAX_URI_BYTES + 256)?;
    let refuse = |reason| Err(MediatorError::Complaint(reason).into());
    let record = contract(ctx, &id)?;
    let (tx, wraps): (Option<TransactionRecord>, Option<WrapsRecord>) =
        (get(ctx, &keys::transaction(&id, seq))?, get(ctx, &keys::wraps(&id, seq))?);
    let (Some(mut tx), Some(wraps)) = (tx, wraps) else {
        return refuse("there is no such transaction, or its deposit has returned");
    };
    let Some(set) = key_set(ctx, &id, tx.keys_version)? else {
        return refuse("its key set is not kept");
    };
    let definition = match Definitions::get(ctx, &id, tx.version)? {
        Some(definition) => definition,
        None => Definitions::need(ctx, &id, record.version)?,
    };
    if !definition.record.definition.members.contains(&ctx.sender()?) {
        return refuse("only members complain");
    }
    if tx.deposit == Amount::ZERO {
        return refuse("no deposit is held");
    }
    let place_of = usize::try_from(index).unwrap_or(usize::MAX);
    let (Some(key), Some(sent)) = (set.keys.get(place_of), wraps.wraps.get(place_of)) else {
        return refuse("there is no such member");
    };
    if gone(&set).contains(index) {
        return refuse("a member that is gone gets no wrap");
    }
    let of = CallOf { place: place(ctx, &id), sender: tx.sender, sender_seq: tx.sender_seq };
    let Some(right) = right_wrap(&of, &tx, &ContentKey::new(sk.0), &uri, index) else {
        return refuse("this is not the content key and URI to which the sender committed");
    };
    let RightWrap { info, parts } = right;
    let made = ctx.hpke_seal(key.kem_id, &key.key, &info, &parts.plaintext, &parts.ikm);
    if made.as_ref() == Some(sent) {
        return refuse("the wrap is the right one");
    }
    let deposit = std::mem::take(&mut tx.deposit);
    put(ctx, &keys::transaction(&id, seq), &tx);
    let to = others(&definition, None)?;
    share(ctx, deposit, &to)?;
    Ok(Vec::new())
}

/// The addresses of the members that are not gone, but this one.
fn others(definition: &Definitions, but: Option<u32>) -> Result<Vec<Address>> {
    let live = definition.live();
    let others = live.iter().filter(|index| Some(*index) != but);
    others.map(|index| Definitions::of(&definition.record.addresses, index)).collect()
}

/// `accuse` (PC-13): two verdicts of one batch. Punishes every signer of both, also of votes that met off the chain,
/// as long as its bond is held.
pub(crate) fn accuse(ctx: &mut Context, call: &Call) -> Result<Vec<u8>> {
    let Accuse { contract_id: id, version, batch, inputs_hash, first, second } =
        args(call, MAX_CALL_BYTES)?;
    let refuse = |reason| Err(MediatorError::Evidence(reason).into());
    contract(ctx, &id)?;
    let Some(definition) = Definitions::get(ctx, &id, version)? else {
        return refuse("the definition is not kept");
    };
    if definition.record.vote_keys.is_empty() {
        return refuse("the definition never was in force");
    }
    if first.verdict == second.verdict {
        return refuse("the verdicts are the same");
    }
    let mut both: Option<Members> = None;
    for Evidence { verdict, signers: set, signature } in [&first, &second] {
        // Members that have left since are punished, too.
        let set = signers(set, definition.count(), &Members::new())?;
        let hash = vote_hash(&place(ctx, &id), version, batch, &inputs_hash, verdict);
        if !ctx.bls_verify(&definition.vote_keys(&set)?, &hash.0, &signature.0) {
            return Err(MediatorError::Aggregate.into());
        }
        both = Some(match both {
            None => set,
            Some(before) => before.iter().filter(|index| set.contains(*index)).collect(),
        });
    }
    let both = both.unwrap_or_default();
    let mut any = false;
    for index in both.iter() {
        any |= slash(ctx, &id, &definition, batch, index)?;
    }
    if !any {
        return refuse("nobody signed both, or those who did lost their bond for it already");
    }
    make_void(ctx, &id, &definition, batch, &both)?;
    Ok(Vec::new())
}

/// Takes a part of a member's bond for a batch, once, and gives it to the others in equal parts. Whether
/// there was something to take. What a member lost for votes under another definition pays for nothing here:
/// it could be less.
pub(crate) fn slash(
    ctx: &mut Context,
    id: &ContractId,
    definition: &Definitions,
    batch: u64,
    index: u32,
) -> Result<bool> {
    let place = usize::try_from(index).unwrap_or(usize::MAX);
    let Some(member) = definition.record.definition.members.get(place) else { return Ok(false) };
    let version = definition.record.definition.version;
    let mark = keys::slashed(id, version, batch, member);
    let key = keys::bond(id, member, Definitions::of(&definition.record.bonds, index)?);
    let Some(mut bond) = get::<BondRecord>(ctx, &key)?.filter(|_| !ctx.contains(&mark)) else {
        return Ok(false);
    };
    ctx.set(&mark, &1_u8);
    let amount = definition.record.definition.terms.slash.min(bond.amount);
    bond.amount = bond.amount.sub(amount)?;
    put(ctx, &key, &bond);
    let to = others(definition, Some(index))?;
    share(ctx, amount, &to)?;
    let event = SlashedEvent { contract_id: *id, batch, member: *member, amount };
    ctx.emit_event(TOPIC_SLASHED, &event.encode());
    Ok(true)
}
