//! Forgetting: old versions on purpose, the latest one when it has to be made again.

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
        let Some((latest, _)) = self.last_version(u64::MAX)? else { return Ok(0) };
        let versions = self.key(VERSION, &[]);
        let end = self.key(VERSION, &keep_from.min(latest).to_be_bytes());
        // ST-8: records go first, so that no reader takes half a version for a whole one.
        let mut dropped = 0u64;
        loop {
            let old = self.kv().range(Column::Nodes, &versions, Some(&end), BATCH)?;
            if old.is_empty() {
                break;
            }
            let mut batch = WriteBatch::new();
            for (key, _) in old {
                batch.delete(Column::Nodes, key);
                dropped = dropped.saturating_add(1);
            }
            self.kv().write(batch, Durability::Lazy)?;
        }
        let Some(oldest) = self.oldest()? else { return Ok(dropped) };
        while self.prune_journal(oldest)? {}
        Ok(dropped)
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
