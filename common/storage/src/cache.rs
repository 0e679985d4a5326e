//! Pages and values by hash: what was read (and, where it matters, verified) once is not read again.
//!
//! A hash names its content, so an entry is never out of date. The oldest entry makes room.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use paralith_types::Hash;

use crate::page::Page;

#[derive(Debug)]
pub(crate) struct PageCache {
    pages: BTreeMap<Hash, Arc<Page>>,
    order: VecDeque<Hash>,
    pages_max: usize,
}

impl PageCache {
    pub(crate) fn new(pages_max: usize) -> Self {
        Self { pages: BTreeMap::new(), order: VecDeque::new(), pages_max }
    }

    pub(crate) fn insert(&mut self, hash: Hash, page: Arc<Page>) {
        if self.pages_max == 0 || self.pages.insert(hash, page).is_some() {
            return;
        }
        self.order.push_back(hash);
        while self.pages.len() > self.pages_max {
            let Some(oldest) = self.order.pop_front() else { break };
            self.pages.remove(&oldest);
        }
        // The order still names what was removed early.
        if self.order.len() > self.pages_max.saturating_mul(2) {
            self.order.retain(|hash| self.pages.contains_key(hash));
        }
    }

    /// Makes room early: the page is not part of the latest version any more.
    pub(crate) fn remove(&mut self, hash: &Hash) {
        self.pages.remove(hash);
    }

    pub(crate) fn page(&self, hash: &Hash) -> Option<Arc<Page>> {
        self.pages.get(hash).cloned()
    }
}

/// Pages that were verified, by their hashes, for all trees that share it. The newest few stay.
///
/// A page says at which places its children are stored, and its hash does not bind that: share it
/// only among trees that read what is stored, and begin anew after a read that failed.
#[derive(Clone)]
pub struct VerifiedPages {
    inner: Arc<Mutex<PageCache>>,
}

/// Some 32 megabytes at most: a page takes about two kilobytes.
const VERIFIED_PAGES_MAX: usize = 16_384;

impl Default for VerifiedPages {
    fn default() -> Self {
        Self::new(VERIFIED_PAGES_MAX)
    }
}

impl VerifiedPages {
    pub(crate) fn new(pages_max: usize) -> Self {
        Self { inner: Arc::new(Mutex::new(PageCache::new(pages_max))) }
    }

    /// Whether these are the same pages, shared.
    #[must_use]
    pub fn are_shared_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    pub(crate) fn page(&self, hash: &Hash) -> Option<Arc<Page>> {
        self.lock().page(hash)
    }

    pub(crate) fn insert(&self, hash: Hash, page: Arc<Page>) {
        self.lock().insert(hash, page);
    }

    /// A panic of another thread leaves it usable: at worst a page is read again.
    fn lock(&self) -> MutexGuard<'_, PageCache> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for VerifiedPages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifiedPages({})", self.lock().pages.len())
    }
}

/// Values that were verified, by their hashes, for all trees that share it. The newest few stay.
#[derive(Clone, Default)]
pub struct VerifiedValues {
    inner: Arc<Mutex<Values>>,
}

#[derive(Default)]
struct Values {
    values: BTreeMap<Hash, Vec<u8>>,
    order: VecDeque<Hash>,
    bytes: usize,
}

/// Most bytes of the values that are kept.
const VALUES_BYTES_MAX: usize = 32 * 1024 * 1024;
/// What a value takes besides its bytes, so that many short ones are bounded, too.
const ENTRY_BYTES: usize = 128;

impl VerifiedValues {
    pub(crate) fn get(&self, hash: &Hash) -> Option<Vec<u8>> {
        self.lock().values.get(hash).cloned()
    }

    pub(crate) fn insert(&self, hash: Hash, value: &[u8]) {
        let mut inner = self.lock();
        let size = |value: &[u8]| value.len().saturating_add(ENTRY_BYTES);
        if size(value) > VALUES_BYTES_MAX || inner.values.contains_key(&hash) {
            return;
        }
        inner.bytes = inner.bytes.saturating_add(size(value));
        inner.values.insert(hash, value.to_vec());
        inner.order.push_back(hash);
        while inner.bytes > VALUES_BYTES_MAX {
            let Some(oldest) = inner.order.pop_front() else { break };
            if let Some(gone) = inner.values.remove(&oldest) {
                inner.bytes = inner.bytes.saturating_sub(size(&gone));
            }
        }
    }

    /// A panic of another thread leaves it usable: at worst a value is read again.
    fn lock(&self) -> MutexGuard<'_, Values> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for VerifiedValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifiedValues({} bytes)", self.lock().bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_values_stay_within_the_bound() {
        let values = VerifiedValues::default();
        let (size, count) = (VALUES_BYTES_MAX / 8, 12_u8);
        for number in 0..count {
            values.insert(Hash([number; 32]), &vec![number; size]);
            values.insert(Hash([number; 32]), &vec![number; size]);
        }
        let kept: Vec<u8> =
            (0..count).filter(|number| values.get(&Hash([*number; 32])).is_some()).collect();
        assert_eq!(kept, [5, 6, 7, 8, 9, 10, 11]);
        values.insert(Hash([99; 32]), &vec![0; VALUES_BYTES_MAX]);
        assert_eq!(values.get(&Hash([99; 32])), None, "larger than all room there is");
        assert_eq!(values.get(&Hash([11; 32])), Some(vec![11; size]));
    }
}
