//! Forgetting: old versions on purpose, the latest one when it has to be made again.

use std::collections::BTreeSet;

use crate::flat;
use crate::journal::Journal;
use crate::page::NodeId;
use crate::tree::{JOURNAL, Tree, VERSION, version_of};
use crate::{Column, Durability, StorageError, WriteBatch};

impl Tree {
    /// Drops the versions before `keep_from`, but never the latest. All others stay readable.
    /// Gives the number of versions that were dropped.
    ///
    /// A crash in between leaves garbage, not damage; the next call removes it.
    pub fn prune(&self, keep_from: u64) -> Result<u64, StorageError> {
        self.prune_except(keep_from, &BTreeSet::new())
    }

    /// As [`Tree::prune`], but keeps the versions in `keep` too.
    ///
    /// Replaced values of versions between those stay on the disk until the older ones go; replaced
    /// pages, which are most of it, do not.
    pub fn prune_except(&self, keep_from: u64, keep: &BTreeSet<u64>) -> Result<u64, StorageError> {
        let Some((latest, _)) = self.last_version(u64::MAX)? else { return Ok(0) };
        let end = keep_from.min(latest);
        let (count, dropped) = self.drop_records(end, keep)?;
        let Some(oldest) = self.oldest()? else { return Ok(count) };
        while self.prune_journal(oldest)? {}
        // Among those that stay, the others' pages go.
        if let Some((first, last)) = dropped
            && last > oldest
        {
            self.compact(first.max(oldest), end, keep)?;
        }
        Ok(count)
    }

    /// Removes the records of versions before `end`. Gives how many there were, the first and the last.
    fn drop_records(
        &self,
        end: u64,
        keep: &BTreeSet<u64>,
    ) -> Result<(u64, Option<(u64, u64)>), StorageError> {
        let mut from = self.key(VERSION, &[]);
        let end = self.key(VERSION, &end.to_be_bytes());
        // ST-8: records go first, so that no reader takes half a version for a whole one.
        let (mut count, mut dropped) = (0u64, None);
        loop {
            let old = self.kv().range(Column::Nodes, &from, Some(&end), BATCH)?;
            let Some((last, _)) = old.last() else { return Ok((count, dropped)) };
            from = [last.as_slice(), &[0]].concat();
            let mut batch = WriteBatch::new();
            for (key, _) in old {
                let version = version_of(&key)?;
                if !keep.contains(&version) {
                    batch.delete(Column::Nodes, key);
                    count = count.saturating_add(1);
                    let (first, _) = dropped.unwrap_or((version, version));
                    dropped = Some((first, version));
                }
            }
            self.kv().write(batch, Durability::Lazy)?;
        }
    }

    /// Removes the pages that only versions between `first` and `end` used. They were replaced by a
    /// version after `first` and not after the first one that is kept from `end` on.
    fn compact(&self, first: u64, end: u64, keep: &BTreeSet<u64>) -> Result<(), StorageError> {
        let from = self.key(VERSION, &end.to_be_bytes());
        let kept = self.kv().range(Column::Nodes, &from, None, 1)?;
        let Some((kept, _)) = kept.first() else { return Ok(()) };
        let kept = version_of(kept)?;
        let mut next = first.saturating_add(1);
        while next <= kept {
            let from = self.key(JOURNAL, &next.to_be_bytes());
            let to = self.key(JOURNAL, &kept.saturating_add(1).to_be_bytes());
            let found = self.kv().range(Column::Nodes, &from, Some(&to), 1)?;
            let Some((key, bytes)) = found.into_iter().next() else { return Ok(()) };
            let version = version_of(&key)?;
            let mut journal = Journal::from_bytes(&bytes)?;
            let mut batch = WriteBatch::new();
            journal.replaced.retain(|id| {
                let is_read = keep.range(id.version..version).next().is_some();
                if !is_read {
                    batch.delete(Column::Nodes, self.page_key(*id));
                }
                is_read
            });
            batch.put(Column::Nodes, key, journal.to_bytes()?);
            self.kv().write(batch, Durability::Lazy)?;
            next = version.saturating_add(1);
        }
        Ok(())
    }

    /// Removes what the first journal up to `oldest` (the oldest kept version) made obsolete.
    /// Says whether there was one.
    fn prune_journal(&self, oldest: u64) -> Result<bool, StorageError> {
        let found = self.kv().prefix(Column::Nodes, &self.key(JOURNAL, &[]), None, 1)?;
        let Some((journal_key, bytes)) = found.into_iter().next() else { return Ok(false) };
        if version_of(&journal_key)? > oldest {
            return Ok(false);
        }
        let journal = Journal::from_bytes(&bytes)?;
        let mut batch = WriteBatch::new();
        for id in journal.replaced {
            batch.delete(Column::Nodes, self.page_key(id));
        }
        for key in &journal.keys {
            flat::prune(&mut batch, self.kv(), self.prefix(), key, oldest)?;
        }
        batch.delete(Column::Nodes, journal_key);
        self.kv().write(batch, Durability::Lazy)?;
        Ok(true)
    }

    /// Takes back the latest version, together with `extra` in one batch, and gives the version
    /// that is the latest then. The version before must still be kept, and nobody may read meanwhile.
    pub fn rollback(
        &self,
        extra: WriteBatch,
        durability: Durability,
    ) -> Result<Option<u64>, StorageError> {
        let Some((version, _)) = self.last_version(u64::MAX)? else {
            return Err(StorageError::VersionMissing { version: 0 });
        };
        let journal_key = self.key(JOURNAL, &version.to_be_bytes());
        let bytes = self.kv().get(Column::Nodes, &journal_key)?;
        let journal = Journal::from_bytes(&bytes.ok_or(StorageError::VersionMissing { version })?)?;
        // ST-9: only to a version that is kept.
        if let Some(base) = journal.base
            && self.root_slot(base)?.is_none()
        {
            return Err(StorageError::VersionMissing { version: base });
        }
        let mut batch = WriteBatch::new();
        batch.delete(Column::Nodes, self.key(VERSION, &version.to_be_bytes()));
        batch.delete(Column::Nodes, journal_key);
        for index in 0..journal.written {
            batch.delete(Column::Nodes, self.page_key(NodeId { version, index }));
        }
        for key in &journal.keys {
            flat::unwrite(&mut batch, self.kv(), self.prefix(), key, version)?;
        }
        batch.append(extra);
        self.kv().write(batch, durability)?;
        Ok(journal.base)
    }
}

/// Version records removed at once.
const BATCH: usize = 1024;
