//! Records of the state: read, written, and missing ones refused.

use paralith_policy::Members;
use paralith_private_contract_core::Place;
use paralith_private_contract_core::messages::{
    AccountKeys, Canonical, ContractEvent, ContractId, ContractRecord, ContractStatus,
    DefinitionRecord, KeySet, OpenBatch, TOPIC_CONTRACT, TransactionRecord, keys,
};
use paralith_sdk::{Call, Context, Error, PublicKey, Result, SdkError};

use crate::error::MediatorError;

/// Longest record: a value of the state.
const MAX_RECORD_BYTES: usize = 256 * 1024;

pub(crate) fn get<T: Canonical>(ctx: &Context, key: &[u8]) -> Result<Option<T>> {
    let Some(bytes) = ctx.get::<Vec<u8>>(key)? else { return Ok(None) };
    T::decode(&bytes, MAX_RECORD_BYTES).map(Some).map_err(|_| corrupt())
}

/// A record that other records say is there.
pub(crate) fn need<T: Canonical>(ctx: &Context, key: &[u8]) -> Result<T> {
    get(ctx, key)?.ok_or_else(corrupt)
}

pub(crate) fn put<T: Canonical>(ctx: &mut Context, key: &[u8], record: &T) {
    ctx.set(key, &record.encode());
}

pub(crate) fn corrupt() -> Error {
    SdkError::CorruptState { what: "a private contract" }.into()
}

/// A call's arguments: a canonical message.
pub(crate) fn args<T: Canonical>(call: &Call, limit: usize) -> Result<T> {
    T::decode(&call.args, limit).map_err(|error| {
        let reason = error.to_string();
        SdkError::BadArguments { method: call.method.clone(), reason }.into()
    })
}

pub(crate) fn place(ctx: &Context, contract_id: &ContractId) -> Place {
    Place {
        chain_context: ctx.chain_context(),
        mediator: ctx.runtime_id(),
        contract_id: *contract_id,
    }
}

pub(crate) fn contract(ctx: &Context, id: &ContractId) -> Result<ContractRecord> {
    get(ctx, &keys::contract(id))?.ok_or_else(|| MediatorError::NoContract.into())
}

/// A contract that runs.
pub(crate) fn running(ctx: &Context, id: &ContractId) -> Result<ContractRecord> {
    let contract = contract(ctx, id)?;
    match contract.status {
        ContractStatus::Active | ContractStatus::Changing => Ok(contract),
        ContractStatus::Proposed => Err(MediatorError::NotActive("members are joining").into()),
        ContractStatus::Closed | ContractStatus::Cancelled => {
            Err(MediatorError::NotActive("it is closed").into())
        }
    }
}

pub(crate) fn put_contract(ctx: &mut Context, id: &ContractId, contract: &ContractRecord) {
    put(ctx, &keys::contract(id), contract);
}

pub(crate) fn announce(ctx: &mut Context, id: &ContractId, contract: &ContractRecord) {
    let ContractRecord { status, version, keys_version, .. } = *contract;
    let event = ContractEvent { contract_id: *id, status, version, keys_version };
    ctx.emit_event(TOPIC_CONTRACT, &event.encode());
}

/// A definition with its members that are gone.
#[derive(Debug, Clone)]
pub(crate) struct Definitions {
    pub(crate) record: DefinitionRecord,
    pub(crate) gone: Members,
}

impl Definitions {
    pub(crate) fn get(ctx: &Context, id: &ContractId, version: u64) -> Result<Option<Self>> {
        let Some(record) = get::<DefinitionRecord>(ctx, &keys::definition(id, version))? else {
            return Ok(None);
        };
        let gone = Members::from_bytes(&record.gone, record.definition.members.len());
        Ok(Some(Self { gone: gone.map_err(|_| corrupt())?, record }))
    }

    pub(crate) fn need(ctx: &Context, id: &ContractId, version: u64) -> Result<Self> {
        Self::get(ctx, id, version)?.ok_or_else(corrupt)
    }

    pub(crate) fn put(&mut self, ctx: &mut Context, id: &ContractId) {
        self.record.gone = self.gone.to_bytes();
        put(ctx, &keys::definition(id, self.record.definition.version), &self.record);
    }

    pub(crate) fn count(&self) -> usize {
        self.record.definition.members.len()
    }

    /// The index of a member that is not gone.
    pub(crate) fn live_index(&self, member: &PublicKey) -> Option<u32> {
        let index = self.record.definition.members.iter().position(|one| one == member)?;
        let index = u32::try_from(index).ok()?;
        (!self.gone.contains(index)).then_some(index)
    }

    /// Members that are not gone, by index.
    pub(crate) fn live(&self) -> Members {
        let all = Members::first(u32::try_from(self.count()).unwrap_or(0));
        all.iter().filter(|index| !self.gone.contains(*index)).collect()
    }

    /// A list's part of a member.
    pub(crate) fn of<T: Copy>(list: &[T], index: u32) -> Result<T> {
        let index = usize::try_from(index).map_err(|_| corrupt())?;
        list.get(index).copied().ok_or_else(corrupt)
    }

    /// The vote keys of these members.
    pub(crate) fn vote_keys(&self, members: &Members) -> Result<Vec<[u8; 96]>> {
        members.iter().map(|index| Ok(Self::of(&self.record.vote_keys, index)?.0)).collect()
    }

    /// The height this many blocks from now after which nothing of it is kept.
    pub(crate) fn retained(&self, ctx: &Context) -> u64 {
        let blocks = u64::from(self.record.definition.terms.retention_blocks);
        ctx.consensus_height().saturating_add(blocks)
    }
}

pub(crate) fn account_keys(ctx: &Context, account: &PublicKey) -> Result<Option<AccountKeys>> {
    get(ctx, &keys::account(account))
}

pub(crate) fn key_set(ctx: &Context, id: &ContractId, version: u64) -> Result<Option<KeySet>> {
    get(ctx, &keys::key_set(id, version))
}

pub(crate) fn transaction(ctx: &Context, id: &ContractId, seq: u64) -> Result<TransactionRecord> {
    need(ctx, &keys::transaction(id, seq))
}

pub(crate) fn open_batch(ctx: &Context, id: &ContractId) -> Result<OpenBatch> {
    need(ctx, &keys::open_batch(id))
}

/// Reads a bitmap of signers: members, at least one, none of them gone.
pub(crate) fn signers(bytes: &[u8], members: usize, gone: &Members) -> Result<Members> {
    let refuse = |reason| Err(MediatorError::Signers(reason).into());
    let Ok(signers) = Members::from_bytes(bytes, members) else {
        return refuse("no set over the members");
    };
    if signers.is_empty() {
        return refuse("nobody signed");
    }
    if !signers.is_disjoint(gone) {
        return refuse("a signer has left");
    }
    Ok(signers)
}

/// Adds 1 to a number that never reaches its limit.
pub(crate) fn next(number: u64) -> Result<u64> {
    number.checked_add(1).ok_or_else(corrupt)
}
