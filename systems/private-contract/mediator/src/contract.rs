//! A contract's life: created, joined, left, funded, closed.

use paralith_private_contract_core::ids::{close_hash, contract_id, definition_hash};
use paralith_private_contract_core::messages::{
    BondRecord, Close, ContractId, ContractRecord, ContractStatus, Create, DefinitionRecord,
    DepositRecord, FinalBatch, Fund, Join, JoinRecord, MAX_CALL_BYTES, MAX_DEPOSITS, OfContract,
    keys,
};
use paralith_private_contract_core::terms;
use paralith_sdk::{Amount, Call, Context, Hash, Result};

use crate::batch::want;
use crate::due::{CHORES, Chore};
use crate::error::MediatorError;
use crate::keysets::{carry, rotate};
use crate::money::{give, take};
use crate::state::{
    Definitions, account_keys, announce, args, contract, corrupt, get, next, place, put,
    put_contract, running, signers,
};

/// `create` (TX0).
pub(crate) fn create(ctx: &mut Context, call: &Call) -> Result<Vec<u8>> {
    let Create { definition, genesis_root } = args(call, MAX_CALL_BYTES)?;
    if let Some(fault) = terms::fault(&definition) {
        return Err(MediatorError::Policy(fault).into());
    }
    if definition.version != 1 {
        return Err(MediatorError::Version { expected: 1 }.into());
    }
    let owner = ctx.sender()?;
    let id = contract_id(&ctx.chain_context(), &ctx.runtime_id(), &owner, ctx.nonce()?);
    let record = ContractRecord {
        status: ContractStatus::Proposed,
        owner,
        version: 1,
        last_version: 1,
        keys_version: 0,
        previous_keys_version: 0,
        keys_height: 0,
        last_batch: 0,
        last_root: genesis_root,
        next_batch: 1,
        open_batch: 0,
        head: 1,
        next_seq: 1,
        alone_until: 0,
        boundary: 0,
        migrates: false,
        dropped_before: 0,
        balance: Amount::ZERO,
        first_deposit: 1,
        next_deposit: 1,
        waiting: false,
        probe: false,
        failed_height: 0,
        joined: 0,
        residual: definition.terms.residual,
    };
    let genesis = FinalBatch {
        root: genesis_root,
        results_root: Hash::ZERO,
        first_seq: 0,
        last_seq: 0,
        version: 1,
    };
    put(ctx, &keys::final_batch(&id, 0), &genesis);
    let hash = definition_hash(&definition);
    let (vote_keys, addresses) = (Vec::new(), Vec::new());
    let (bonds, gone) = (Vec::new(), Vec::new());
    let definition = DefinitionRecord { definition, hash, vote_keys, addresses, bonds, gone };
    put(ctx, &keys::definition(&id, 1), &definition);
    announce(ctx, &id, &record);
    put_contract(ctx, &id, &record);
    Ok(id.0.to_vec())
}

/// `join`: locks the bond. The caller's own tree has this root, so that code which differs between members
/// is found before any secret is sent.
pub(crate) fn join(ctx: &mut Context, call: &Call) -> Result<Vec<u8>> {
    let join: Join = args(call, 256)?;
    let id = join.contract_id;
    let record = contract(ctx, &id)?;
    if !matches!(record.status, ContractStatus::Proposed) {
        running(ctx, &id)?;
    }
    let account = ctx.sender()?;
    if account_keys(ctx, &account)?.is_none() {
        return Err(MediatorError::Keys("set keys before you join").into());
    }
    let at: Option<FinalBatch> = get(ctx, &keys::final_batch(&id, join.batch))?;
    if at.is_none_or(|at| at.root != join.root) {
        return Err(MediatorError::Joined("the batch has another root, or it is not kept").into());
    }
    match record.status {
        ContractStatus::Proposed => join_proposed(ctx, &join, record)?,
        _ => join_later(ctx, &join)?,
    }
    Ok(Vec::new())
}

fn join_proposed(ctx: &mut Context, join: &Join, mut record: ContractRecord) -> Result<()> {
    let id = join.contract_id;
    let mut definition = Definitions::need(ctx, &id, 1)?;
    let account = ctx.sender()?;
    let refuse = |reason| Err(MediatorError::Joined(reason).into());
    if definition.record.hash != join.definition {
        return refuse("the contract has another definition");
    }
    if definition.live_index(&account).is_none() {
        return refuse("the definition does not list you");
    }
    let bond = definition.record.definition.terms.bond;
    if join.bond != bond {
        return refuse("the definition has another bond");
    }
    let key = keys::bond(&id, &account, 1);
    if ctx.contains(&key) {
        return refuse("you have joined already");
    }
    let from = ctx.sender_address()?;
    take(ctx, &from, bond, "the bond")?;
    put(ctx, &key, &BondRecord { amount: bond, returns: 0 });
    record.joined = record.joined.checked_add(1).ok_or_else(corrupt)?;
    if usize::try_from(record.joined) == Ok(definition.count()) {
        record.status = ContractStatus::Active;
        let bonds = vec![1; definition.count()];
        enrol(ctx, &mut definition, bonds)?;
        definition.put(ctx, &id);
        rotate(ctx, &id, &mut record, &definition)?;
        announce(ctx, &id, &record);
    }
    put_contract(ctx, &id, &record);
    Ok(())
}

/// Fixes the members' vote keys and addresses for as long as the definition lasts.
pub(crate) fn enrol(ctx: &Context, definition: &mut Definitions, bonds: Vec<u64>) -> Result<()> {
    let record = &mut definition.record;
    for member in &record.definition.members {
        let keys = account_keys(ctx, member)?.ok_or(MediatorError::Joins)?;
        record.vote_keys.push(keys.vote_key);
        record.addresses.push(keys.address);
    }
    record.bonds = bonds;
    Ok(())
}

/// A definition that is not accepted yet: only its hash is known.
fn join_later(ctx: &mut Context, join: &Join) -> Result<()> {
    let (account, address) = (ctx.sender()?, ctx.sender_address()?);
    let key = keys::join(&join.contract_id, &account);
    if let Some(before) = get::<JoinRecord>(ctx, &key)? {
        give(ctx, &address, before.bond)?;
    }
    take(ctx, &address, join.bond, "the bond")?;
    let record = JoinRecord { definition: join.definition, batch: join.batch, bond: join.bond };
    put(ctx, &key, &record);
    Ok(())
}

/// `leave`: the end of a join that no definition has taken, or of a membership.
pub(crate) fn leave(ctx: &mut Context, call: &Call) -> Result<Vec<u8>> {
    let OfContract { contract_id: id } = args(call, 64)?;
    let record = contract(ctx, &id)?;
    let (account, address) = (ctx.sender()?, ctx.sender_address()?);
    let join_key = keys::join(&id, &account);
    if let Some(join) = get::<JoinRecord>(ctx, &join_key)? {
        give(ctx, &address, join.bond)?;
        ctx.remove(&join_key);
        return Ok(Vec::new());
    }
    match record.status {
        ContractStatus::Proposed | ContractStatus::Cancelled => {
            leave_proposed(ctx, &id, record)?;
        }
        ContractStatus::Active | ContractStatus::Changing => leave_running(ctx, &id, record)?,
        ContractStatus::Closed => {
            return Err(MediatorError::NotActive("bonds return by themselves").into());
        }
    }
    Ok(Vec::new())
}

fn leave_proposed(ctx: &mut Context, id: &ContractId, mut record: ContractRecord) -> Result<()> {
    let key = keys::bond(id, &ctx.sender()?, 1);
    let bond: Option<BondRecord> = get(ctx, &key)?;
    let bond = bond.ok_or(MediatorError::Signers("you have not joined"))?;
    let to = ctx.sender_address()?;
    give(ctx, &to, bond.amount)?;
    ctx.remove(&key);
    record.joined = record.joined.checked_sub(1).ok_or_else(corrupt)?;
    put_contract(ctx, id, &record);
    Ok(())
}

fn leave_running(ctx: &mut Context, id: &ContractId, mut record: ContractRecord) -> Result<()> {
    let account = ctx.sender()?;
    let mut versions = vec![record.version];
    if record.newest_version() != record.version {
        versions.push(record.newest_version());
    }
    let (mut left, mut last) = (false, None);
    for version in versions {
        let mut definition = Definitions::need(ctx, id, version)?;
        if let Some(index) = definition.live_index(&account) {
            left = true;
            definition.gone.insert(index);
            definition.put(ctx, id);
            let locked_with = Definitions::of(&definition.record.bonds, index)?;
            let returns = definition.retained(ctx);
            return_bond(ctx, id, &account, locked_with, returns)?;
        }
        last = Some(definition);
    }
    let definition = last.ok_or_else(corrupt)?;
    if !left {
        return Err(MediatorError::Signers("you are no member").into());
    }
    carry(ctx, id, &mut record, &definition)?;
    announce(ctx, id, &record);
    put_contract(ctx, id, &record);
    Ok(())
}

/// A bond returns at this height, unless an earlier one was set: until then accusations reach it.
pub(crate) fn return_bond(
    ctx: &mut Context,
    id: &ContractId,
    member: &paralith_sdk::PublicKey,
    version: u64,
    returns: u64,
) -> Result<()> {
    let key = keys::bond(id, member, version);
    let Some(mut bond) = get::<BondRecord>(ctx, &key)? else { return Ok(()) };
    if bond.returns != 0 {
        return Ok(());
    }
    bond.returns = returns;
    put(ctx, &key, &bond);
    let chore = Chore::Bond { id: *id, member: *member, version };
    CHORES.add(ctx, returns, &chore)?;
    Ok(())
}

/// `cancel`: by the owner, before all have joined.
pub(crate) fn cancel(ctx: &mut Context, call: &Call) -> Result<Vec<u8>> {
    let OfContract { contract_id: id } = args(call, 64)?;
    let mut record = contract(ctx, &id)?;
    if record.status != ContractStatus::Proposed {
        return Err(MediatorError::NotActive("only a proposed contract is cancelled").into());
    }
    if record.owner != ctx.sender()? {
        return Err(MediatorError::Signers("only the owner cancels").into());
    }
    record.status = ContractStatus::Cancelled;
    announce(ctx, &id, &record);
    put_contract(ctx, &id, &record);
    Ok(Vec::new())
}

/// `fund`: a deposit, which the next batch takes.
pub(crate) fn fund(ctx: &mut Context, call: &Call) -> Result<Vec<u8>> {
    let Fund { contract_id: id, tag, amount } = args(call, 128)?;
    let mut record = running(ctx, &id)?;
    let waiting = record.next_deposit.checked_sub(record.first_deposit).ok_or_else(corrupt)?;
    if waiting >= MAX_DEPOSITS {
        return Err(MediatorError::QueueFull.into());
    }
    if amount == Amount::ZERO {
        return Err(MediatorError::Money("a deposit of nothing").into());
    }
    let caller = ctx.sender_address()?;
    take(ctx, &caller, amount, "the deposit")?;
    let number = record.next_deposit;
    record.next_deposit = next(number)?;
    put(ctx, &keys::deposit(&id, number), &DepositRecord { caller, tag, amount });
    put_contract(ctx, &id, &record);
    Ok(number.to_be_bytes().to_vec())
}

/// `probe`: an empty batch, which a living quorum ends with YES.
pub(crate) fn probe(ctx: &mut Context, call: &Call) -> Result<Vec<u8>> {
    let OfContract { contract_id: id } = args(call, 64)?;
    let mut record = running(ctx, &id)?;
    record.probe = true;
    want(ctx, &id, &mut record)?;
    put_contract(ctx, &id, &record);
    Ok(Vec::new())
}

/// `close` (PC-16): by the members with an empty queue, or by anybody if the contract is dormant.
pub(crate) fn close(ctx: &mut Context, call: &Call) -> Result<Vec<u8>> {
    let Close { contract_id: id, signers: set, signature } = args(call, 256)?;
    let mut record = running(ctx, &id)?;
    let definition = Definitions::need(ctx, &id, record.version)?;
    let allowed = if set.is_empty() && signature.is_none() {
        is_dormant(ctx, &record, &definition)
    } else {
        let signature = signature.ok_or(MediatorError::Aggregate)?;
        let signers = signers(&set, definition.count(), &definition.gone)?;
        if !definition.record.definition.policy.satisfied(&signers) {
            return Err(MediatorError::Policy("the signers do not satisfy the policy").into());
        }
        let message = close_hash(&place(ctx, &id), record.version, record.next_batch);
        let keys = definition.vote_keys(&signers)?;
        if !ctx.bls_verify(&keys, &message.0, &signature.0) {
            return Err(MediatorError::Aggregate.into());
        }
        let idle = record.open_batch == 0 && record.head == record.next_seq;
        idle && record.status == ContractStatus::Active
    };
    if !allowed {
        return Err(MediatorError::NotDormant.into());
    }
    if record.open_batch != 0 {
        let open = crate::state::open_batch(ctx, &id)?;
        crate::due::DEADLINES.cancel(ctx, open.timer)?;
        ctx.remove(&keys::open_batch(&id));
        record.open_batch = 0;
    }
    record.status = ContractStatus::Closed;
    record.probe = false;
    let balance = std::mem::take(&mut record.balance);
    let residual = record.residual;
    give(ctx, &residual, balance)?;
    announce(ctx, &id, &record);
    put_contract(ctx, &id, &record);
    CHORES.add(ctx, ctx.consensus_height(), &Chore::Closing { id, cursor: 0 })?;
    Ok(Vec::new())
}

fn is_dormant(ctx: &Context, record: &ContractRecord, definition: &Definitions) -> bool {
    let blocks = u64::from(definition.record.definition.terms.dormant_blocks);
    let since = record.failed_height;
    blocks != 0 && since != 0 && ctx.consensus_height() >= since.saturating_add(blocks)
}
