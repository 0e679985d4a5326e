//! Key sets: to which keys a contract's senders seal.

use paralith_private_contract_core::messages::{
    Canonical, ContractId, ContractRecord, KEYS_BLOCKS, KemKey, KeySet, OfContract, keys,
};
use paralith_sdk::{Call, Context, Result};

use crate::error::MediatorError;
use crate::state::{
    Definitions, account_keys, announce, args, corrupt, key_set, next, put, put_contract, running,
};

/// Longest key set: a value of the state, less what changes in a record later.
const MAX_KEY_SET_BYTES: usize = 252 * 1024;

/// The members' present keys.
fn present(ctx: &Context, definition: &Definitions) -> Result<KeySet> {
    let members = &definition.record.definition.members;
    let key = |member| {
        let keys = account_keys(ctx, member)?.ok_or_else(corrupt)?;
        Ok(KemKey { kem_id: keys.kem_id, key: keys.kem_key })
    };
    Ok(KeySet {
        version: definition.record.definition.version,
        keys: members.iter().map(key).collect::<Result<_>>()?,
        gone: definition.gone.to_bytes(),
        held: 0,
    })
}

/// Makes the next key set from the members' present keys. Refuses keys that do not fit into a record.
pub(crate) fn rotate(
    ctx: &mut Context,
    id: &ContractId,
    contract: &mut ContractRecord,
    definition: &Definitions,
) -> Result<()> {
    let set = present(ctx, definition)?;
    if set.encode().len() > MAX_KEY_SET_BYTES {
        return Err(MediatorError::Keys("all members' KEM keys together are too long").into());
    }
    install(ctx, id, contract, set)
}

/// Makes the next key set from the keys of the newest one, which is of the same members. For what must not
/// fail, as leaving and the end of a batch: whatever keys members set meanwhile, these fit.
pub(crate) fn carry(
    ctx: &mut Context,
    id: &ContractId,
    contract: &mut ContractRecord,
    definition: &Definitions,
) -> Result<()> {
    let newest = key_set(ctx, id, contract.keys_version)?.ok_or_else(corrupt)?;
    let version = definition.record.definition.version;
    let gone = definition.gone.to_bytes();
    install(ctx, id, contract, KeySet { version, keys: newest.keys, gone, held: 0 })
}

/// Puts the next key set in force. The one before stays valid for a while if it is of the same definition.
fn install(
    ctx: &mut Context,
    id: &ContractId,
    contract: &mut ContractRecord,
    set: KeySet,
) -> Result<()> {
    let before = key_set(ctx, id, contract.keys_version)?;
    let same = before.is_some_and(|before| before.version == set.version);
    let (newest, previous) = (contract.keys_version, contract.previous_keys_version);
    contract.previous_keys_version = if same { newest } else { 0 };
    contract.keys_version = next(newest)?;
    contract.keys_height = ctx.consensus_height();
    put(ctx, &keys::key_set(id, contract.keys_version), &set);
    forget(ctx, id, contract, newest)?;
    forget(ctx, id, contract, previous)
}

/// Removes a key set that nobody may seal to and under which no deposit is held.
pub(crate) fn forget(
    ctx: &mut Context,
    id: &ContractId,
    contract: &ContractRecord,
    version: u64,
) -> Result<()> {
    if version == contract.keys_version || version == contract.previous_keys_version {
        return Ok(());
    }
    if key_set(ctx, id, version)?.is_some_and(|set| set.held == 0) {
        ctx.remove(&keys::key_set(id, version));
    }
    Ok(())
}

/// So many transactions less hold a key set.
pub(crate) fn release(
    ctx: &mut Context,
    id: &ContractId,
    contract: &ContractRecord,
    version: u64,
    count: u64,
) -> Result<()> {
    let Some(mut set) = key_set(ctx, id, version)? else { return Ok(()) };
    set.held = set.held.checked_sub(count).ok_or_else(corrupt)?;
    put(ctx, &keys::key_set(id, version), &set);
    forget(ctx, id, contract, version)
}

/// `refresh`: a member has the contract adopt its members' newest keys, at most once in 100 blocks, so that a
/// member that changes keys in every block makes no submission stale.
pub(crate) fn refresh(ctx: &mut Context, call: &Call) -> Result<Vec<u8>> {
    let OfContract { contract_id: id } = args(call, 64)?;
    let mut contract = running(ctx, &id)?;
    let definition = Definitions::need(ctx, &id, contract.newest_version())?;
    let sender = ctx.sender()?;
    if definition.live_index(&sender).is_none() {
        return Err(MediatorError::Signers("only members refresh the key set").into());
    }
    let refuse =
        |reason| Err(MediatorError::KeysVersion { newest: contract.keys_version, reason }.into());
    if ctx.consensus_height() < contract.keys_height.saturating_add(KEYS_BLOCKS) {
        return refuse("it is not 100 blocks old");
    }
    let before = key_set(ctx, &id, contract.keys_version)?.ok_or_else(corrupt)?;
    if present(ctx, &definition)?.keys == before.keys {
        return refuse("it has the members' newest keys");
    }
    rotate(ctx, &id, &mut contract, &definition)?;
    announce(ctx, &id, &contract);
    put_contract(ctx, &id, &contract);
    Ok(Vec::new())
}
