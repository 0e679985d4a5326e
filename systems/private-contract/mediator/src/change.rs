//! Changes of a definition, and revocations.

use paralith_private_contract_core::ids::{change_hash, definition_hash};
use paralith_private_contract_core::messages::{
    BondRecord, Change, ContractId, ContractRecord, ContractStatus, Definition, DefinitionRecord,
    FinalBatch, JoinRecord, MAX_CALL_BYTES, Revoke, keys,
};
use paralith_private_contract_core::terms;
use paralith_sdk::{Call, Context, Hash, Result};

use crate::batch::want;
use crate::contract::{enrol, return_bond};
use crate::due::{CHORES, Chore};
use crate::error::MediatorError;
use crate::keysets::{carry, forget, rotate};
use crate::state::{
    Definitions, announce, args, contract, corrupt, get, next, place, put, put_contract, running,
    signers,
};

/// `change` (PC-14): a set that satisfies the present policy replaces the definition whole.
pub(crate) fn change(ctx: &mut Context, call: &Call) -> Result<Vec<u8>> {
    let Change { contract_id: id, definition, migrate, signers: set, signature } =
        args(call, MAX_CALL_BYTES)?;
    let mut record = running(ctx, &id)?;
    if let Some(fault) = terms::fault(&definition) {
        return Err(MediatorError::Policy(fault).into());
    }
    let expected = next(record.last_version)?;
    if record.status == ContractStatus::Changing || definition.version != expected {
        return Err(MediatorError::Version { expected }.into());
    }
    let present = Definitions::need(ctx, &id, record.version)?;
    let set = signers(&set, present.count(), &present.gone)?;
    if !present.record.definition.policy.satisfied(&set) {
        return Err(MediatorError::Policy("the signers do not satisfy the present policy").into());
    }
    check_package(&present, &definition, migrate)?;
    let hash = definition_hash(&definition);
    let message = change_hash(&place(ctx, &id), &hash, migrate);
    if !ctx.bls_verify(&present.vote_keys(&set)?, &message.0, &signature.0) {
        return Err(MediatorError::Aggregate.into());
    }
    let mut accepted = accept(ctx, &id, &present, definition, hash, migrate)?;
    accepted.put(ctx, &id);
    record.status = ContractStatus::Changing;
    record.last_version = expected;
    record.boundary = record.next_seq;
    record.migrates = migrate;
    rotate(ctx, &id, &mut record, &accepted)?;
    want(ctx, &id, &mut record)?;
    announce(ctx, &id, &record);
    put_contract(ctx, &id, &record);
    Ok(Vec::new())
}

fn check_package(present: &Definitions, next: &Definition, migrate: bool) -> Result<()> {
    let before = &present.record.definition;
    let refuse = |reason| Err(MediatorError::Package(reason).into());
    if migrate {
        let only_package = Definition {
            version: before.version,
            package_hash: before.package_hash,
            ..next.clone()
        };
        if only_package != *before || next.package_hash == before.package_hash {
            return refuse("a migration changes the package and nothing else");
        }
        return Ok(());
    }
    let same = next.package_hash == before.package_hash;
    if same && terms::drops_a_member(before, &present.gone, next) {
        return refuse("a member is dropped: the others need another group_secret");
    }
    Ok(())
}

/// The record of an accepted definition. New members have joined it; their bonds are bonds of this version.
fn accept(
    ctx: &mut Context,
    id: &ContractId,
    present: &Definitions,
    definition: Definition,
    hash: Hash,
    migrate: bool,
) -> Result<Definitions> {
    let version = definition.version;
    let (bonds, gone) = if migrate {
        (present.record.bonds.clone(), present.gone.clone())
    } else {
        let mut bonds = Vec::new();
        for member in &definition.members {
            bonds.push(match present.live_index(member) {
                Some(index) => Definitions::of(&present.record.bonds, index)?,
                None => {
                    take_join(ctx, id, member, &definition, &hash)?;
                    version
                }
            });
        }
        (bonds, paralith_policy::Members::new())
    };
    let record = DefinitionRecord {
        definition,
        hash,
        vote_keys: Vec::new(),
        addresses: Vec::new(),
        bonds: Vec::new(),
        gone: Vec::new(),
    };
    let mut accepted = Definitions { record, gone };
    enrol(ctx, &mut accepted, bonds)?;
    Ok(accepted)
}

/// A new member's join becomes its bond.
fn take_join(
    ctx: &mut Context,
    id: &ContractId,
    member: &paralith_sdk::PublicKey,
    definition: &Definition,
    hash: &Hash,
) -> Result<()> {
    let key = keys::join(id, member);
    let join: JoinRecord = get(ctx, &key)?.ok_or(MediatorError::Joins)?;
    let kept: Option<FinalBatch> = get(ctx, &keys::final_batch(id, join.batch))?;
    if join.definition != *hash || kept.is_none() || join.bond < definition.terms.bond {
        return Err(MediatorError::Joins.into());
    }
    ctx.remove(&key);
    let bond = BondRecord { amount: join.bond, returns: 0 };
    put(ctx, &keys::bond(id, member, definition.version), &bond);
    Ok(())
}

/// The accepted definition comes into force: the queue of the one before is empty. Gives the number of members
/// before, to each of whom a bond may return.
pub(crate) fn enforce(
    ctx: &mut Context,
    id: &ContractId,
    record: &mut ContractRecord,
) -> Result<u64> {
    let before = Definitions::need(ctx, id, record.version)?;
    let after = Definitions::need(ctx, id, record.last_version)?;
    let returns = before.retained(ctx);
    let members = before.record.definition.members.iter().zip(&before.record.bonds);
    for (member, bond) in members {
        let stays = after.record.definition.members.iter().zip(&after.record.bonds);
        if !stays.into_iter().any(|(other, kept)| (other, kept) == (member, bond)) {
            return_bond(ctx, id, member, *bond, returns)?;
        }
    }
    let version = record.version;
    CHORES.add(ctx, returns, &Chore::Definition { id: *id, version })?;
    record.version = record.last_version;
    record.status = ContractStatus::Active;
    record.migrates = false;
    record.residual = after.record.definition.terms.residual;
    announce(ctx, id, record);
    u64::try_from(before.count()).map_err(|_| corrupt())
}

/// A migration that did not end YES and executed leaves nothing behind: the old code stays, and transactions
/// that were sealed to the new definition expire.
pub(crate) fn drop_change(
    ctx: &mut Context,
    id: &ContractId,
    record: &mut ContractRecord,
) -> Result<()> {
    let before = Definitions::need(ctx, id, record.version)?;
    ctx.remove(&keys::definition(id, record.last_version));
    record.status = ContractStatus::Active;
    record.migrates = false;
    record.dropped_before = record.next_seq;
    let dropped = record.keys_version;
    carry(ctx, id, record, &before)?;
    forget(ctx, id, record, dropped)?;
    announce(ctx, id, record);
    Ok(())
}

/// `revoke`: by the certificate's issuer or the owner.
pub(crate) fn revoke(ctx: &mut Context, call: &Call) -> Result<Vec<u8>> {
    let Revoke { contract_id: id, issuer, serial } = args(call, 128)?;
    let record = contract(ctx, &id)?;
    // While a change waits, `submit` takes certificates of its issuers.
    let mut listed = false;
    for version in [record.version, record.newest_version()] {
        let definition = Definitions::need(ctx, &id, version)?;
        listed |= definition.record.definition.issuers.contains(&issuer);
    }
    let sender = ctx.sender()?;
    if !listed || (sender != issuer && sender != record.owner) {
        return Err(MediatorError::Issuer.into());
    }
    ctx.set(&keys::revocation(&id, &issuer, serial), &1_u8);
    Ok(Vec::new())
}
