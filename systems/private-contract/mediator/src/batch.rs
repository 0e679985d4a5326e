//! Batches are opened by rule, so all members vote on the same one.

use paralith_private_contract_core::messages::{
    Batch, BatchEvent, BatchKind, Canonical, ContractId, ContractRecord, ContractStatus,
    DepositRecord, MAX_BATCH_DEPOSITS, OpenBatch, TOPIC_OPENED, TransactionStatus, keys,
};
use paralith_sdk::{Context, Result};

use crate::Hooks;
use crate::change::enforce;
use crate::due::{DEADLINES, Deadline};
use crate::fini::{End, Payment, end_transaction, schedule};
use crate::state::{Definitions, contract, corrupt, need, next, put, put_contract};

/// Work on contracts in a round, see [`weight`]; the next round serves the rest. Deadlines have the same limit,
/// so that batches end as fast as they open.
pub(crate) const WORK_A_ROUND: u64 = 64;
/// Transactions of a dropped definition that expire in one go.
const DROPPED_A_ROUND: u64 = 16;

/// The ring: the first number in it and the next one.
fn ring(ctx: &Context) -> Result<(u64, u64)> {
    let Some(bytes) = ctx.get::<[u8; 16]>(&keys::ring())? else { return Ok((0, 0)) };
    let both = u128::from_be_bytes(bytes);
    let (first, next) = (both >> 64, both & u128::from(u64::MAX));
    let read = |number: u128| u64::try_from(number).map_err(|_| corrupt());
    Ok((read(first)?, read(next)?))
}

fn set_ring(ctx: &mut Context, first: u64, next: u64) {
    let mut bytes = [0; 16];
    let both = first.to_be_bytes().into_iter().chain(next.to_be_bytes());
    bytes.iter_mut().zip(both).for_each(|(to, from)| *to = from);
    ctx.set(&keys::ring(), &bytes);
}

/// Puts a contract into the ring if there is something to do for it. The caller writes the record.
pub(crate) fn want(ctx: &mut Context, id: &ContractId, record: &mut ContractRecord) -> Result<()> {
    let runs = matches!(record.status, ContractStatus::Active | ContractStatus::Changing);
    let changes = record.status == ContractStatus::Changing && record.head >= record.boundary;
    let has_work = record.head < record.next_seq || record.probe || changes;
    if !runs || record.waiting || record.open_batch != 0 || !has_work {
        return Ok(());
    }
    let (first, number) = ring(ctx)?;
    ctx.set(&keys::ring_entry(number), &id.0);
    set_ring(ctx, first, next(number)?);
    record.waiting = true;
    Ok(())
}

/// Serves the contracts that wait, those first that waited longest.
pub(crate) fn serve_ring<H: Hooks>(ctx: &mut Context) -> Result<()> {
    let (first, end) = ring(ctx)?;
    let (mut until, mut work) = (first, 0_u64);
    while until < end && work < WORK_A_ROUND {
        let key = keys::ring_entry(until);
        until = next(until)?;
        let id = ContractId(ctx.get(&key)?.ok_or_else(corrupt)?);
        ctx.remove(&key);
        let mut record = contract(ctx, &id)?;
        record.waiting = false;
        work = work.saturating_add(serve::<H>(ctx, &id, &mut record)?);
        put_contract(ctx, &id, &record);
    }
    let (_, end) = ring(ctx)?;
    if until != first {
        set_ring(ctx, until, end);
    }
    if until < end {
        ctx.wake_at(ctx.consensus_height().saturating_add(1));
    }
    Ok(())
}

/// What a contract takes of [`WORK_A_ROUND`]: 1, and more for what touches so many members or their keys.
pub(crate) const fn weight(members: u64) -> u64 {
    (members >> 3).saturating_add(1)
}

/// Does what there is to do for a contract; gives its weight.
fn serve<H: Hooks>(ctx: &mut Context, id: &ContractId, record: &mut ContractRecord) -> Result<u64> {
    let runs = matches!(record.status, ContractStatus::Active | ContractStatus::Changing);
    if !runs || record.open_batch != 0 {
        return Ok(1);
    }
    if record.head < record.dropped_before {
        expire_dropped::<H>(ctx, id, record)?;
        want(ctx, id, record)?;
        return Ok(weight(DROPPED_A_ROUND));
    }
    let mut members = 0;
    if record.status == ContractStatus::Changing && record.head >= record.boundary {
        if record.migrates {
            // As heavy as its end may be, which makes a key set.
            let members = Definitions::need(ctx, id, record.version)?.count();
            open(ctx, id, record, BatchKind::Migrate, 0)?;
            return Ok(weight(u64::try_from(members).map_err(|_| corrupt())?));
        }
        members = enforce(ctx, id, record)?;
    }
    let changing = record.status == ContractStatus::Changing;
    let end = if changing { record.boundary } else { record.next_seq };
    let pending = end.saturating_sub(record.head);
    if pending > 0 {
        open(ctx, id, record, BatchKind::Transactions, pending)?;
    } else if record.probe {
        open(ctx, id, record, BatchKind::Probe, 0)?;
    }
    Ok(weight(members))
}

/// Transactions that were sealed to a definition that never came into force end, and run under no other.
fn expire_dropped<H: Hooks>(
    ctx: &mut Context,
    id: &ContractId,
    record: &mut ContractRecord,
) -> Result<()> {
    let first = record.head;
    let end = record.dropped_before.min(first.saturating_add(DROPPED_A_ROUND));
    for seq in first..end {
        let end = End { status: TransactionStatus::Expired, batch: 0, reward: None };
        end_transaction::<H>(ctx, id, record, seq, end, Payment::Back)?;
        record.head = next(seq)?;
    }
    schedule(ctx, id, first, end.saturating_sub(1))
}

/// PC-7: opens a batch with the first of so many pending transactions.
fn open(
    ctx: &mut Context,
    id: &ContractId,
    record: &mut ContractRecord,
    kind: BatchKind,
    pending: u64,
) -> Result<()> {
    let definition = Definitions::need(ctx, id, record.version)?;
    let terms = &definition.record.definition.terms;
    let alone = record.head <= record.alone_until;
    let most = if alone { 1 } else { u64::from(terms.max_batch) };
    let (first_seq, last_seq) = span(record.head, pending.min(most));
    let waiting = record.next_deposit.saturating_sub(record.first_deposit);
    let (first_deposit, last_deposit) = span(record.first_deposit, waiting.min(MAX_BATCH_DEPOSITS));
    let now = ctx.consensus_height();
    let mut batch = Batch {
        number: record.next_batch,
        version: record.version,
        first_seq,
        last_seq,
        open_height: now,
        epoch: ctx.epoch(),
        old_root: record.last_root,
        balance: record.balance,
        first_deposit,
        last_deposit,
        kind,
    };
    for number in batch.deposits() {
        let deposit: DepositRecord = need(ctx, &keys::deposit(id, number))?;
        batch.balance = batch.balance.add(deposit.amount)?;
    }
    record.open_batch = batch.number;
    record.next_batch = next(batch.number)?;
    let deadline = now
        .saturating_add(u64::from(terms.fetch_blocks))
        .saturating_add(u64::from(terms.vote_blocks));
    let timer = DEADLINES.add(ctx, deadline, &Deadline { id: *id, batch: batch.number })?;
    let event = BatchEvent {
        contract_id: *id,
        batch: batch.number,
        status: TransactionStatus::Open,
        root: batch.old_root,
        dissenters: Vec::new(),
    };
    ctx.emit_event(TOPIC_OPENED, &event.encode());
    let (tallies, void, gone) = (Vec::new(), Vec::new(), definition.gone.to_bytes());
    let record = OpenBatch { batch, deadline, timer, gone, tallies, void };
    put(ctx, &keys::open_batch(id), &record);
    Ok(())
}

/// The first and the last of so many; none are 0 and 0.
const fn span(first: u64, count: u64) -> (u64, u64) {
    if count == 0 { (0, 0) } else { (first, first.saturating_add(count.saturating_sub(1))) }
}
