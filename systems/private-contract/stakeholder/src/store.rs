//! What a member has on its disk for one contract.
//!
//! | where | what |
//! |---|---|
//! | tree `private/<contract>` | the salted state; a version for each batch that ended YES, 0 after `init` |
//! | `prepared/<batch>` | verdict and actions of an executed batch that waits for the others |
//! | `vote/<batch>` | the own vote of it: the only bytes that ever leave |
//! | `log/<batch>` | its writes, calls and results |
//! | `content/<sha3>` | sealed contents |
//! | `kept/<sha3>` | of each the definition's version and the height to which it is kept, 8 bytes each |
//! | `package/<hash>` | packages |
//! | `expected` | the next definition whose package the operator has installed |
//! | `restored` | there until the first batch after a restored backup has ended |
//!
//! PC-19: entries are in [`Column::Blocks`] under `private/<contract>/`. Each change that the protocol relies on is
//! one synced batch: the store is before it or after it, whenever the process dies.

use paralith_crypto::sha3::sha3_256;
use paralith_private_contract_core::StakeholderError;
use paralith_private_contract_core::member::{OnDisk, Prepared, Tip};
use paralith_private_contract_core::messages::{
    Actions, Canonical, ContentHash, ContractId, ContractRecord, ContractVote, Definition,
    MAX_CALL_BYTES, MAX_CONTENT_BYTES, MAX_VOTE_BYTES, Package, Verdict,
};
use paralith_private_contract_core::sealing::MAX_PACKAGE_BYTES;
use paralith_storage::{Changes, Column, Durability, Kv, Pair, StorageError, Tree, WriteBatch};
use paralith_types::{Hash, PublicKey};
use prost::Message as _;

use crate::ServiceError;
use crate::record::{BatchLog, PreparedRecord};

/// Logs of older batches are removed.
const LOGS_KEPT: u64 = 4096;
/// Versions of the tree that are kept for members that heal.
const VERSIONS_KEPT: u64 = 256;
/// Old logs and versions are removed after so many batches.
const PRUNE_EVERY: u64 = 64;
/// Most sealed contents of a contract: as many as transactions that are not final.
const MAX_CONTENTS: usize = 1024;

const COLUMN: Column = Column::Blocks;
/// One vote is kept; a few are taken, so that none stays.
const OLDER_VOTES: usize = 16;

/// A handle on a contract's part of the store; clones share it.
#[derive(Debug, Clone)]
pub struct ContractStore {
    kv: Kv,
    tree: Tree,
    prefix: Vec<u8>,
}

/// A sealed content and for whom it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeptContent {
    /// Of the definition whose members may have it.
    pub(crate) version: u64,
    pub(crate) bytes: Vec<u8>,
}

impl ContractStore {
    /// The contract's part of a store.
    #[must_use]
    pub fn new(kv: Kv, contract: &ContractId) -> Self {
        let namespace = [&b"private/"[..], contract.as_bytes()].concat();
        let tree = Tree::new(kv.clone(), &namespace);
        Self { kv, tree, prefix: [&namespace, &b"/"[..]].concat() }
    }

    /// The salted state.
    #[must_use]
    pub const fn tree(&self) -> &Tree {
        &self.tree
    }

    fn key(&self, kind: &str, rest: &[u8]) -> Vec<u8> {
        [&self.prefix, kind.as_bytes(), b"/", rest].concat()
    }

    fn numbered(&self, kind: &str, batch: u64) -> Vec<u8> {
        self.key(kind, &batch.to_be_bytes())
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        self.kv.get(COLUMN, key)
    }

    /// The newest entry of a kind that has a number.
    fn newest(&self, kind: &str) -> Result<Option<Vec<u8>>, StorageError> {
        let bound = self.numbered(kind, u64::MAX);
        Ok(self.kv.last(COLUMN, &self.key(kind, b""), &bound)?.map(|(_, value)| value))
    }

    /// What a start begins with; `None` before [`ContractStore::begin`].
    pub fn on_disk(&self) -> Result<Option<OnDisk>, ServiceError> {
        let Some((batch, root)) = self.tree.latest()? else { return Ok(None) };
        let prefix = self.key("prepared", b"");
        let bound = self.numbered("prepared", u64::MAX);
        let prepared = match self.kv.last(COLUMN, &prefix, &bound)? {
            Some((key, value)) => {
                let number = key.strip_prefix(prefix.as_slice()).and_then(|n| n.try_into().ok());
                let number = number.map(u64::from_be_bytes);
                let number = number.ok_or_else(|| damaged("prepared/", "its key"))?;
                Some(read_prepared(number, &value)?)
            }
            None => None,
        };
        let vote = self.newest_vote()?;
        let restored = self.get(&self.key("restored", b""))?.is_some();
        Ok(Some(OnDisk { tip: Tip { batch, root }, prepared, vote, restored }))
    }

    /// Writes version 0: what `init` gave. Does nothing if there is a version already.
    pub fn begin(&self, changes: &Changes) -> Result<Hash, ServiceError> {
        if let Some((_, root)) = self.tree.latest()? {
            return Ok(root);
        }
        let prepared = self.tree.prepare(None, 0, changes)?;
        let root = prepared.root();
        self.tree.commit(prepared, WriteBatch::new(), Durability::Synced)?;
        Ok(root)
    }

    /// Marks this store as a restored backup: until a batch has ended, no vote is given of which members or
    /// mediator do not say what it was.
    pub fn mark_restored(&self) -> Result<(), ServiceError> {
        let mut batch = WriteBatch::new();
        batch.put(COLUMN, self.key("restored", b""), vec![1]);
        Ok(self.kv.write(batch, Durability::Synced)?)
    }

    pub(crate) fn clear_restored(&self) -> Result<(), ServiceError> {
        let mut batch = WriteBatch::new();
        batch.delete(COLUMN, self.key("restored", b""));
        Ok(self.kv.write(batch, Durability::Synced)?)
    }

    /// The newest stored vote. It outlives its batch.
    pub fn newest_vote(&self) -> Result<Option<ContractVote>, ServiceError> {
        self.newest("vote")?.map(|bytes| read_vote(&bytes)).transpose()
    }

    /// The stored vote of a batch.
    pub(crate) fn vote(&self, batch: u64) -> Result<Option<ContractVote>, ServiceError> {
        self.get(&self.numbered("vote", batch))?.map(|bytes| read_vote(&bytes)).transpose()
    }

    /// Writes an executed batch, its log and the vote in one synced write. The tree stays.
    pub fn store(
        &self,
        prepared: &Prepared,
        log: &BatchLog,
        vote: Option<&ContractVote>,
    ) -> Result<(), ServiceError> {
        let record = PreparedRecord {
            old_root: prepared.old_root.0.to_vec(),
            verdict: prepared.verdict.encode(),
            actions: prepared.actions.encode(),
        };
        let mut batch = WriteBatch::new();
        let number = prepared.batch;
        batch.put(COLUMN, self.numbered("prepared", number), record.encode_to_vec());
        batch.put(COLUMN, self.numbered("log", number), log.encode_to_vec());
        if let Some(vote) = vote {
            // PC-4: the newest vote outlives its batch, since nobody else may know it any more.
            let (from, to) = (self.key("vote", b""), self.numbered("vote", number));
            let older = self.kv.range(COLUMN, &from, Some(&to), OLDER_VOTES)?;
            older.into_iter().for_each(|(key, _)| batch.delete(COLUMN, key));
            batch.put(COLUMN, self.numbered("vote", number), vote.encode());
        }
        Ok(self.kv.write(batch, Durability::Synced)?)
    }

    /// Removes what is beside the tree of a batch, but for its vote.
    fn forget(&self, number: u64) -> WriteBatch {
        let mut batch = WriteBatch::new();
        batch.delete(COLUMN, self.numbered("prepared", number));
        batch
    }

    /// Applies a prepared batch and removes it, in one atomic write.
    pub fn commit(&self, tip: Tip) -> Result<(), ServiceError> {
        let log = self.log(tip.batch)?.ok_or(ServiceError::Lacks { what: "the prepared batch" })?;
        let base = self.tree.latest()?.map(|(version, _)| version);
        let prepared = self.tree.prepare(base, tip.batch, &log.changes())?;
        if prepared.root() != tip.root {
            return Err(ServiceError::OtherRoot { batch: tip.batch });
        }
        self.tree.commit(prepared, self.forget(tip.batch), Durability::Synced)?;
        self.prune(tip.batch)
    }

    /// Removes a batch that has ended otherwise: a fixed number of entries, whatever it wrote.
    pub fn drop_batch(&self, number: u64) -> Result<(), ServiceError> {
        let mut batch = self.forget(number);
        batch.delete(COLUMN, self.numbered("log", number));
        Ok(self.kv.write(batch, Durability::Synced)?)
    }

    /// The root that these changes lead to from the newest version.
    pub fn root_after(&self, batch: u64, changes: &Changes) -> Result<Hash, ServiceError> {
        let base = self.tree.latest()?.map(|(version, _)| version);
        Ok(self.tree.prepare(base, batch, changes)?.root())
    }

    /// Takes the changes of a batch that others executed, if they lead to its final root. One atomic write.
    pub(crate) fn heal(
        &self,
        to: Tip,
        changes: &Changes,
        log: Option<&BatchLog>,
    ) -> Result<(), ServiceError> {
        let base = self.tree.latest()?.map(|(version, _)| version);
        let prepared = self.tree.prepare(base, to.batch, changes)?;
        if prepared.root() != to.root {
            return Err(ServiceError::OtherRoot { batch: to.batch });
        }
        let mut extra = self.forget(to.batch);
        if let Some(log) = log {
            extra.put(COLUMN, self.numbered("log", to.batch), log.encode_to_vec());
        }
        self.tree.commit(prepared, extra, Durability::Synced)?;
        self.prune(to.batch)
    }

    /// A batch's log.
    pub fn log(&self, batch: u64) -> Result<Option<BatchLog>, ServiceError> {
        let stored = self.get(&self.numbered("log", batch))?;
        let read = |bytes: Vec<u8>| BatchLog::decode(bytes.as_slice());
        stored.map(read).transpose().map_err(|error| damaged("log/", error))
    }

    fn prune(&self, batch: u64) -> Result<(), ServiceError> {
        if !batch.is_multiple_of(PRUNE_EVERY) {
            return Ok(());
        }
        self.tree.prune(batch.saturating_sub(VERSIONS_KEPT))?;
        let (from, to) =
            (self.key("log", b""), self.numbered("log", batch.saturating_sub(LOGS_KEPT)));
        let old = self.kv.range(COLUMN, &from, Some(&to), PRUNE_EVERY as usize * 2)?;
        let mut gone = WriteBatch::new();
        old.into_iter().for_each(|(key, _)| gone.delete(COLUMN, key));
        Ok(self.kv.write(gone, Durability::Lazy)?)
    }

    /// Keeps a sealed content under its hash for the members of a definition, to a height. `false`: too many are
    /// kept.
    pub fn keep_content(
        &self,
        hash: &ContentHash,
        version: u64,
        until: u64,
        bytes: &[u8],
    ) -> Result<bool, ServiceError> {
        if bytes.len() > MAX_CONTENT_BYTES as usize {
            return Err(StakeholderError::ContentSize { limit: MAX_CONTENT_BYTES }.into());
        }
        if sha3_256(bytes) != hash.0 {
            return Err(StakeholderError::ContentHash.into());
        }
        let kept = self.kept_contents()?;
        let key = self.key("kept", hash.as_bytes());
        if kept.len() >= MAX_CONTENTS && kept.iter().all(|(other, _)| *other != key) {
            return Ok(false);
        }
        let mut batch = WriteBatch::new();
        let head = [version.to_be_bytes(), until.to_be_bytes()].concat();
        batch.put(COLUMN, key, head);
        batch.put(COLUMN, self.key("content", hash.as_bytes()), bytes);
        self.kv.write(batch, Durability::Synced)?;
        Ok(true)
    }

    fn kept_contents(&self) -> Result<Vec<Pair>, StorageError> {
        self.kv.prefix(COLUMN, &self.key("kept", b""), None, MAX_CONTENTS)
    }

    pub(crate) fn content(&self, hash: &ContentHash) -> Result<Option<KeptContent>, ServiceError> {
        let Some(head) = self.get(&self.key("kept", hash.as_bytes()))? else { return Ok(None) };
        let Some(bytes) = self.get(&self.key("content", hash.as_bytes()))? else {
            return Ok(None);
        };
        let version = head.first_chunk().ok_or_else(|| damaged("kept/", "its length"))?;
        Ok(Some(KeptContent { version: u64::from_be_bytes(*version), bytes }))
    }

    /// Removes contents of transactions that are final.
    pub(crate) fn drop_contents<'a>(
        &self,
        hashes: impl Iterator<Item = &'a ContentHash>,
    ) -> Result<(), ServiceError> {
        let mut gone = WriteBatch::new();
        for hash in hashes {
            gone.delete(COLUMN, self.key("content", hash.as_bytes()));
            gone.delete(COLUMN, self.key("kept", hash.as_bytes()));
        }
        Ok(self.kv.write(gone, Durability::Lazy)?)
    }

    /// Removes contents whose time is over at this height.
    pub(crate) fn expire_contents(&self, height: u64) -> Result<(), ServiceError> {
        let prefix = self.key("kept", b"");
        let mut gone = WriteBatch::new();
        for (key, head) in self.kept_contents()? {
            let until = head.last_chunk().map(|until| u64::from_be_bytes(*until));
            if until.is_none_or(|until| until < height) {
                let hash = key.strip_prefix(prefix.as_slice()).unwrap_or_default();
                gone.delete(COLUMN, self.key("content", hash));
                gone.delete(COLUMN, key);
            }
        }
        if gone.is_empty() {
            return Ok(());
        }
        Ok(self.kv.write(gone, Durability::Lazy)?)
    }

    /// Keeps a package under its hash.
    pub fn put_package(&self, hash: &Hash, package: &Package) -> Result<(), ServiceError> {
        let mut batch = WriteBatch::new();
        batch.put(COLUMN, self.key("package", &hash.0), package.encode());
        Ok(self.kv.write(batch, Durability::Synced)?)
    }

    /// Keeps the next definition whose package is installed: until it or another one is accepted, its members get the
    /// tree, so that new ones have it before they join.
    pub fn put_expected(&self, definition: &Definition) -> Result<(), ServiceError> {
        let mut batch = WriteBatch::new();
        batch.put(COLUMN, self.key("expected", b""), definition.encode());
        Ok(self.kv.write(batch, Durability::Synced)?)
    }

    /// The members of the next definition whose package is installed, if the contract's next change can be it.
    pub fn expected_members(
        &self,
        record: &ContractRecord,
    ) -> Result<Vec<PublicKey>, ServiceError> {
        let Some(bytes) = self.get(&self.key("expected", b""))? else { return Ok(Vec::new()) };
        let expected = Definition::decode(&bytes, MAX_CALL_BYTES)
            .map_err(|error| damaged("expected", error))?;
        let is_next = Some(expected.version) == record.last_version.checked_add(1);
        Ok(if is_next { expected.members } else { Vec::new() })
    }

    pub(crate) fn package(&self, hash: &Hash) -> Result<Option<Package>, ServiceError> {
        let stored = self.get(&self.key("package", &hash.0))?;
        let read = |bytes: Vec<u8>| Package::decode(&bytes, MAX_PACKAGE_BYTES);
        stored.map(read).transpose().map_err(|error| damaged("package/", error))
    }
}

fn damaged(what: &'static str, reason: impl ToString) -> ServiceError {
    ServiceError::damaged(what, reason)
}

fn read_vote(bytes: &[u8]) -> Result<ContractVote, ServiceError> {
    ContractVote::decode(bytes, MAX_VOTE_BYTES).map_err(|error| damaged("vote/", error))
}

fn read_prepared(batch: u64, bytes: &[u8]) -> Result<Prepared, ServiceError> {
    let what = "prepared/";
    let record = PreparedRecord::decode(bytes).map_err(|error| damaged(what, error))?;
    let old_root: [u8; 32] =
        record.old_root.as_slice().try_into().map_err(|error| damaged(what, error))?;
    let limit = MAX_VOTE_BYTES;
    Ok(Prepared {
        batch,
        old_root: Hash(old_root),
        verdict: Verdict::decode(&record.verdict, limit).map_err(|error| damaged(what, error))?,
        actions: Actions::decode(&record.actions, limit).map_err(|error| damaged(what, error))?,
    })
}
