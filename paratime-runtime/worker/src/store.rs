//! What a worker keeps between starts, by runtime.
//!
//! * **Own signatures**: a proposal and a vote by (round, rank, kind), synced before they leave. A
//!   restarted node sends those very bytes, and signs nothing else in their place.
//! * **Outcomes** of executions by (round, state root, I/O root), synced before the vote is signed:
//!   whatever of them becomes final can be applied after a crash.
//! * **Batches** by proposal, for members that ask: at most two a rank, see [`crate::round::Intake`].
//! * **Final rounds**: header, write log, leaves, outputs; and which round each transaction is in.
//! * **Headers** of all rounds, and **pins** of states: see `headers.rs`.

use paralith_consensus_api::roothash::Header;
use paralith_proto::Message;
use paralith_proto::pb::worker::v1::{Proposal, RoundData, VoteMessage};
use paralith_storage::{Column, Durability, Kv, StorageError, WriteBatch};
use paralith_types::{Hash, RuntimeId};

use crate::finality::tx_hash;

/// A worker's part of the node's store.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    kv: Kv,
    prefix: Vec<u8>,
}

/// A round whose outputs could not be opened when its successors' could.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unopened {
    /// How often that was tried.
    pub(crate) tries: u32,
    /// The consensus height from which on it is tried again.
    pub(crate) at: u64,
}

/// What a node signs once for a round and rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Proposal = 0,
    Vote = 1,
}

impl Store {
    pub(crate) fn new(kv: Kv, runtime: &RuntimeId) -> Self {
        Self { kv, prefix: [b"worker/", runtime.as_bytes(), b"/"].concat() }
    }

    pub(crate) fn kv(&self) -> &Kv {
        &self.kv
    }

    pub(crate) fn key(&self, kind: u8, parts: &[&[u8]]) -> Vec<u8> {
        [self.prefix.as_slice(), &[kind], &parts.concat()].concat()
    }

    fn read<T: Message + Default>(&self, key: &[u8]) -> Result<Option<T>, StorageError> {
        let Some(bytes) = self.kv.get(Column::Blocks, key)? else { return Ok(None) };
        T::decode(bytes.as_slice()).map(Some).map_err(|e| damaged(&e.to_string()))
    }

    /// On the disk when it returns: the caller signs or sends next.
    fn write(&self, key: Vec<u8>, value: Vec<u8>) -> Result<(), StorageError> {
        let mut batch = WriteBatch::new();
        batch.put(Column::Blocks, key, value);
        self.kv.write(batch, Durability::Synced)
    }

    // --- own signatures ---

    fn signed_key(&self, round: u64, rank: u64, kind: Kind) -> Vec<u8> {
        self.key(SIGNED, &[&round.to_be_bytes(), &rank.to_be_bytes(), &[kind as u8]])
    }

    /// The proposal that this node signed.
    pub(crate) fn own_proposal(
        &self,
        round: u64,
        rank: u64,
    ) -> Result<Option<Proposal>, StorageError> {
        self.read(&self.signed_key(round, rank, Kind::Proposal))
    }

    /// The vote that this node signed.
    pub(crate) fn own_vote(
        &self,
        round: u64,
        rank: u64,
    ) -> Result<Option<VoteMessage>, StorageError> {
        self.read(&self.signed_key(round, rank, Kind::Vote))
    }

    /// Syncs a proposal with its batch before it leaves.
    pub(crate) fn keep_own_proposal(
        &self,
        round: u64,
        rank: u64,
        proposal: &Proposal,
    ) -> Result<(), StorageError> {
        self.write(self.signed_key(round, rank, Kind::Proposal), proposal.encode_to_vec())
    }

    /// Syncs a vote before it leaves, together with everything written before it.
    pub(crate) fn keep_own_vote(
        &self,
        round: u64,
        rank: u64,
        vote: &VoteMessage,
    ) -> Result<(), StorageError> {
        self.write(self.signed_key(round, rank, Kind::Vote), vote.encode_to_vec())
    }

    // --- outcomes and batches ---

    fn outcome_key(&self, round: u64, state_root: &Hash, io_root: &Hash) -> Vec<u8> {
        let (state, io) = (state_root.as_bytes(), io_root.as_bytes());
        self.key(OUTCOME, &[&round.to_be_bytes(), state, io])
    }

    /// Syncs what an execution gave, before it is voted for.
    pub(crate) fn keep_outcome(
        &self,
        round: u64,
        roots: (&Hash, &Hash),
        outcome: &RoundData,
    ) -> Result<(), StorageError> {
        self.write(self.outcome_key(round, roots.0, roots.1), outcome.encode_to_vec())
    }

    /// What an execution gave.
    pub(crate) fn outcome(
        &self,
        round: u64,
        state_root: &Hash,
        io_root: &Hash,
    ) -> Result<Option<RoundData>, StorageError> {
        self.read(&self.outcome_key(round, state_root, io_root))
    }

    /// Keeps a proposal's batch.
    pub(crate) fn keep_batch(
        &self,
        round: u64,
        id: &Hash,
        proposal: &Proposal,
    ) -> Result<(), StorageError> {
        let mut batch = WriteBatch::new();
        batch.put(Column::Blocks, self.key(BATCH, &[id.as_bytes()]), proposal.encode_to_vec());
        let by_round = self.key(BATCH_OF_ROUND, &[&round.to_be_bytes(), id.as_bytes()]);
        batch.put(Column::Blocks, by_round, id.as_bytes());
        self.kv.write(batch, Durability::Lazy)
    }

    /// Whether a batch is kept.
    pub(crate) fn has_batch(&self, id: &Hash) -> Result<bool, StorageError> {
        Ok(self.kv.get(Column::Blocks, &self.key(BATCH, &[id.as_bytes()]))?.is_some())
    }

    /// A proposal with its batch.
    pub(crate) fn batch(&self, id: &Hash) -> Result<Option<Proposal>, StorageError> {
        self.read(&self.key(BATCH, &[id.as_bytes()]))
    }

    // --- final rounds ---

    /// A final round.
    pub(crate) fn round(&self, round: u64) -> Result<Option<RoundData>, StorageError> {
        self.read(&self.key(ROUND, &[&round.to_be_bytes()]))
    }

    /// What is to be written in one batch with the tree when a round is applied.
    pub(crate) fn applied(
        &self,
        header: &Header,
        data: &RoundData,
    ) -> Result<WriteBatch, StorageError> {
        let mut batch = WriteBatch::new();
        let round = header.round.0;
        self.put_header(&mut batch, header);
        let number = round.to_be_bytes();
        batch.put(Column::Blocks, self.key(ROUND, &[&number]), data.encode_to_vec());
        for hash in data.leaves.iter().filter_map(tx_hash) {
            let key = self.key(TX, &[hash.as_bytes()]);
            // The first is the one that had the effect.
            if self.kv.get(Column::Blocks, &key)?.is_none() {
                batch.put(Column::Blocks, key, number);
            }
        }
        batch.put(Column::Meta, self.key(APPLIED, &[]), number);
        self.forget(&mut batch, round)?;
        Ok(batch)
    }

    /// Opened outputs of a round that is applied. From here on it counts as released.
    pub(crate) fn keep_outputs(&self, round: u64, data: &RoundData) -> Result<(), StorageError> {
        let mut batch = WriteBatch::new();
        let key = self.key(ROUND, &[&round.to_be_bytes()]);
        batch.put(Column::Blocks, key, data.encode_to_vec());
        self.kv.write(batch, Durability::Lazy)
    }

    /// The newest round whose header was taken note of.
    pub(crate) fn applied_round(&self) -> Result<u64, StorageError> {
        self.number(APPLIED)
    }

    /// A round without results has nothing to apply. Its header is missing if the chain has dropped
    /// it.
    pub(crate) fn skip_to(&self, round: u64, header: Option<&Header>) -> Result<(), StorageError> {
        let Some(header) = header else { return self.put_number(APPLIED, round) };
        self.kv.write(self.checkpoint(header), Durability::Lazy)
    }

    /// What is to be written in one batch with the tree when the state after a round was taken from
    /// peers, without the rounds before.
    pub(crate) fn checkpoint(&self, header: &Header) -> WriteBatch {
        let mut batch = WriteBatch::new();
        self.put_header(&mut batch, header);
        batch.put(Column::Meta, self.key(APPLIED, &[]), header.round.0.to_be_bytes());
        batch
    }

    /// The newest round up to which all outputs are opened.
    pub(crate) fn released_round(&self) -> Result<u64, StorageError> {
        self.number(RELEASED)
    }

    pub(crate) fn released_to(&self, round: u64) -> Result<(), StorageError> {
        self.put_number(RELEASED, round)
    }

    /// Keeps a round for another try, and of too many drops the oldest.
    pub(crate) fn keep_unopened(&self, round: u64, one: Unopened) -> Result<(), StorageError> {
        let mut batch = WriteBatch::new();
        let kept = self.unopened()?;
        if kept.len() >= UNOPENED_MAX
            && kept.iter().all(|(other, _)| *other != round)
            && let Some((oldest, _)) = kept.first()
        {
            batch.delete(Column::Meta, self.key(UNOPENED, &[&oldest.to_be_bytes()]));
        }
        let value = [one.tries.to_be_bytes().as_slice(), &one.at.to_be_bytes()].concat();
        batch.put(Column::Meta, self.key(UNOPENED, &[&round.to_be_bytes()]), value);
        self.kv.write(batch, Durability::Lazy)
    }

    /// A round was opened, or is not there any more.
    pub(crate) fn forget_unopened(&self, round: u64) -> Result<(), StorageError> {
        let mut batch = WriteBatch::new();
        batch.delete(Column::Meta, self.key(UNOPENED, &[&round.to_be_bytes()]));
        self.kv.write(batch, Durability::Lazy)
    }

    /// The rounds that are kept for another try, the oldest first.
    pub(crate) fn unopened(&self) -> Result<Vec<(u64, Unopened)>, StorageError> {
        let (from, to) = (self.key(UNOPENED, &[]), self.key(UNOPENED + 1, &[]));
        let found =
            self.kv.range(Column::Meta, &from, Some(&to), UNOPENED_MAX.saturating_add(1))?;
        let one = |(key, value): (Vec<u8>, Vec<u8>)| {
            let round = number_from(key.get(from.len()..).unwrap_or_default())?;
            let (tries, at) =
                value.split_first_chunk::<4>().ok_or_else(|| damaged("an unopened round"))?;
            Ok((round, Unopened { tries: u32::from_be_bytes(*tries), at: number_from(at)? }))
        };
        found.into_iter().map(one).collect()
    }

    /// The round in which a transaction is final.
    pub(crate) fn round_of_tx(&self, hash: &[u8]) -> Result<Option<u64>, StorageError> {
        let found = self.kv.get(Column::Blocks, &self.key(TX, &[hash]))?;
        found.map(|bytes| number_from(&bytes)).transpose()
    }

    /// What the enclave gave to keep sealed.
    pub(crate) fn keep_sealed(&self, sealed: Vec<u8>) -> Result<(), StorageError> {
        let mut batch = WriteBatch::new();
        batch.put(Column::Meta, self.key(SEALED, &[]), sealed);
        self.kv.write(batch, Durability::Synced)
    }

    pub(crate) fn sealed(&self) -> Result<Option<Vec<u8>>, StorageError> {
        self.kv.get(Column::Meta, &self.key(SEALED, &[]))
    }

    /// Drops what no longer helps anybody: outcomes that did not become final, own signatures and
    /// batches of rounds that every member has long passed.
    fn forget(&self, batch: &mut WriteBatch, round: u64) -> Result<(), StorageError> {
        let old = round.saturating_sub(ROUNDS_KEPT).to_be_bytes();
        // RD-13: after so many rounds nobody asks for them any more.
        for (kind, before) in [(OUTCOME, round.to_be_bytes()), (SIGNED, old), (BATCH_OF_ROUND, old)]
        {
            let (from, to) = (self.key(kind, &[]), self.key(kind, &[&before]));
            for (key, value) in self.kv.range(Column::Blocks, &from, Some(&to), FORGET_MAX)? {
                if kind == BATCH_OF_ROUND {
                    batch.delete(Column::Blocks, self.key(BATCH, &[&value]));
                }
                batch.delete(Column::Blocks, key);
            }
        }
        Ok(())
    }

    fn number(&self, kind: u8) -> Result<u64, StorageError> {
        let found = self.kv.get(Column::Meta, &self.key(kind, &[]))?;
        found.map_or(Ok(0), |bytes| number_from(&bytes))
    }

    fn put_number(&self, kind: u8, number: u64) -> Result<(), StorageError> {
        let mut batch = WriteBatch::new();
        batch.put(Column::Meta, self.key(kind, &[]), number.to_be_bytes());
        self.kv.write(batch, Durability::Lazy)
    }
}

pub(crate) fn number_from(bytes: &[u8]) -> Result<u64, StorageError> {
    let bytes = <[u8; 8]>::try_from(bytes).map_err(|_| damaged("a number of unknown form"))?;
    Ok(u64::from_be_bytes(bytes))
}

pub(crate) fn damaged(what: &str) -> StorageError {
    StorageError::Corrupt { what: format!("a worker's record: {what}") }
}

const SIGNED: u8 = b's';
const OUTCOME: u8 = b'o';
const BATCH: u8 = b'b';
const BATCH_OF_ROUND: u8 = b'B';
const ROUND: u8 = b'r';
const TX: u8 = b't';
const APPLIED: u8 = b'a';
const RELEASED: u8 = b'l';
const SEALED: u8 = b'S';
const UNOPENED: u8 = b'u';

/// A member that missed more than this asks for final rounds, not for batches.
const ROUNDS_KEPT: u64 = 64;
/// A round leaves few of each; the bound only keeps one batch small after a long pause.
const FORGET_MAX: usize = 256;
/// More rounds that cannot be opened, at once, are one fault, and not each its own.
const UNOPENED_MAX: usize = 64;
