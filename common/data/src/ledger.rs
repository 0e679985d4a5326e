//! What is kept for whom and until when, and what it counts for. Pure.
//!
//! A content is kept once, however many owners hold it, and goes when no hold is left. Room is
//! taken before a content is read, so two uploads at once never pass one quota together.

use std::collections::{BTreeMap, BTreeSet};

use paralith_types::{Hash, Height};
use prost::Message as _;

use crate::pb;
use crate::{DataError, Quota};

/// Most owners of one content.
pub const MAX_OWNERS: usize = 64;

/// What a file system takes for a file at least.
const BLOCK: u64 = 4096;

/// Who a content is kept for: 32 bytes each, which mean nothing here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// The ticket's scope.
    pub scope: [u8; 32],
    /// The scope's own division: a certificate, a member.
    pub holder: [u8; 32],
}

/// What an upload asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// SHA3-256 of the content.
    pub content: Hash,
    /// Its bytes.
    pub length: u64,
    /// For whom.
    pub owner: Owner,
    /// The first height at which it need not be kept.
    pub until: Height,
}

/// The most that is kept, in bytes as [`charge`] counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quotas {
    /// Of all contents.
    pub total: u64,
    /// Of one scope.
    pub scope: u64,
    /// Of one holder.
    pub holder: u64,
}

/// What a content of this length counts for: whole blocks, and one for its record.
#[must_use]
pub const fn charge(length: u64) -> u64 {
    length.div_ceil(BLOCK).saturating_add(1).saturating_mul(BLOCK)
}

/// What is kept for one content, as it is written beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The content's bytes.
    pub length: u64,
    /// Each owner with the first height at which its hold does not count. Never empty in a store.
    pub holds: BTreeMap<Owner, Height>,
}

/// Longer than any record.
pub(crate) const MAX_RECORD_BYTES: usize = 128 * MAX_OWNERS;

impl Record {
    /// The one encoding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let hold = |(owner, until): (&Owner, &Height)| pb::Hold {
            scope: owner.scope.to_vec(),
            holder: owner.holder.to_vec(),
            until: until.0,
        };
        pb::Record { length: self.length, holds: self.holds.iter().map(hold).collect() }
            .encode_to_vec()
    }

    /// Reads the one encoding; none if it is not one.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let pb = pb::Record::decode(bytes).ok()?;
        let mut record = Self { length: pb.length, holds: BTreeMap::new() };
        for hold in &pb.holds {
            let owner = Owner {
                scope: <[u8; 32]>::try_from(hold.scope.as_slice()).ok()?,
                holder: <[u8; 32]>::try_from(hold.holder.as_slice()).ok()?,
            };
            record.holds.insert(owner, Height(hold.until));
        }
        let valid = (1..=MAX_OWNERS).contains(&record.holds.len());
        (valid && record.encode() == bytes).then_some(record)
    }

    fn hold(&mut self, owner: Owner, until: Height) {
        let held = self.holds.entry(owner).or_insert(until);
        *held = (*held).max(until);
    }
}

/// A hold that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The content.
    pub content: Hash,
    /// What is left of its record; none if the content goes.
    pub left: Option<Record>,
}

/// What is kept, and the room that it takes.
#[derive(Debug, Clone)]
pub struct Ledger {
    quotas: Quotas,
    contents: BTreeMap<Hash, Record>,
    /// The holds by the height at which they end.
    due: BTreeSet<(Height, Hash, Owner)>,
    total: u64,
    scopes: BTreeMap<[u8; 32], u64>,
    holders: BTreeMap<[u8; 32], u64>,
}

fn add(used: &mut BTreeMap<[u8; 32], u64>, key: [u8; 32], bytes: u64) {
    let sum = used.entry(key).or_default();
    *sum = sum.saturating_add(bytes);
}

fn subtract(used: &mut BTreeMap<[u8; 32], u64>, key: [u8; 32], bytes: u64) {
    if let Some(sum) = used.get_mut(&key) {
        *sum = sum.saturating_sub(bytes);
        if *sum == 0 {
            used.remove(&key);
        }
    }
}

impl Ledger {
    /// Nothing is kept.
    #[must_use]
    pub fn new(quotas: Quotas) -> Self {
        Self {
            quotas,
            contents: BTreeMap::new(),
            due: BTreeSet::new(),
            total: 0,
            scopes: BTreeMap::new(),
            holders: BTreeMap::new(),
        }
    }

    /// Takes in a record that was written before, whatever the quotas are now.
    pub fn restore(&mut self, content: Hash, record: Record) {
        let bytes = charge(record.length);
        self.total = self.total.saturating_add(bytes);
        for (owner, until) in &record.holds {
            self.charge_owner(owner, bytes);
            self.due.insert((*until, content, *owner));
        }
        self.contents.insert(content, record);
    }

    /// What is kept of a content.
    #[must_use]
    pub fn record(&self, content: &Hash) -> Option<&Record> {
        self.contents.get(content)
    }

    /// The room that is taken: of all, of a scope, of a holder.
    #[must_use]
    pub fn used(&self, owner: &Owner) -> (u64, u64, u64) {
        let of = |used: &BTreeMap<[u8; 32], u64>, key| used.get(key).copied().unwrap_or_default();
        (self.total, of(&self.scopes, &owner.scope), of(&self.holders, &owner.holder))
    }

    /// Takes room for a content that is still to come. It is given back by [`Ledger::release`] or
    /// turned into a hold by [`Ledger::commit`], one of which follows.
    pub fn reserve(&mut self, claim: &Claim) -> Result<(), DataError> {
        let bytes = charge(claim.length);
        let (total, scope, holder) = self.used(&claim.owner);
        if let Some(record) = self.contents.get(&claim.content)
            && !record.holds.contains_key(&claim.owner)
            && record.holds.len() >= MAX_OWNERS
        {
            let most = MAX_OWNERS as u64;
            return Err(DataError::Quota { of: Quota::Owners, used: most, limit: most });
        }
        // DA-5: the room is taken here, before a byte of the content is read.
        for (of, used, limit) in [
            (Quota::Holder, holder, self.quotas.holder),
            (Quota::Scope, scope, self.quotas.scope),
            (Quota::Store, total, self.quotas.total),
        ] {
            if used.saturating_add(bytes) > limit {
                return Err(DataError::Quota { of, used, limit });
            }
        }
        self.total = self.total.saturating_add(bytes);
        self.charge_owner(&claim.owner, bytes);
        Ok(())
    }

    /// Gives the room of a reservation back.
    pub fn release(&mut self, claim: &Claim) {
        let bytes = charge(claim.length);
        self.total = self.total.saturating_sub(bytes);
        self.discharge_owner(&claim.owner, bytes);
    }

    /// The record that [`Ledger::commit`] will leave, for writing it first.
    #[must_use]
    pub fn record_with(&self, claim: &Claim) -> Record {
        let mut record = self
            .contents
            .get(&claim.content)
            .cloned()
            .unwrap_or(Record { length: claim.length, holds: BTreeMap::new() });
        record.hold(claim.owner, claim.until);
        record
    }

    /// Turns a reservation into a hold. Room that was taken twice is given back: the content, or
    /// this owner's hold, is there already.
    pub fn commit(&mut self, claim: &Claim) {
        let bytes = charge(claim.length);
        let record = self.record_with(claim);
        if let Some(old) = self.contents.insert(claim.content, record) {
            self.total = self.total.saturating_sub(bytes);
            if let Some(until) = old.holds.get(&claim.owner) {
                self.discharge_owner(&claim.owner, bytes);
                self.due.remove(&(*until, claim.content, claim.owner));
            }
        }
        let until = self.contents.get(&claim.content).and_then(|r| r.holds.get(&claim.owner));
        if let Some(until) = until {
            self.due.insert((*until, claim.content, claim.owner));
        }
    }

    /// Keeps a content for one of its owners until a later height. Whether the owner had it.
    pub fn extend(&mut self, content: &Hash, owner: &Owner, until: Height) -> bool {
        let Some(held) = self.contents.get_mut(content).and_then(|r| r.holds.get_mut(owner)) else {
            return false;
        };
        if until > *held {
            self.due.remove(&(*held, *content, *owner));
            self.due.insert((until, *content, *owner));
            *held = until;
        }
        true
    }

    /// Ends the next hold that is over at this height, if there is one.
    pub fn expire(&mut self, now: Height) -> Option<Ended> {
        let (until, content, owner) = *self.due.first()?;
        // DA-6: valid at h means h < until.
        if until > now {
            return None;
        }
        self.due.pop_first();
        let record = self.contents.get_mut(&content)?;
        let bytes = charge(record.length);
        record.holds.remove(&owner);
        let left = (!record.holds.is_empty()).then(|| record.clone());
        self.discharge_owner(&owner, bytes);
        if left.is_none() {
            self.contents.remove(&content);
            self.total = self.total.saturating_sub(bytes);
        }
        Some(Ended { content, left })
    }

    fn charge_owner(&mut self, owner: &Owner, bytes: u64) {
        add(&mut self.scopes, owner.scope, bytes);
        add(&mut self.holders, owner.holder, bytes);
    }

    fn discharge_owner(&mut self, owner: &Owner, bytes: u64) {
        subtract(&mut self.scopes, owner.scope, bytes);
        subtract(&mut self.holders, owner.holder, bytes);
    }
}
