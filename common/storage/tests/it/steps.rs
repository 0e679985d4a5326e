//! What reads cost, and what they give while the tree changes between two calls of the backend.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use paralith_storage::{
    Backend, Changes, Column, Durability, Kv, Pair, StorageError, Tree, WriteBatch,
};

use crate::model::{key, puts, write};

/// Memory that counts what is read: one step for each call and for each pair that it gives. Before
/// the call `at` it runs `between` once.
struct Watched {
    inner: Kv,
    steps: AtomicU64,
    calls: AtomicU64,
    at: AtomicU64,
    between: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Watched {
    fn new(inner: Kv) -> Arc<Self> {
        Arc::new(Self {
            inner,
            steps: AtomicU64::new(0),
            calls: AtomicU64::new(0),
            at: AtomicU64::new(u64::MAX),
            between: Mutex::new(None),
        })
    }

    /// Steps of `read`.
    fn steps<T>(&self, read: impl FnOnce() -> T) -> (u64, T) {
        let before = self.steps.load(Ordering::Relaxed);
        let result = read();
        (self.steps.load(Ordering::Relaxed) - before, result)
    }

    fn call(&self) {
        self.steps.fetch_add(1, Ordering::Relaxed);
        if self.calls.fetch_add(1, Ordering::Relaxed) == self.at.load(Ordering::Relaxed)
            && let Some(between) = self.between.lock().unwrap().take()
        {
            between();
        }
    }

    fn gave(&self, pairs: usize) {
        self.steps.fetch_add(u64::try_from(pairs).unwrap(), Ordering::Relaxed);
    }
}

impl std::fmt::Debug for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watched")
    }
}

impl Backend for Watched {
    fn write(&self, batch: WriteBatch, durability: Durability) -> Result<(), StorageError> {
        self.inner.write(batch, durability)
    }

    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        self.call();
        self.inner.get(column, key)
    }

    fn range(
        &self,
        column: Column,
        from: &[u8],
        to: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Pair>, StorageError> {
        self.call();
        let found = self.inner.range(column, from, to, limit)?;
        self.gave(found.len());
        Ok(found)
    }

    fn last_at_most(&self, column: Column, bound: &[u8]) -> Result<Option<Pair>, StorageError> {
        self.call();
        self.inner.last(column, b"", bound)
    }
}

fn queued(n: u64) -> Vec<u8> {
    [b"queue/".as_slice(), &n.to_be_bytes()].concat()
}

/// One block of a queue: one message comes, the oldest goes, and a counter changes.
fn block(tree: &Tree, version: u64) {
    let mut changes = puts([
        (queued(version), vec![1; 50]),
        (b"queue/".to_vec(), version.to_be_bytes().to_vec()),
        (b"same".to_vec(), b"same".to_vec()),
    ]);
    if version > 10 {
        changes.insert(queued(version - 10), None);
    }
    write(tree, version, &changes);
}

#[test]
fn a_scan_of_the_newest_state_costs_the_same_after_ten_times_as_many_versions() {
    const N: u64 = 100;
    let kv = Watched::new(Kv::memory());
    let tree = Tree::new(Kv::new(kv.clone()), b"app");
    let mut costs = Vec::new();
    let mut version = 0;
    for versions in [N, 10 * N] {
        while version < versions {
            version += 1;
            block(&tree, version);
        }
        let (whole, found) = kv.steps(|| tree.scan(version, b"queue/", None, 100).unwrap());
        assert_eq!(found.len(), 11);
        let (first, found) =
            kv.steps(|| tree.scan(version, b"queue/", Some(b"queue/"), 1).unwrap());
        assert_eq!(found[0].0, queued(version - 9));
        let gone = queued(version - 10);
        let (absent, found) = kv.steps(|| tree.get(version, &gone).unwrap());
        assert_eq!(found, None);
        let (changed, _) = kv.steps(|| block(&tree, version + 1));
        version += 1;
        costs.push((whole, first, absent, changed));
    }
    assert_eq!(costs[0], costs[1]);
}

#[test]
fn a_change_without_effect_writes_nothing() {
    let kv = Kv::memory();
    let tree = Tree::new(kv.clone(), b"app");
    block(&tree, 1);
    let values =
        || [Column::Latest, Column::History].map(|c| kv.range(c, b"", None, usize::MAX).unwrap());
    let before = values();
    let idle: Changes =
        [(b"same".to_vec(), Some(b"same".to_vec())), (b"not there".to_vec(), None)].into();
    let prepared = tree.prepare(Some(1), 2, &idle).unwrap();
    assert_eq!(prepared.changes(), &Changes::new());
    tree.commit(prepared, WriteBatch::new(), Durability::Lazy).unwrap();
    assert_eq!(values(), before);
}

/// Reads version 3 once for each call that this makes to the backend, while another version is
/// committed before that call; gives the number of calls. Version 3 is the latest at first, or not.
fn read_while_committing(is_latest: bool) -> u64 {
    let old = puts((0..400).map(|n| (key(n), vec![1])));
    let newer: Changes =
        (0..400).filter(|n| n % 3 == 0).map(|n| (key(n), (n % 2 == 0).then(|| vec![2]))).collect();
    let newest: Changes = (100..600)
        .map(|n| (key(n), (n % 5 != 0).then(|| vec![3])))
        .chain((0..50).map(|n| (key(n), None)))
        .collect();
    for at in 0.. {
        let inner = Kv::memory();
        let writer = Tree::new(inner.clone(), b"app");
        write(&writer, 1, &old);
        write(&writer, 3, &newer);
        let want = writer.scan(3, b"", None, usize::MAX).unwrap();
        let page: Vec<Pair> = want
            .iter()
            .filter(|(key, _)| key.starts_with(b"k1") && key.as_slice() > b"k1")
            .take(70)
            .cloned()
            .collect();
        let value = writer.get(3, &key(102)).unwrap();
        let mut latest = 3;
        if !is_latest {
            latest = write_next(&writer, latest, &puts((50..450).map(|n| (key(n * 2), vec![4]))));
        }
        let prepared = writer.prepare(Some(latest), latest + 1, &newest).unwrap();

        let kv = Watched::new(inner);
        let tree = Tree::new(Kv::new(kv.clone()), b"app");
        kv.at.store(at, Ordering::Relaxed);
        *kv.between.lock().unwrap() = Some(Box::new(move || {
            writer.commit(prepared, WriteBatch::new(), Durability::Lazy).unwrap();
        }));
        assert_eq!(tree.get(3, &key(102)).unwrap(), value, "commit before call {at}");
        assert_eq!(tree.scan(3, b"", None, usize::MAX).unwrap(), want, "commit before call {at}");
        assert_eq!(tree.scan(3, b"k1", Some(b"k1"), 70).unwrap(), page, "commit before call {at}");
        if kv.between.lock().unwrap().is_some() {
            return at;
        }
    }
    unreachable!("every read ends")
}

fn write_next(tree: &Tree, latest: u64, changes: &Changes) -> u64 {
    write(tree, latest + 1, changes);
    latest + 1
}

#[test]
fn a_read_gives_its_version_whatever_is_committed_between_two_calls() {
    let calls = [read_while_committing(true), read_while_committing(false)];
    assert!(calls[0] >= 8 && calls[1] > 15, "{calls:?}");
}

#[test]
fn an_old_version_is_read_across_long_runs_of_removed_and_younger_keys() {
    let tree = Tree::new(Kv::memory(), b"app");
    write(&tree, 1, &puts((0..1000).map(|n| (key(n), vec![1]))));
    write(&tree, 2, &(0..990).map(|n| (key(n), None)).collect());
    for version in 3..300 {
        write(&tree, version, &puts([(b"k5x".to_vec(), version.to_be_bytes().to_vec())]));
    }
    assert_eq!(tree.scan(1, b"", None, usize::MAX).unwrap().len(), 1000);
    assert_eq!(tree.scan(2, b"", None, usize::MAX).unwrap().len(), 10);
    assert_eq!(tree.scan(299, b"", None, usize::MAX).unwrap().len(), 11);
    assert_eq!(tree.scan(200, b"", None, usize::MAX).unwrap().len(), 11);
    assert_eq!(tree.scan(1, b"", Some(b"k5"), 7).unwrap().len(), 7);
}
