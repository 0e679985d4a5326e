//! `submit` (TX1): takes a transaction, or says in which way it is none.

use paralith_policy::{Certificate, CertificateError};
use paralith_private_contract_core::Height;
use paralith_private_contract_core::messages::{
    Canonical, ContractId, ContractRecord, InitEvent, KEYS_BLOCKS, KeySet, MAX_CALL_BYTES,
    MAX_PENDING, MAX_PENDING_OF_SENDER, MAX_WRAPS_BYTES, SenderRecord, Stored, Submit, TOPIC_INIT,
    TransactionRecord, TransactionStatus, WrapsRecord, keys,
};
use paralith_private_contract_core::sealing::wraps_fit;
use paralith_private_contract_core::signed::signed_bytes;
use paralith_sdk::abi::MAX_VALUE_BYTES;
use paralith_sdk::{Amount, Call, Context, Result};

use crate::batch::want;
use crate::error::MediatorError;
use crate::money::{from_pot, take};
use crate::state::{Definitions, args, corrupt, get, key_set, next, put, put_contract, running};
use crate::{Hooks, settings};

/// The limit of the state, less what a record holds besides.
const _: () = assert!(MAX_WRAPS_BYTES + 4096 < MAX_VALUE_BYTES);

/// `submit` (PC-6). A refused one uses up no `sender_seq`.
pub(crate) fn submit<H: Hooks>(ctx: &mut Context, call: &Call) -> Result<Vec<u8>> {
    let submit: Submit = args(call, MAX_CALL_BYTES)?;
    let id = submit.contract_id;
    let mut record = running(ctx, &id)?;
    let set = usable_key_set(ctx, &id, &record, submit.keys_version)?;
    let definition = Definitions::need(ctx, &id, set.version)?;
    check_certificate(ctx, &id, &definition, &submit.certificate)?;
    let sender_key = keys::sender(&id, &ctx.sender()?);
    let mut sender: SenderRecord =
        get(ctx, &sender_key)?.unwrap_or(SenderRecord { next: 0, pending: 0 });
    let got = submit.sender_seq;
    if got < sender.next {
        return Err(MediatorError::SeqUsed { got, next: sender.next }.into());
    }
    if got > sender.next {
        return Err(MediatorError::SeqGap { got, next: sender.next }.into());
    }
    let bytes = submit.wraps.iter().fold(0_usize, |sum, wrap| sum.saturating_add(wrap.len()));
    if !wraps_fit(&set, &submit.wraps) || bytes > MAX_WRAPS_BYTES {
        return Err(MediatorError::Wraps.into());
    }
    check_receipts(ctx, &id, &definition, &submit)?;
    let terms = &definition.record.definition.terms;
    if submit.content_bytes == 0 || submit.content_bytes > terms.max_content_bytes {
        return Err(MediatorError::ContentSize { limit: terms.max_content_bytes }.into());
    }
    let pending = record.next_seq.checked_sub(record.head).ok_or_else(corrupt)?;
    if pending >= MAX_PENDING || sender.pending >= MAX_PENDING_OF_SENDER {
        return Err(MediatorError::QueueFull.into());
    }
    let reward = charge(ctx, &submit, call.args.len(), terms.deposit)?;
    let deposit = terms.deposit;
    let seq = record.next_seq;
    let event = InitEvent { contract_id: id, seq, content_hash: submit.content_hash };
    H::before_init(ctx, &event)?;
    sender.next = next(sender.next)?;
    sender.pending = sender.pending.checked_add(1).ok_or_else(corrupt)?;
    put(ctx, &sender_key, &sender);
    keep(ctx, &submit, seq, set, deposit, reward)?;
    record.next_seq = next(seq)?;
    want(ctx, &id, &mut record)?;
    put_contract(ctx, &id, &record);
    ctx.emit_event(TOPIC_INIT, &event.encode());
    Ok(seq.to_be_bytes().to_vec())
}

/// The newest key set, or within one definition the one before for 100 blocks.
fn usable_key_set(
    ctx: &Context,
    id: &ContractId,
    record: &ContractRecord,
    version: u64,
) -> Result<KeySet> {
    let newest = record.keys_version;
    let refuse = |reason| Err(MediatorError::KeysVersion { newest, reason }.into());
    if version != newest {
        let is_before = version != 0 && version == record.previous_keys_version;
        if !is_before {
            return refuse("seal to its keys");
        }
        if ctx.consensus_height() >= record.keys_height.saturating_add(KEYS_BLOCKS) {
            return refuse("the one before is too old");
        }
    }
    key_set(ctx, id, version)?.ok_or_else(corrupt)
}

fn check_certificate(
    ctx: &Context,
    id: &ContractId,
    definition: &Definitions,
    certificate: &Certificate,
) -> Result<()> {
    if !definition.record.definition.issuers.contains(&certificate.issuer) {
        return Err(MediatorError::Issuer.into());
    }
    let now = Height(ctx.consensus_height());
    match certificate.check(&id.0, &ctx.sender()?, now) {
        Ok(()) => {}
        Err(CertificateError::Scope) => return Err(MediatorError::Scope.into()),
        Err(CertificateError::Subject { .. }) => return Err(MediatorError::Subject.into()),
        Err(CertificateError::NotYetValid { .. } | CertificateError::Expired { .. }) => {
            return Err(MediatorError::Window.into());
        }
        Err(_) => return Err(MediatorError::Signature.into()),
    }
    if ctx.contains(&keys::revocation(id, &certificate.issuer, certificate.serial)) {
        return Err(MediatorError::Revoked.into());
    }
    let verify =
        |key: &_, message: &[u8], signature: &_| ctx.ed25519_verify(key, signature, message);
    let signed = certificate.check_signature(&ctx.chain_context(), verify);
    signed.map_err(|_| MediatorError::Signature.into())
}

fn check_receipts(
    ctx: &Context,
    id: &ContractId,
    definition: &Definitions,
    submit: &Submit,
) -> Result<()> {
    let wanted = definition.record.definition.terms.min_receipts;
    if submit.receipts.len() < usize::try_from(wanted).map_err(|_| corrupt())? {
        return Err(MediatorError::Receipts { wanted }.into());
    }
    let mut before = None;
    for receipt in &submit.receipts {
        let members = &definition.record.definition.members;
        let place = usize::try_from(receipt.index).unwrap_or(usize::MAX);
        let live = !definition.gone.contains(receipt.index);
        let member = members.get(place).filter(|_| live && before < Some(receipt.index));
        let Some(member) = member.filter(|_| ctx.consensus_height() <= receipt.until) else {
            return Err(MediatorError::Receipt.into());
        };
        before = Some(receipt.index);
        let stored = Stored {
            contract_id: *id,
            content_hash: submit.content_hash,
            sender: ctx.sender()?,
            sender_seq: submit.sender_seq,
            until: receipt.until,
        };
        let message = signed_bytes(&ctx.chain_context(), &stored);
        if !ctx.ed25519_verify(member, &receipt.signature, &message) {
            return Err(MediatorError::Receipt.into());
        }
    }
    Ok(())
}

/// Takes deposit and payment, and of the fee, which is in the pot, the half that the deciding vote earns.
fn charge(ctx: &mut Context, submit: &Submit, bytes: usize, deposit: Amount) -> Result<Amount> {
    let settings = settings(ctx)?;
    let count = |number: usize| Amount(u128::try_from(number).unwrap_or(u128::MAX));
    let times = |fee: Amount, number: usize| fee.mul_div(count(number), Amount(1));
    let wraps = times(settings.wrap_fee, submit.wraps.len())?;
    let least = settings.base_fee.add(wraps)?.add(times(settings.byte_fee, bytes)?)?;
    if ctx.fee()? < least {
        return Err(MediatorError::Money("the fee for these wraps and bytes").into());
    }
    let from = ctx.sender_address()?;
    take(ctx, &from, deposit, "the deposit")?;
    take(ctx, &from, submit.payment, "the payment")?;
    let reward = Amount(ctx.fee()?.0 >> 1);
    from_pot(ctx, reward)?;
    Ok(reward)
}

/// Writes what is kept of a transaction.
fn keep(
    ctx: &mut Context,
    submit: &Submit,
    seq: u64,
    mut set: KeySet,
    deposit: Amount,
    reward: Amount,
) -> Result<()> {
    let id = &submit.contract_id;
    let record = TransactionRecord {
        tx_hash: ctx.tx_hash()?,
        sender: ctx.sender()?,
        sender_address: ctx.sender_address()?,
        sender_seq: submit.sender_seq,
        content_hash: submit.content_hash,
        content_bytes: submit.content_bytes,
        key_commitment: submit.key_commitment,
        keys_version: submit.keys_version,
        version: set.version,
        height: ctx.consensus_height(),
        status: TransactionStatus::Pending,
        payment: submit.payment,
        deposit,
        reward,
        batch: 0,
    };
    put(ctx, &keys::transaction(id, seq), &record);
    put(ctx, &keys::wraps(id, seq), &WrapsRecord { wraps: submit.wraps.clone() });
    set.held = next(set.held)?;
    put(ctx, &keys::key_set(id, submit.keys_version), &set);
    Ok(())
}
