//! Answers the other members.
//!
//! PC-20: `peer` is the account key that the link's handshake proved. Who may ask is decided by proven state of the
//! mediator: members of the definition under which a batch ran get its votes, its log and its contents;
//! members of the definition in force, or of the one that comes next, get the tree. One that is not accepted
//! yet comes next if this member's operator has installed its package: a new member fetches the tree before it joins.
//! Nobody else gets anything, and nothing of a stranger is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use paralith_policy::Members;
use paralith_private_contract_core::StakeholderError;
use paralith_private_contract_core::ids::Place;
use paralith_private_contract_core::messages::{
    Accuse, ContentHash, ContractVote, DefinitionRecord, Evidence, OpenBatch,
};
use paralith_private_contract_core::vote::{actions_hash, vote_hash};
use paralith_types::PublicKey;
use tokio::sync::mpsc;

use crate::record::{BatchLog, Page, PageEntry};
use crate::{Contract, ContractStore, ServiceError};

/// Most entries and bytes of a page.
const PAGE_ENTRIES: usize = 256;
const PAGE_BYTES: usize = 1024 * 1024;
/// Votes of batches that this member does not see open yet are kept so many batches ahead.
const BATCHES_AHEAD: u64 = 2;
/// False signatures of one member in one batch that are verified; later votes of it are dropped.
const MAX_FALSE: u32 = 4;

/// A vote of another member.
#[derive(Debug, Clone)]
struct Held {
    vote: ContractVote,
    verified: bool,
}

#[derive(Debug, Default)]
struct Votes {
    held: BTreeMap<(u64, u32), Held>,
    refused: BTreeMap<(u64, u32), u32>,
    /// Members that signed two verdicts of a batch.
    equivocated: BTreeSet<(u64, u32)>,
    /// What proves it, until the service takes it.
    evidence: Vec<Equivocation>,
}

/// A member signed two verdicts of one batch.
#[derive(Debug, Clone)]
pub(crate) struct Equivocation {
    pub(crate) member: PublicKey,
    pub(crate) index: u32,
    /// Members of the batch's definition.
    pub(crate) members: u32,
    pub(crate) accuse: Accuse,
}

/// What the service and its server share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) place: Place,
    pub(crate) store: ContractStore,
    contract: Mutex<Option<Contract>>,
    votes: Mutex<Votes>,
    inbox: mpsc::Sender<ContractVote>,
}

/// A panic of another thread leaves the values whole: each change is one call.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn new(
        place: Place,
        store: ContractStore,
        inbox: mpsc::Sender<ContractVote>,
    ) -> Self {
        let (contract, votes) = (Mutex::new(None), Mutex::default());
        Self { place, store, contract, votes, inbox }
    }

    pub(crate) fn contract(&self) -> Option<Contract> {
        lock(&self.contract).clone()
    }

    /// Takes newer proven state. Gives votes of the open batch that came early and are verified now.
    pub(crate) fn advance(&self, contract: Contract) -> Result<Vec<ContractVote>, ServiceError> {
        let open = contract.open_batch()?;
        let next = contract.record()?.map_or(0, |record| record.next_batch);
        *lock(&self.contract) = Some(contract.clone());
        let first = open.as_ref().map_or(next, |open| open.batch.number);
        let early: Vec<ContractVote> = {
            let mut votes = lock(&self.votes);
            votes.held.retain(|(batch, _), _| *batch >= first);
            votes.refused.retain(|(batch, _), _| *batch >= first);
            votes.equivocated.retain(|(batch, _)| *batch >= first);
            let unverified = votes.held.values().filter(|held| !held.verified);
            unverified.map(|held| held.vote.clone()).collect()
        };
        let Some(open) = open else { return Ok(Vec::new()) };
        let mut verified = Vec::new();
        for vote in early.into_iter().filter(|vote| vote.batch == open.batch.number) {
            if self.verify(&contract, &open, &vote)? {
                verified.push(vote);
            }
        }
        Ok(verified)
    }

    /// Verifies a vote of the open batch and keeps it if it is right.
    pub(crate) fn verify(
        &self,
        contract: &Contract,
        open: &OpenBatch,
        vote: &ContractVote,
    ) -> Result<bool, ServiceError> {
        let place = (vote.batch, vote.index);
        let definition = contract.definition(open.batch.version)?;
        let is_right = is_vote(contract, open, &definition, vote)?;
        let mut votes = lock(&self.votes);
        if is_right {
            votes.held.insert(place, Held { vote: vote.clone(), verified: true });
        } else {
            votes.held.remove(&place);
            let refused = votes.refused.entry(place).or_insert(0);
            *refused = refused.saturating_add(1);
        }
        Ok(is_right)
    }

    /// A member whose vote is held sends another one. If it signed that, too, the mediator is told.
    fn compare(
        &self,
        contract: &Contract,
        open: &OpenBatch,
        first: &ContractVote,
        second: &ContractVote,
    ) -> Result<(), ServiceError> {
        let place = (second.batch, second.index);
        let definition = contract.definition(open.batch.version)?;
        if !is_signed(contract, open, &definition, second)? {
            let mut votes = lock(&self.votes);
            let refused = votes.refused.entry(place).or_insert(0);
            *refused = refused.saturating_add(1);
            return Ok(());
        }
        let members = definition.definition.members;
        let member = usize::try_from(second.index).ok().and_then(|index| members.get(index));
        let Some(member) = member.copied() else { return Ok(()) };
        let signed = |vote: &ContractVote| Evidence {
            verdict: vote.verdict.clone(),
            signers: [vote.index].into_iter().collect::<Members>().to_bytes(),
            signature: vote.signature,
        };
        let accuse = Accuse {
            contract_id: self.place.contract_id,
            version: open.batch.version,
            batch: open.batch.number,
            inputs_hash: contract.inputs_hash(&open.batch)?,
            first: signed(first),
            second: signed(second),
        };
        let count = u32::try_from(members.len()).unwrap_or(u32::MAX);
        let mut votes = lock(&self.votes);
        if votes.equivocated.insert(place) {
            let index = second.index;
            votes.evidence.push(Equivocation { member, index, members: count, accuse });
        }
        Ok(())
    }

    /// Takes what proves that members signed two verdicts.
    pub(crate) fn take_evidence(&self) -> Vec<Equivocation> {
        std::mem::take(&mut lock(&self.votes).evidence)
    }

    /// Whom this member gives the tree: members of the definition in force, of the newest accepted one, and of the
    /// next one if this member's operator has installed its package.
    fn tree_members(&self, contract: &Contract) -> Result<BTreeSet<PublicKey>, ServiceError> {
        let record = contract.record()?.ok_or(StakeholderError::NoSuchContract)?;
        let mut members = BTreeSet::new();
        for version in [record.version, record.newest_version()] {
            members.extend(contract.definition(version)?.definition.members);
        }
        members.extend(self.store.expected_members(&record)?);
        Ok(members)
    }

    /// Whether a verified vote of this member is here.
    pub(crate) fn has_vote(&self, batch: u64, index: u32) -> bool {
        lock(&self.votes).held.get(&(batch, index)).is_some_and(|held| held.verified)
    }
}

/// Whether a vote is its member's, for the open batch.
pub(crate) fn is_vote(
    contract: &Contract,
    open: &OpenBatch,
    definition: &DefinitionRecord,
    vote: &ContractVote,
) -> Result<bool, ServiceError> {
    Ok(actions_hash(&vote.actions) == vote.verdict.actions_hash
        && is_signed(contract, open, definition, vote)?)
}

/// Whether a member signed this verdict of the open batch, whatever actions came with it.
fn is_signed(
    contract: &Contract,
    open: &OpenBatch,
    definition: &DefinitionRecord,
    vote: &ContractVote,
) -> Result<bool, ServiceError> {
    let place = contract.place();
    let key = usize::try_from(vote.index).ok().and_then(|index| definition.vote_keys.get(index));
    let Some(key) = key else { return Ok(false) };
    if vote.contract_id != place.contract_id || vote.batch != open.batch.number {
        return Ok(false);
    }
    let inputs = contract.inputs_hash(&open.batch)?;
    let hash = vote_hash(place, open.batch.version, vote.batch, &inputs, &vote.verdict);
    // Possession of the key was proven when the mediator took it.
    Ok(paralith_bls::verify(&[key.0], &hash.0, &vote.signature.0))
}

/// Answers other members. Clones answer from the same state.
#[derive(Debug, Clone)]
pub struct Server(pub(crate) Arc<Shared>);

impl Server {
    fn contract(&self) -> Result<Contract, ServiceError> {
        Ok(self.0.contract().ok_or(StakeholderError::NoSuchContract)?)
    }

    /// The definition of a batch that is open or ended YES, of which the peer is a member.
    fn definition_for(
        &self,
        contract: &Contract,
        peer: &PublicKey,
        batch: u64,
    ) -> Result<DefinitionRecord, ServiceError> {
        let record = contract.definition_of(batch)?.ok_or(StakeholderError::Dropped { batch })?;
        if !record.definition.members.contains(peer) {
            return Err(StakeholderError::NotAMember.into());
        }
        Ok(record)
    }

    /// Takes a member's own vote. One that comes before its batch is seen open here is kept, unverified.
    pub fn send_vote(&self, peer: &PublicKey, vote: ContractVote) -> Result<(), ServiceError> {
        let contract = self.contract()?;
        let record = contract.record()?.ok_or(StakeholderError::NoSuchContract)?;
        let open = contract.open_batch()?.filter(|open| open.batch.number == vote.batch);
        let version = open.as_ref().map_or(record.version, |open| open.batch.version);
        let members = contract.definition(version)?.definition.members;
        let index = usize::try_from(vote.index).ok().and_then(|index| members.get(index));
        if index != Some(peer) || vote.contract_id != self.0.place.contract_id {
            return Err(StakeholderError::NotAMember.into());
        }
        let place = (vote.batch, vote.index);
        let held = {
            let mut votes = lock(&self.0.votes);
            let refused = votes.refused.get(&place).is_some_and(|refused| *refused >= MAX_FALSE);
            if refused || votes.equivocated.contains(&place) {
                return Ok(());
            }
            let held = votes.held.get(&place).filter(|held| held.verified);
            let held = held.map(|held| held.vote.clone());
            if held.as_ref().is_some_and(|held| held.verdict == vote.verdict) {
                return Ok(());
            }
            if open.is_none() {
                if held.is_some() {
                    return Ok(());
                }
                let ahead = record.next_batch..record.next_batch.saturating_add(BATCHES_AHEAD);
                if ahead.contains(&vote.batch) {
                    votes.held.insert(place, Held { vote, verified: false });
                }
                return Ok(());
            }
            held
        };
        if let (Some(open), Some(held)) = (&open, held) {
            return self.0.compare(&contract, open, &held, &vote);
        }
        if let Some(open) = open
            && self.0.verify(&contract, &open, &vote)?
            && self.0.inbox.try_send(vote).is_err()
        {
            // Forgotten here too, so that it is fetched with the next round.
            lock(&self.0.votes).held.remove(&place);
        }
        Ok(())
    }

    /// The vote of a member of the open batch.
    pub fn fetch_vote(
        &self,
        peer: &PublicKey,
        batch: u64,
        index: u32,
    ) -> Result<Option<ContractVote>, ServiceError> {
        let contract = self.contract()?;
        self.definition_for(&contract, peer, batch)?;
        let own = self.0.store.vote(batch)?.filter(|own| own.index == index);
        if own.is_some() {
            return Ok(own);
        }
        let votes = lock(&self.0.votes);
        let held = votes.held.get(&(batch, index)).filter(|held| held.verified);
        Ok(held.map(|held| held.vote.clone()))
    }

    /// The log of a batch that ended YES.
    pub fn fetch_batch(&self, peer: &PublicKey, batch: u64) -> Result<BatchLog, ServiceError> {
        let contract = self.contract()?;
        self.definition_for(&contract, peer, batch)?;
        let done = contract.final_batch(batch)?.ok_or(StakeholderError::NotExecuted { batch })?;
        // Only the log that led to the final root, not one of a verdict that lost.
        if self.0.store.tree().root(batch)? != Some(done.root) {
            return Err(StakeholderError::NotExecuted { batch }.into());
        }
        let log = self.0.store.log(batch)?.ok_or(StakeholderError::Dropped { batch })?;
        Ok(BatchLog { lines: Vec::new(), ..log })
    }

    /// A part of the tree after a batch, each entry with its proof.
    pub fn fetch_page(
        &self,
        peer: &PublicKey,
        batch: u64,
        after: Option<&[u8]>,
    ) -> Result<Page, ServiceError> {
        let contract = self.contract()?;
        if !self.0.tree_members(&contract)?.contains(peer) {
            return Err(StakeholderError::NotAMember.into());
        }
        let tree = self.0.store.tree();
        if tree.root(batch)?.is_none() {
            return Err(StakeholderError::Dropped { batch }.into());
        }
        let found = tree.scan(batch, b"", after, PAGE_ENTRIES)?;
        let mut page = Page { entries: Vec::new(), more: found.len() == PAGE_ENTRIES };
        let mut bytes = 0_usize;
        for (key, held) in found {
            bytes = bytes.saturating_add(key.len()).saturating_add(held.len());
            if bytes > PAGE_BYTES && !page.entries.is_empty() {
                page.more = true;
                break;
            }
            let (_, proof) = tree.prove(batch, &key)?;
            page.entries.push(PageEntry { key, held, proof: proof.to_bytes() });
        }
        Ok(page)
    }

    /// A sealed content, for members of the definition under which its transaction runs.
    pub fn fetch_content(
        &self,
        peer: &PublicKey,
        content: &ContentHash,
    ) -> Result<Option<Vec<u8>>, ServiceError> {
        let contract = self.contract()?;
        let Some(kept) = self.0.store.content(content)? else { return Ok(None) };
        if !contract.definition(kept.version)?.definition.members.contains(peer) {
            return Err(StakeholderError::NotAMember.into());
        }
        Ok(Some(kept.bytes))
    }
}
