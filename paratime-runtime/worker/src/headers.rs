//! Headers of past rounds, each naming its predecessor's hash. Consensus keeps the newest ones only;
//! an older one is proven by the chain from it to one of those.

use paralith_consensus_api::roothash::Header;
use paralith_proto::Canonical;
use paralith_storage::{Column, Durability, StorageError, WriteBatch};

use crate::store::{Store, damaged, number_from};

impl Store {
    /// Adds a header to what is written.
    pub(crate) fn put_header(&self, batch: &mut WriteBatch, header: &Header) {
        let key = self.key(HEADER, &[&header.round.0.to_be_bytes()]);
        batch.put(Column::Blocks, key, header.encode());
    }

    /// The header of a round.
    pub(crate) fn header(&self, round: u64) -> Result<Option<Header>, StorageError> {
        let found = self.kv().get(Column::Blocks, &self.key(HEADER, &[&round.to_be_bytes()]))?;
        found.as_deref().map(decode).transpose()
    }

    /// Up to `limit` headers from a round on, in their order. There may be gaps.
    pub(crate) fn headers(&self, from: u64, limit: usize) -> Result<Vec<Header>, StorageError> {
        let (from, to) = (self.key(HEADER, &[&from.to_be_bytes()]), self.key(HEADER + 1, &[]));
        let found = self.kv().range(Column::Blocks, &from, Some(&to), limit)?;
        found.iter().map(|(_, bytes)| decode(bytes)).collect()
    }

    /// Drops the oldest headers that pin a height below `bound`; a few at a time.
    pub(crate) fn forget_headers(&self, bound: u64) -> Result<(), StorageError> {
        let mut batch = WriteBatch::new();
        for header in self.headers(0, FORGOTTEN_AT_ONCE)? {
            if header.consensus_height.0 < bound {
                let key = self.key(HEADER, &[&header.round.0.to_be_bytes()]);
                batch.delete(Column::Blocks, key);
            }
        }
        if batch.is_empty() { Ok(()) } else { self.kv().write(batch, Durability::Lazy) }
    }

    /// Keeps a version of the tree from being pruned, under a name; see [`Store::pins`].
    pub(crate) fn pin(&self, name: &str, round: u64) -> Result<(), StorageError> {
        let mut batch = WriteBatch::new();
        batch.put(Column::Meta, self.key(PIN, &[name.as_bytes()]), round.to_be_bytes());
        self.kv().write(batch, Durability::Synced)
    }

    /// Takes a pin back.
    pub(crate) fn unpin(&self, name: &str) -> Result<(), StorageError> {
        let mut batch = WriteBatch::new();
        batch.delete(Column::Meta, self.key(PIN, &[name.as_bytes()]));
        self.kv().write(batch, Durability::Synced)
    }

    /// The rounds that are pinned.
    pub(crate) fn pins(&self) -> Result<Vec<u64>, StorageError> {
        let (from, to) = (self.key(PIN, &[]), self.key(PIN + 1, &[]));
        let found = self.kv().range(Column::Meta, &from, Some(&to), usize::MAX)?;
        found.iter().map(|(_, round)| number_from(round)).collect()
    }
}

fn decode(bytes: &[u8]) -> Result<Header, StorageError> {
    Header::decode(bytes, HEADER_MAX_BYTES).map_err(|e| damaged(&e.to_string()))
}

const HEADER: u8 = b'h';
const PIN: u8 = b'p';

const HEADER_MAX_BYTES: usize = 4096;
/// A round adds one header, so the old ones go faster than new ones come.
const FORGOTTEN_AT_ONCE: usize = 4;
