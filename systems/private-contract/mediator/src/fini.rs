//! The end of transactions and batches.

use paralith_policy::Members;
use paralith_private_contract_core::messages::{
    Action, Actions, BatchEvent, BatchKind, Canonical, ContractId, ContractRecord, DepositRecord,
    FinalBatch, FiniEvent, OpenBatch, SenderRecord, TOPIC_ENDED, TOPIC_FINI, TOPIC_PREFIX,
    TransactionStatus, Verdict, keys,
};
use paralith_private_contract_core::{Class, Classes};
use paralith_sdk::{Address, Amount, Context, Result};

use crate::Hooks;
use crate::batch::want;
use crate::change::{drop_change, enforce};
use crate::due::{CHORES, Chore, DEADLINES};
use crate::money::{give, to_pot};
use crate::state::{Definitions, corrupt, need, next, put, transaction};

/// Where a transaction's payment goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Payment {
    /// To its sender.
    Back,
    /// Into the contract's balance.
    Contract,
}

/// How a transaction ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End {
    pub(crate) status: TransactionStatus,
    pub(crate) batch: u64,
    /// Who gets half of its fee; nobody: it goes into the pot.
    pub(crate) reward: Option<Address>,
}

/// Ends a transaction. Its deposit stays until a chore returns it: a complaint may come.
pub(crate) fn end_transaction<H: Hooks>(
    ctx: &mut Context,
    id: &ContractId,
    record: &mut ContractRecord,
    seq: u64,
    end: End,
    payment: Payment,
) -> Result<()> {
    let mut tx = transaction(ctx, id, seq)?;
    if tx.status != TransactionStatus::Pending {
        return Err(corrupt());
    }
    (tx.status, tx.batch) = (end.status, end.batch);
    let amount = std::mem::take(&mut tx.payment);
    match payment {
        Payment::Back => give(ctx, &tx.sender_address, amount)?,
        Payment::Contract => record.balance = record.balance.add(amount)?,
    }
    let reward = std::mem::take(&mut tx.reward);
    match end.reward {
        Some(to) => give(ctx, &to, reward)?,
        None => to_pot(ctx, reward)?,
    }
    let key = keys::sender(id, &tx.sender);
    let mut sender: SenderRecord = need(ctx, &key)?;
    sender.pending = sender.pending.checked_sub(1).ok_or_else(corrupt)?;
    put(ctx, &key, &sender);
    put(ctx, &keys::transaction(id, seq), &tx);
    let event = FiniEvent {
        contract_id: *id,
        seq,
        content_hash: tx.content_hash,
        status: end.status,
        root: record.last_root,
    };
    ctx.emit_event(TOPIC_FINI, &event.encode());
    H::after_fini(ctx, &event);
    Ok(())
}

/// Sets the timers of transactions that have ended: deposits return, then the records go.
pub(crate) fn schedule(ctx: &mut Context, id: &ContractId, first: u64, last: u64) -> Result<()> {
    let (fetch, retention) = crate::due::fetch_blocks(ctx, id)?;
    let now = ctx.consensus_height();
    CHORES.add(ctx, now.saturating_add(fetch), &Chore::Return { id: *id, first, last })?;
    CHORES.add(ctx, now.saturating_add(retention), &Chore::Forget { id: *id, first, last })?;
    Ok(())
}

/// A deposit goes back.
pub(crate) fn return_deposit(ctx: &mut Context, id: &ContractId, number: u64) -> Result<()> {
    let deposit = take_deposit(ctx, id, number)?;
    give(ctx, &deposit.caller, deposit.amount)
}

fn take_deposit(ctx: &mut Context, id: &ContractId, number: u64) -> Result<DepositRecord> {
    let key = keys::deposit(id, number);
    let deposit = need(ctx, &key)?;
    ctx.remove(&key);
    Ok(deposit)
}

fn ended(ctx: &mut Context, event: &BatchEvent) {
    ctx.emit_event(TOPIC_ENDED, &event.encode());
}

/// Ends a batch with NO or EXPIRED: the root stays, deposits stay for the next one, and transactions of a
/// batch of more than one are tried again, one at a time.
pub(crate) fn fail_batch<H: Hooks>(
    ctx: &mut Context,
    id: &ContractId,
    record: &mut ContractRecord,
    open: &OpenBatch,
    status: TransactionStatus,
) -> Result<()> {
    let batch = &open.batch;
    DEADLINES.cancel(ctx, open.timer)?;
    ctx.remove(&keys::open_batch(id));
    record.open_batch = 0;
    if record.failed_height == 0 {
        record.failed_height = ctx.consensus_height();
    }
    ended(
        ctx,
        &BatchEvent {
            contract_id: *id,
            batch: batch.number,
            status,
            root: record.last_root,
            dissenters: Vec::new(),
        },
    );
    match batch.kind {
        BatchKind::Transactions if batch.len() == 1 => {
            let seq = batch.first_seq;
            let end = End { status, batch: batch.number, reward: None };
            end_transaction::<H>(ctx, id, record, seq, end, Payment::Back)?;
            record.head = next(seq)?;
            schedule(ctx, id, seq, seq)?;
        }
        BatchKind::Transactions => record.alone_until = batch.last_seq,
        BatchKind::Probe => record.probe = false,
        BatchKind::Migrate => drop_change(ctx, id, record)?,
    }
    want(ctx, id, record)
}

/// What decided a batch.
pub(crate) struct Decision<'a> {
    pub(crate) verdict: &'a Verdict,
    pub(crate) classes: &'a Classes,
    pub(crate) actions: &'a Actions,
    /// Who sent the deciding vote.
    pub(crate) by: Address,
    pub(crate) dissenters: &'a Members,
}

/// PC-10: ends a batch with YES, in one step: root and statuses, deposits and payments, actions, fees, events.
pub(crate) fn finish<H: Hooks>(
    ctx: &mut Context,
    id: &ContractId,
    record: &mut ContractRecord,
    open: &OpenBatch,
    decision: &Decision<'_>,
) -> Result<()> {
    let (batch, verdict) = (&open.batch, decision.verdict);
    DEADLINES.cancel(ctx, open.timer)?;
    ctx.remove(&keys::open_batch(id));
    record.open_batch = 0;
    record.failed_height = 0;
    let before = std::mem::replace(&mut record.last_batch, batch.number);
    record.last_root = verdict.new_root;
    let ended_batch = FinalBatch {
        root: verdict.new_root,
        results_root: verdict.results_root,
        first_seq: batch.first_seq,
        last_seq: batch.last_seq,
        version: batch.version,
    };
    put(ctx, &keys::final_batch(id, batch.number), &ended_batch);
    // The last root stays as long as it is the last; the one before is kept for a while.
    let definition = Definitions::need(ctx, id, batch.version)?;
    CHORES.add(ctx, definition.retained(ctx), &Chore::Roots { id: *id, batch: before })?;
    take_deposits(ctx, id, record, open, verdict.taken)?;
    for (seq, class) in batch.seqs().zip(&decision.classes.0) {
        let end = End { status: class.status(), batch: batch.number, reward: Some(decision.by) };
        let taken = verdict.taken && class.ran();
        let payment = if taken { Payment::Contract } else { Payment::Back };
        end_transaction::<H>(ctx, id, record, seq, end, payment)?;
        record.head = next(seq)?;
    }
    act(ctx, id, record, decision.actions)?;
    if !batch.is_empty() {
        schedule(ctx, id, batch.first_seq, batch.last_seq)?;
    }
    ended(
        ctx,
        &BatchEvent {
            contract_id: *id,
            batch: batch.number,
            status: TransactionStatus::Yes,
            root: record.last_root,
            dissenters: decision.dissenters.to_bytes(),
        },
    );
    match batch.kind {
        BatchKind::Probe => record.probe = false,
        BatchKind::Migrate if decision.classes.0 == [Class::Executed] => {
            enforce(ctx, id, record)?;
        }
        BatchKind::Migrate => drop_change(ctx, id, record)?,
        BatchKind::Transactions => {}
    }
    want(ctx, id, record)
}

fn take_deposits(
    ctx: &mut Context,
    id: &ContractId,
    record: &mut ContractRecord,
    open: &OpenBatch,
    taken: bool,
) -> Result<()> {
    for number in open.batch.deposits() {
        if taken {
            let deposit = take_deposit(ctx, id, number)?;
            record.balance = record.balance.add(deposit.amount)?;
        } else {
            return_deposit(ctx, id, number)?;
        }
        record.first_deposit = next(number)?;
    }
    Ok(())
}

/// Executes a batch's actions. Its verdict was checked: the balance covers what it pays.
fn act(
    ctx: &mut Context,
    id: &ContractId,
    record: &mut ContractRecord,
    actions: &Actions,
) -> Result<()> {
    for action in &actions.actions {
        match action {
            Action::Pay(pay) => {
                record.balance = record.balance.sub(pay.amount).map_err(|_| corrupt())?;
                give(ctx, &pay.to, pay.amount)?;
            }
            Action::Emit(emit) => {
                let topic = format!("{TOPIC_PREFIX}{}/{}", id.to_hex(), emit.topic);
                ctx.emit_event(&topic, &emit.data);
            }
        }
    }
    Ok(())
}

/// The balance after deposits and the payments of these transactions, which actions may spend.
pub(crate) fn spendable(
    ctx: &Context,
    id: &ContractId,
    open: &OpenBatch,
    classes: &Classes,
) -> Result<Amount> {
    let mut balance = open.batch.balance;
    for (seq, class) in open.batch.seqs().zip(&classes.0) {
        if class.ran() {
            balance = balance.add(transaction(ctx, id, seq)?.payment)?;
        }
    }
    Ok(balance)
}
