//! PC-25: a member's new KEM key comes into force, and the old one is erased once nothing is sealed to it.

use paralith_private_contract_core::messages::keys as places;
use paralith_private_contract_messages::{
    Canonical as _, ContractId, ContractStatus, KEYS_BLOCKS, KemKey, KeySet, OfContract,
};
use paralith_private_contract_stakeholder::{Contract, ServiceError, Snapshot};

use super::Shared;
use super::follow::{MAX_RECORD_BYTES, has_keys, own_keys};
use super::mediator::Submitter;

/// So many blocks lie between two looks.
const LOOK_BLOCKS: u64 = 10;
/// A key set that was replaced serves for [`KEYS_BLOCKS`], by the heights that rounds pin: those lag a little.
const LAG_BLOCKS: u64 = 20;
/// Key sets that are read at once.
const PAGE: usize = 64;

/// Looks after the KEM keys of a member.
#[derive(Debug, Default)]
pub(super) struct Rotation {
    /// Nothing is done before this height.
    waits_until: u64,
}

impl Rotation {
    pub(super) async fn advance(&mut self, shared: &Shared, submitter: &Submitter, height: u64) {
        if height < self.waits_until {
            return;
        }
        self.waits_until = height.saturating_add(LOOK_BLOCKS);
        let contracts = match look(shared) {
            Ok(contracts) => contracts,
            Err(error) => {
                tracing::error!(%error, "the key sets of this member's contracts cannot be read");
                return;
            }
        };
        for id in contracts {
            let call = OfContract { contract_id: id }.encode();
            match submitter.call("refresh", call).await {
                Ok(()) => {
                    tracing::info!(contract = %id.to_hex(), "it is to adopt this member's key")
                }
                Err(error) => tracing::info!(%error, "the members' newest keys were not adopted"),
            }
        }
    }
}

/// Erases what is not needed. Gives the contracts that may adopt this member's key now.
pub(super) fn look(shared: &Shared) -> Result<Vec<ContractId>, ServiceError> {
    let (Some(own), Ok(snapshot)) = (own_keys(shared), shared.snapshot()) else {
        return Ok(Vec::new());
    };
    // Until the mediator has the newest key, packages and calls are sealed to an older one.
    if !has_keys(&snapshot.state, &own, &shared.account()) {
        return Ok(Vec::new());
    }
    let newest = KemKey { kem_id: own.kem_id, key: own.kem_key };
    let installed = shared.installed()?;
    erase(shared, &snapshot, &installed)?;
    let mut stale = Vec::new();
    for id in installed {
        let Ok(place) = shared.place(id) else { continue };
        if is_stale(shared, &Contract::new(snapshot.clone(), place), &newest)? {
            stale.push(id);
        }
    }
    Ok(stale)
}

/// Whether a contract has another key of this member than its newest, and may adopt it.
fn is_stale(shared: &Shared, contract: &Contract, newest: &KemKey) -> Result<bool, ServiceError> {
    let Some(record) = contract.record()? else { return Ok(false) };
    let runs = matches!(record.status, ContractStatus::Active | ContractStatus::Changing);
    if !runs || contract.height() < record.keys_height.saturating_add(KEYS_BLOCKS) {
        return Ok(false);
    }
    let known = contract.definition(record.newest_version())?.definition;
    let index = known.members.iter().position(|member| *member == shared.account());
    let set = contract.key_set(record.keys_version)?;
    let key = index.and_then(|index| set.keys.get(index));
    Ok(key.is_some_and(|key| key != newest))
}

/// Erases older keys to which nothing is sealed, or can be: they are in no key set that serves now, or that a
/// transaction holds.
fn erase(
    shared: &Shared,
    snapshot: &Snapshot,
    installed: &[ContractId],
) -> Result<(), ServiceError> {
    let config = &shared.config;
    if !config.keys.has_old_kem() {
        return Ok(());
    }
    let mut needed = Vec::new();
    for id in installed {
        let Ok(place) = shared.place(*id) else { return Ok(()) };
        let Some(record) = Contract::new(snapshot.clone(), place).record()? else { return Ok(()) };
        let until = record.keys_height.saturating_add(KEYS_BLOCKS).saturating_add(LAG_BLOCKS);
        let (prefix, mut after) = (places::key_sets(id), None::<Vec<u8>>);
        loop {
            let page = snapshot.state.scan(&prefix, after.as_deref(), PAGE)?;
            for (key, bytes) in &page {
                let set = KeySet::decode(bytes, MAX_RECORD_BYTES).map_err(|e| damaged(&e))?;
                let is = |version| *key == places::key_set(id, version);
                let may_be_sealed_to = is(record.keys_version)
                    || (is(record.previous_keys_version) && snapshot.height < until);
                if set.held > 0 || may_be_sealed_to {
                    needed.extend(set.keys);
                }
            }
            after = match page.last() {
                Some((key, _)) if page.len() == PAGE => Some(key.clone()),
                _ => break,
            };
        }
    }
    match config.keys.erase_kem(&config.key_files, |key| needed.contains(key)) {
        Ok(0) => {}
        Ok(count) => tracing::info!(count, "old keys are erased: nothing is sealed to them"),
        Err(error) => tracing::error!(%error, "old keys cannot be erased"),
    }
    Ok(())
}

fn damaged(error: &impl std::fmt::Display) -> ServiceError {
    ServiceError::Damaged { what: "a key set", reason: error.to_string() }
}
