//! What falls due: deadlines of batches, and chores that give back money and forget records.

use std::collections::BTreeMap;

use paralith_private_contract_core::messages::{
    BatchKind, BondRecord, ContractId, ContractStatus, TransactionStatus, keys,
};
use paralith_sdk::{Context, PublicKey, Result, Timers, Value};

use crate::Hooks;
use crate::batch::{WORK_A_ROUND, weight};
use crate::contract::return_bond;
use crate::fini::{End, Payment, end_transaction, fail_batch};
use crate::keysets::release;
use crate::money::give;
use crate::state::{
    Definitions, account_keys, contract, corrupt, get, next, open_batch, put, put_contract,
    transaction,
};

/// Deadlines: contract, then the batch.
pub(crate) const DEADLINES: Timers<Deadline> = Timers::new("deadlines");
/// Everything else. Another queue, so that no chore delays a deadline.
pub(crate) const CHORES: Timers<Chore> = Timers::new("chores");

/// PC-15: the limit of the specification, which bounds what `end_block` does. Deadlines come first, and take
/// nothing from chores: else somebody whose batches expire all the time would keep everybody's money.
const CHORES_A_ROUND: usize = 32;
/// What all chores of a round handle: transactions, deposits, members.
const UNITS_A_ROUND: u64 = 512;
/// What a key set counts as, which may be as long as a record can be.
const UNITS_OF_KEY_SET: u64 = 64;
/// Key sets that one chore writes at most.
const KEY_SETS_A_CHORE: usize = 4;
/// What one chore handles at most.
const STEP: u64 = 64;

/// A batch's deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Deadline {
    pub(crate) id: ContractId,
    pub(crate) batch: u64,
}

/// What is done later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chore {
    /// Senders' deposits return, and the wraps go.
    Return { id: ContractId, first: u64, last: u64 },
    /// Transactions are forgotten.
    Forget { id: ContractId, first: u64, last: u64 },
    /// The roots of a batch after which another one ended YES are forgotten.
    Roots { id: ContractId, batch: u64 },
    /// A bond returns.
    Bond { id: ContractId, member: PublicKey, version: u64 },
    /// A definition is forgotten.
    Definition { id: ContractId, version: u64 },
    /// What a closed contract held goes back.
    Closing { id: ContractId, cursor: u64 },
}

impl Value for Deadline {
    fn to_bytes(&self) -> Vec<u8> {
        [self.id.as_bytes(), &self.batch.to_be_bytes()].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (id, batch) = bytes.split_first_chunk::<32>()?;
        Some(Self { id: ContractId(*id), batch: u64::from_bytes(batch)? })
    }
}

impl Value for Chore {
    fn to_bytes(&self) -> Vec<u8> {
        let two = |kind: u8, id: &ContractId, a: u64, b: u64| {
            [&[kind][..], id.as_bytes(), &a.to_be_bytes(), &b.to_be_bytes()].concat()
        };
        match self {
            Self::Return { id, first, last } => two(1, id, *first, *last),
            Self::Forget { id, first, last } => two(2, id, *first, *last),
            Self::Roots { id, batch } => two(3, id, *batch, 0),
            Self::Bond { id, member, version } => {
                [two(4, id, *version, 0), member.0.to_vec()].concat()
            }
            Self::Definition { id, version } => two(5, id, *version, 0),
            Self::Closing { id, cursor } => two(6, id, *cursor, 0),
        }
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        let (id, rest) = rest.split_first_chunk::<32>()?;
        let (a, rest) = rest.split_first_chunk::<8>()?;
        let (b, rest) = rest.split_first_chunk::<8>()?;
        let (id, a, b) = (ContractId(*id), u64::from_be_bytes(*a), u64::from_be_bytes(*b));
        let chore = match kind {
            1 => Self::Return { id, first: a, last: b },
            2 => Self::Forget { id, first: a, last: b },
            3 => Self::Roots { id, batch: a },
            4 => Self::Bond { id, member: PublicKey::try_from(rest).ok()?, version: a },
            5 => Self::Definition { id, version: a },
            6 => Self::Closing { id, cursor: a },
            _ => return None,
        };
        Some(chore)
    }
}

/// Everything that this round has reached, up to the limits; the next round takes what is left.
pub(crate) fn take_due<H: Hooks>(ctx: &mut Context) -> Result<()> {
    // One at a time: what is left asks for the next round, whatever stopped this one.
    let mut work = 0_u64;
    loop {
        let max = usize::from(work < WORK_A_ROUND);
        let Some(timer) = DEADLINES.take_due(ctx, max)?.pop() else { break };
        work = work.saturating_add(expire::<H>(ctx, &timer.item)?);
    }
    let mut room = CHORES_A_ROUND;
    let mut units = 0_u64;
    loop {
        let max = usize::from(room > 0 && units < UNITS_A_ROUND);
        let Some(timer) = CHORES.take_due(ctx, max)?.pop() else { return Ok(()) };
        room = room.saturating_sub(1);
        units = units.saturating_add(chore::<H>(ctx, timer.height, timer.item)?);
    }
}

/// Ends a batch whose deadline has come; gives the weight of it.
fn expire<H: Hooks>(ctx: &mut Context, deadline: &Deadline) -> Result<u64> {
    let Deadline { id, batch } = *deadline;
    let mut record = contract(ctx, &id)?;
    if record.open_batch != batch {
        return Ok(1);
    }
    let open = open_batch(ctx, &id)?;
    fail_batch::<H>(ctx, &id, &mut record, &open, TransactionStatus::Expired)?;
    put_contract(ctx, &id, &record);
    if open.batch.kind != BatchKind::Migrate {
        return Ok(1);
    }
    let members = Definitions::need(ctx, &id, open.batch.version)?.count();
    Ok(weight(u64::try_from(members).map_err(|_| corrupt())?))
}

/// Does a chore; gives how much it handled.
fn chore<H: Hooks>(ctx: &mut Context, height: u64, chore: Chore) -> Result<u64> {
    match chore {
        Chore::Return { id, first, last } => {
            let (rest, units) = return_deposits(ctx, &id, first, last)?;
            if rest <= last {
                // At the same height, so still before the chore that forgets these transactions.
                CHORES.add(ctx, height, &Chore::Return { id, first: rest, last })?;
            }
            Ok(units)
        }
        Chore::Forget { id, first, last } => {
            (first..=last).for_each(|seq| ctx.remove(&keys::transaction(&id, seq)));
            Ok(span(first, last))
        }
        Chore::Roots { id, batch } => {
            ctx.remove(&keys::final_batch(&id, batch));
            Ok(1)
        }
        Chore::Bond { id, member, version } => {
            give_bond(ctx, &id, &member, version)?;
            Ok(1)
        }
        Chore::Definition { id, version } => {
            ctx.remove(&keys::definition(&id, version));
            Ok(1)
        }
        Chore::Closing { id, cursor } => {
            closing::<H>(ctx, &id, cursor)?;
            Ok(STEP)
        }
    }
}

const fn span(first: u64, last: u64) -> u64 {
    last.saturating_sub(first).saturating_add(1)
}

/// Returns deposits; gives the first that is left, and how much it handled. A key set is large: it is written
/// once for all deposits under it, and those under more key sets are left.
fn return_deposits(
    ctx: &mut Context,
    id: &ContractId,
    first: u64,
    last: u64,
) -> Result<(u64, u64)> {
    let record = contract(ctx, id)?;
    let mut sets: BTreeMap<u64, u64> = BTreeMap::new();
    let mut rest = first;
    while rest <= last {
        let seq = rest;
        let mut tx = transaction(ctx, id, seq)?;
        if sets.len() == KEY_SETS_A_CHORE && !sets.contains_key(&tx.keys_version) {
            break;
        }
        rest = next(rest)?;
        let deposit = std::mem::take(&mut tx.deposit);
        give(ctx, &tx.sender_address, deposit)?;
        ctx.remove(&keys::wraps(id, seq));
        let count = sets.entry(tx.keys_version).or_default();
        *count = count.saturating_add(1);
        put(ctx, &keys::transaction(id, seq), &tx);
    }
    let mut units = rest.saturating_sub(first);
    for (version, count) in sets {
        release(ctx, id, &record, version, count)?;
        units = units.saturating_add(UNITS_OF_KEY_SET);
    }
    Ok((rest, units))
}

fn give_bond(ctx: &mut Context, id: &ContractId, member: &PublicKey, version: u64) -> Result<()> {
    let key = keys::bond(id, member, version);
    let Some(bond) = get::<BondRecord>(ctx, &key)? else { return Ok(()) };
    let to = account_keys(ctx, member)?.ok_or_else(corrupt)?.address;
    give(ctx, &to, bond.amount)?;
    ctx.remove(&key);
    Ok(())
}

/// Gives back what a closed contract holds, some of it in each round: transactions, deposits, bonds.
fn closing<H: Hooks>(ctx: &mut Context, id: &ContractId, cursor: u64) -> Result<()> {
    let mut record = contract(ctx, id)?;
    if record.status != ContractStatus::Closed {
        return Ok(());
    }
    let definition = Definitions::need(ctx, id, record.version)?;
    let retained = definition.retained(ctx);
    let first = record.head;
    let end = record.next_seq.min(first.saturating_add(STEP));
    for seq in first..end {
        let end = End { status: TransactionStatus::Expired, batch: 0, reward: None };
        end_transaction::<H>(ctx, id, &mut record, seq, end, Payment::Back)?;
        record.head = next(seq)?;
    }
    if first < end {
        let last = end.saturating_sub(1);
        CHORES.add(ctx, ctx.consensus_height(), &Chore::Return { id: *id, first, last })?;
        CHORES.add(ctx, retained, &Chore::Forget { id: *id, first, last })?;
    }
    let deposits = record.next_deposit.min(record.first_deposit.saturating_add(STEP));
    for number in record.first_deposit..deposits {
        crate::fini::return_deposit(ctx, id, number)?;
    }
    record.first_deposit = deposits;
    let more = record.head < record.next_seq || record.first_deposit < record.next_deposit;
    let mut cursor = cursor;
    if !more {
        let (done, total) = return_bonds(ctx, id, record.version, record.last_version, cursor)?;
        cursor = done;
        if cursor >= total {
            put_contract(ctx, id, &record);
            return Ok(());
        }
    }
    put_contract(ctx, id, &record);
    let soon = ctx.consensus_height().saturating_add(1);
    CHORES.add(ctx, soon, &Chore::Closing { id: *id, cursor })?;
    Ok(())
}

/// Sets the end of the bonds of the members from a place on in the definitions, one after the other.
fn return_bonds(
    ctx: &mut Context,
    id: &ContractId,
    version: u64,
    last_version: u64,
    cursor: u64,
) -> Result<(u64, u64)> {
    let mut members = Vec::new();
    let mut retained = 0;
    for version in if version == last_version { vec![version] } else { vec![version, last_version] }
    {
        // A change that was dropped has left no definition.
        let Some(definition) = Definitions::get(ctx, id, version)? else { continue };
        retained = retained.max(definition.retained(ctx));
        let all = definition.record.definition.members.iter().zip(&definition.record.bonds);
        members.extend(all.map(|(member, bond)| (*member, *bond)));
    }
    let total = u64::try_from(members.len()).map_err(|_| corrupt())?;
    let start = usize::try_from(cursor).map_err(|_| corrupt())?;
    let step = usize::try_from(STEP).map_err(|_| corrupt())?;
    for (member, bond) in members.into_iter().skip(start).take(step) {
        return_bond(ctx, id, &member, bond, retained)?;
    }
    Ok((cursor.saturating_add(STEP), total))
}

/// The newest definition's terms, for what is due after its end.
pub(crate) fn fetch_blocks(ctx: &Context, id: &ContractId) -> Result<(u64, u64)> {
    let record = contract(ctx, id)?;
    let definition = match Definitions::get(ctx, id, record.version)? {
        Some(definition) => definition,
        None => Definitions::need(ctx, id, record.newest_version())?,
    };
    let terms = &definition.record.definition.terms;
    Ok((u64::from(terms.fetch_blocks), u64::from(terms.retention_blocks)))
}
