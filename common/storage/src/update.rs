//! Applies a sorted set of changes to a tree: the one algorithm, for believed and unbelieved pages.
//!
//! Each page on the way of a change is read once and, if something below it changed, written and
//! hashed once. A subtree that ends as it began keeps its pages, so changes without effect give the
//! old root. New pages are numbered in the order in which they are finished, which depends on the
//! tree and the changes alone: every replica gives them the same ids.

use std::collections::BTreeMap;
use std::sync::Arc;

use paralith_types::Hash;

use crate::StorageError;
use crate::hash::{key_hash, nibble, value_hash};
use crate::page::{MAX_DEPTH, NodeId, Page, Pages, SLOTS, Slot};
use crate::tree::Changes;

/// What an update makes: the new root, the pages it needs, and the pages it replaces.
#[derive(Debug)]
pub(crate) struct Update {
    pub(crate) root: Slot,
    pub(crate) written: Vec<(Hash, Arc<Page>)>,
    pub(crate) replaced: Vec<(Hash, NodeId)>,
}

/// A key's new value hash, or none if the key goes.
type Change = (Hash, Option<Hash>);

/// The tree under `root` after `changes`, with its new pages numbered under `version`.
pub(crate) fn update(
    pages: &mut impl Pages,
    root: Slot,
    version: u64,
    changes: &Changes,
) -> Result<Update, StorageError> {
    let hashed: BTreeMap<Hash, Option<Hash>> = changes
        .iter()
        .map(|(key, value)| (key_hash(key), value.as_deref().map(value_hash)))
        .collect();
    let hashed: Vec<Change> = hashed.into_iter().collect();
    let mut updater = Updater { pages, version, written: Vec::new(), replaced: Vec::new() };
    let root = updater.slot(root, 0, &hashed)?;
    Ok(Update { root, written: updater.written, replaced: updater.replaced })
}

struct Updater<'a, P> {
    pages: &'a mut P,
    version: u64,
    written: Vec<(Hash, Arc<Page>)>,
    replaced: Vec<(Hash, NodeId)>,
}

impl<P: Pages> Updater<'_, P> {
    fn slot(&mut self, slot: Slot, depth: usize, changes: &[Change]) -> Result<Slot, StorageError> {
        let Some((path, _)) = changes.first() else { return Ok(slot) };
        match slot {
            Slot::Empty => self.build(depth, &puts(changes, None)),
            Slot::Leaf { key, value } => self.build(depth, &puts(changes, Some((key, value)))),
            Slot::Page { hash, id } => {
                let before = self.pages.page(&hash, id, path, depth)?;
                let mut after = *before.slots();
                for (n, group) in by_nibble(changes, depth, |change| &change.0) {
                    if let Some(slot) = after.get_mut(n) {
                        *slot = self.slot(*slot, depth + 1, group)?;
                    }
                }
                if after == *before.slots() {
                    return Ok(slot);
                }
                self.confirm_left_alone(before.slots(), &after, path, depth)?;
                self.replaced.push((hash, id));
                self.finish(&after, |after| before.with_slots(after))
            }
        }
    }

    /// The subtree of these leaves alone.
    fn build(&mut self, depth: usize, leaves: &[(Hash, Hash)]) -> Result<Slot, StorageError> {
        match leaves {
            [] => Ok(Slot::Empty),
            [(key, value)] => Ok(Slot::Leaf { key: *key, value: *value }),
            // Different keys differ in one of their 64 nibbles.
            _ if depth >= MAX_DEPTH => Err(StorageError::Unverifiable { what: "leaf" }),
            _ => {
                let mut slots = [Slot::Empty; SLOTS];
                for (n, group) in by_nibble(leaves, depth, |leaf| &leaf.0) {
                    if let Some(slot) = slots.get_mut(n) {
                        *slot = self.build(depth + 1, group)?;
                    }
                }
                self.finish(&slots, Page::new)
            }
        }
    }

    /// A page that is left with nothing or with one leaf gives way to it.
    fn finish(
        &mut self,
        slots: &[Slot; SLOTS],
        hashed: impl FnOnce([Slot; SLOTS]) -> Page,
    ) -> Result<Slot, StorageError> {
        let mut present = slots.iter().filter(|slot| !matches!(slot, Slot::Empty));
        match (present.next(), present.next()) {
            (None, _) => return Ok(Slot::Empty),
            (Some(leaf @ Slot::Leaf { .. }), None) => return Ok(*leaf),
            _ => {}
        }
        let index = u32::try_from(self.written.len())
            .map_err(|_| StorageError::TooLarge { what: "a version's set of pages" })?;
        let page = hashed(*slots);
        let hash = page.hash();
        self.written.push((hash, Arc::new(page)));
        Ok(Slot::Page { hash, id: NodeId { version: self.version, index } })
    }

    fn confirm_left_alone(
        &mut self,
        before: &[Slot; SLOTS],
        after: &[Slot; SLOTS],
        path: &Hash,
        depth: usize,
    ) -> Result<(), StorageError> {
        for (n, slot) in before.iter().enumerate() {
            let left_alone = before[n ^ 1] != Slot::Empty && after[n ^ 1] == Slot::Empty;
            if let (true, Slot::Page { hash, id }) = (left_alone, slot) {
                self.pages.confirm_page(hash, *id, &with_nibble(path, depth, n), depth + 1)?;
            }
        }
        Ok(())
    }
}

/// The leaves that changes leave behind where at most one leaf was.
fn puts(changes: &[Change], existing: Option<(Hash, Hash)>) -> Vec<(Hash, Hash)> {
    let mut leaves: BTreeMap<Hash, Hash> = existing.into_iter().collect();
    for (key, value) in changes {
        match value {
            Some(value) => leaves.insert(*key, *value),
            None => leaves.remove(key),
        };
    }
    leaves.into_iter().collect()
}

/// Splits sorted items into runs that go into the same slot of the page at `depth`.
fn by_nibble<T>(
    items: &[T],
    depth: usize,
    key: impl Fn(&T) -> &Hash + Copy,
) -> impl Iterator<Item = (usize, &[T])> {
    let slot_of = move |item: &T| nibble(key(item), depth);
    let same = move |a: &T, b: &T| slot_of(a) == slot_of(b);
    items.chunk_by(same).filter_map(move |run| run.first().map(|item| (slot_of(item), run)))
}

/// A path that follows `path` for `depth` pages and then goes into slot `n`.
fn with_nibble(path: &Hash, depth: usize, n: usize) -> Hash {
    let mut path = *path;
    if let (Some(byte), Ok(n)) = (path.0.get_mut(depth / 2), u8::try_from(n)) {
        *byte = if depth.is_multiple_of(2) { (*byte & 15) | (n << 4) } else { (*byte & 0xf0) | n };
    }
    path
}
