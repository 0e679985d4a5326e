//! Pages by hash: what was read (and, where it matters, verified) once is not read again.
//!
//! A page's hash names its content, so an entry is never out of date. The oldest entry makes room.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

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
