//! Pages by hash: what was read (and, where it matters, verified) once is not read again.
//!
//! A page's hash names its content, so an entry is never out of date. The oldest entry makes room.

use std::collections::{BTreeMap, VecDeque};

use paralith_types::Hash;

use crate::page::Page;

#[derive(Debug)]
pub(crate) struct PageCache {
    pages: BTreeMap<Hash, Page>,
    order: VecDeque<Hash>,
    pages_max: usize,
}

impl PageCache {
    pub(crate) fn new(pages_max: usize) -> Self {
        Self { pages: BTreeMap::new(), order: VecDeque::new(), pages_max }
    }

    pub(crate) fn insert(&mut self, hash: Hash, page: Page) {
        if self.pages_max == 0 || self.pages.insert(hash, page).is_some() {
            return;
        }
        self.order.push_back(hash);
        while self.order.len() > self.pages_max {
            if let Some(oldest) = self.order.pop_front() {
                self.pages.remove(&oldest);
            }
        }
    }

    pub(crate) fn page(&self, hash: &Hash) -> Option<&Page> {
        self.pages.get(hash)
    }
}
