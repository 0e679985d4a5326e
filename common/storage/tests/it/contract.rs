//! What every backend promises, over all that are built in.

use std::path::Path;

use paralith_storage::{
    Column, Durability, Kv, KvOptions, MARK, StorageError, StoreKind, Tree, WriteBatch,
};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::model::{self, key, write};

/// The durable stores of this build.
fn durable() -> &'static [StoreKind] {
    &[
        #[cfg(feature = "redb")]
        StoreKind::Redb,
        #[cfg(feature = "rocksdb")]
        StoreKind::Rocksdb,
    ]
}

fn open(kind: StoreKind, path: &Path) -> Result<Kv, StorageError> {
    Kv::open_kind(kind, path, KvOptions::default())
}

/// An empty store of each kind, memory first.
fn stores() -> (Vec<Kv>, Vec<TempDir>) {
    let (mut stores, mut folders) = (vec![Kv::memory()], Vec::new());
    for &kind in durable() {
        let folder = tempfile::tempdir().unwrap();
        stores.push(open(kind, folder.path()).unwrap());
        folders.push(folder);
    }
    (stores, folders)
}

fn dump(kv: &Kv) -> Vec<Vec<(Vec<u8>, Vec<u8>)>> {
    Column::ALL.iter().map(|c| kv.range(*c, b"", None, usize::MAX).unwrap()).collect()
}

fn all_equal<T: PartialEq + std::fmt::Debug>(answers: &[T]) {
    for (n, answer) in answers.iter().enumerate() {
        assert_eq!(answer, &answers[0], "store {n} of {:?}", durable());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn all_stores_hold_the_same_bytes(history in model::history(), keep_from in 1u64..10) {
        let (stores, _folders) = stores();
        let trees: Vec<Tree> = stores.iter().map(|kv| Tree::new(kv.clone(), b"a")).collect();
        for (version, (_, changes)) in (1u64..).zip(&history) {
            all_equal(&trees.iter().map(|tree| write(tree, version, changes)).collect::<Vec<_>>());
        }
        all_equal(&stores.iter().map(dump).collect::<Vec<_>>());
        for tree in &trees {
            tree.prune(keep_from).unwrap();
        }
        all_equal(&stores.iter().map(dump).collect::<Vec<_>>());
        let (version, _) = trees[0].latest().unwrap().unwrap();
        all_equal(&trees.iter().map(|tree| tree.prove(version, b"k")).collect::<Vec<_>>());
    }

    #[test]
    fn all_stores_answer_alike(
        pairs in prop::collection::btree_map(model::keys(), any::<u8>(), 0..30),
        from in model::keys(),
        to in model::keys(),
        limit in 0usize..5,
    ) {
        let (stores, _folders) = stores();
        let answers: Vec<_> = stores.into_iter().map(|kv| {
            let mut batch = WriteBatch::new();
            for (key, value) in &pairs {
                // The last write of a key wins.
                batch.delete(Column::Meta, key.clone());
                batch.put(Column::Meta, key.clone(), vec![0]);
                batch.put(Column::Meta, key.clone(), vec![*value]);
            }
            batch.put(Column::Meta, b"gone".to_vec(), vec![]);
            batch.delete(Column::Meta, b"gone".to_vec());
            kv.write(batch, Durability::Synced).unwrap();
            (
                kv.get(Column::Meta, &from).unwrap(),
                kv.get(Column::Meta, b"gone").unwrap(),
                kv.range(Column::Meta, &from, Some(&to), limit).unwrap(),
                kv.range(Column::Meta, &from, None, limit).unwrap(),
                kv.prefix(Column::Meta, &from, None, usize::MAX).unwrap(),
                kv.prefix(Column::Meta, &from, Some(&to), usize::MAX).unwrap(),
                kv.last(Column::Meta, &from, &to).unwrap(),
                kv.last(Column::Meta, b"", &to).unwrap(),
                kv.range(Column::Blocks, b"", None, usize::MAX).unwrap(),
            )
        }).collect();
        all_equal(&answers);
        let prefixed: Vec<_> = pairs.iter().filter(|(key, _)| key.starts_with(&from)).collect();
        prop_assert_eq!(answers[0].4.len(), prefixed.len());
        prop_assert_eq!(&answers[0].1, &None);
    }
}

#[test]
fn large_values_and_batches_are_kept() {
    let (stores, _folders) = stores();
    for kv in stores {
        let mut batch = WriteBatch::new();
        batch.put(Column::Meta, *b"large", vec![7; 9 << 20]);
        for n in 0..10_000u32 {
            batch.put(Column::Nodes, n.to_be_bytes(), n.to_le_bytes());
        }
        kv.write(batch, Durability::Synced).unwrap();
        assert_eq!(kv.get(Column::Meta, b"large").unwrap().unwrap().len(), 9 << 20);
        let pairs = kv.range(Column::Nodes, b"", None, usize::MAX).unwrap();
        assert_eq!(pairs.len(), 10_000);
        assert_eq!(pairs[9_999], (9_999u32.to_be_bytes().into(), 9_999u32.to_le_bytes().into()));
    }
}

#[test]
fn readers_in_other_threads_see_a_batch_whole_or_not_at_all() {
    const KEYS: u8 = 50;
    const BATCHES: u8 = 60;
    let (stores, _folders) = stores();
    for kv in stores {
        let write = |value: u8| {
            let mut batch = WriteBatch::new();
            for key in 0..KEYS {
                batch.put(Column::Meta, [key], [value]);
            }
            kv.write(batch, Durability::Lazy).unwrap();
        };
        write(0);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut last = 0;
                while last < BATCHES {
                    let pairs = kv.range(Column::Meta, b"", None, usize::MAX).unwrap();
                    assert_eq!(pairs.len(), usize::from(KEYS));
                    let value = pairs[0].1[0];
                    assert!(value >= last, "batches become visible in their order");
                    assert!(pairs.iter().all(|(_, other)| other == &[value]), "{pairs:?}");
                    last = value;
                }
            });
            for value in 1..=BATCHES {
                write(value);
            }
            reader.join().unwrap();
        });
    }
}

#[test]
fn what_was_committed_is_there_after_reopening() {
    for &kind in durable() {
        let folder = tempfile::tempdir().unwrap();
        let open =
            |compression| Kv::open_kind(kind, folder.path(), KvOptions { compression }).unwrap();
        let root = {
            let tree = Tree::new(open(true), b"a");
            let changes = model::puts((0..500).map(|n| (key(n), vec![7; 100])));
            let prepared = tree.prepare(None, 5, &changes).unwrap();
            let root = prepared.root();
            tree.commit(prepared, WriteBatch::new(), Durability::Synced).unwrap();
            root
        };
        // The compression may change between starts.
        let tree = Tree::new(open(false), b"a");
        assert_eq!(tree.latest().unwrap(), Some((5, root)));
        assert_eq!(tree.get(5, &key(499)).unwrap(), Some(vec![7; 100]));
        assert_eq!(tree.scan(5, b"", None, usize::MAX).unwrap().len(), 500);
        assert!(tree.prove(5, &key(3)).is_ok());
    }
}

#[test]
fn closing_a_store_keeps_lazy_writes() {
    for &kind in durable() {
        let folder = tempfile::tempdir().unwrap();
        let mut batch = WriteBatch::new();
        batch.put(Column::Meta, *b"k", *b"v");
        open(kind, folder.path()).unwrap().write(batch, Durability::Lazy).unwrap();
        let kv = open(kind, folder.path()).unwrap();
        assert_eq!(kv.get(Column::Meta, b"k").unwrap(), Some(b"v".to_vec()), "{kind:?}");
    }
}

#[test]
fn an_open_store_says_that_it_is_open() {
    for &kind in durable() {
        let folder = tempfile::tempdir().unwrap();
        let _open = open(kind, folder.path()).unwrap();
        let refused = open(kind, folder.path()).unwrap_err();
        let path = folder.path().join(kind.name()).display().to_string();
        assert_eq!(refused, StorageError::Locked { path });
        assert_eq!(refused.code(), 3);
    }
}

#[test]
fn a_folder_that_cannot_be_made_is_an_io_error() {
    for &kind in durable() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, b"in the way").unwrap();
        let refused = open(kind, &file.join("store")).unwrap_err();
        assert!(matches!(refused, StorageError::Io { .. }), "{refused}");
    }
}

/// The first file of the store's own whose name contains `part`.
fn file_of(kind: StoreKind, folder: &Path, part: &str) -> std::path::PathBuf {
    std::fs::read_dir(folder.join(kind.name()))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_string_lossy().contains(part))
        .unwrap()
}

#[test]
fn a_damaged_store_is_refused() {
    for &kind in durable() {
        let folder = tempfile::tempdir().unwrap();
        drop(open(kind, folder.path()).unwrap());
        let part = if kind == StoreKind::Rocksdb { "MANIFEST" } else { "data" };
        let file = file_of(kind, folder.path(), part);
        std::fs::write(&file, b"not a store at all, and long enough to look like one".repeat(99))
            .unwrap();
        let refused = open(kind, folder.path()).unwrap_err();
        assert!(matches!(refused, StorageError::Corrupt { .. }), "{kind:?}: {refused}");
    }
}

#[test]
fn a_store_of_another_kind_is_refused_by_name() {
    for &kind in durable() {
        let other = if kind == StoreKind::Redb { StoreKind::Rocksdb } else { StoreKind::Redb };
        let folder = tempfile::tempdir().unwrap();
        drop(open(kind, folder.path()).unwrap());
        let mark = folder.path().join(MARK);
        assert_eq!(
            std::fs::read_to_string(&mark).unwrap(),
            format!("paralith-store/1 {}\n", kind.name())
        );
        std::fs::write(&mark, format!("paralith-store/1 {}\n", other.name())).unwrap();
        let refused = open(kind, folder.path()).unwrap_err();
        let path = folder.path().display().to_string();
        let found = other.name().to_string();
        assert_eq!(refused, StorageError::OtherStore { path, found, wanted: kind.name() });
        assert_eq!(refused.code(), 11);
        assert!(refused.to_string().contains(other.name()), "{refused}");

        std::fs::write(&mark, b"paralith-store/2 other").unwrap();
        let refused = open(kind, folder.path()).unwrap_err();
        assert!(matches!(refused, StorageError::OtherStore { .. }), "{refused}");
    }
}

#[test]
fn a_folder_with_other_things_in_it_is_left_alone() {
    for &kind in durable() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("CURRENT"), b"MANIFEST-000004\n").unwrap();
        let refused = open(kind, folder.path()).unwrap_err();
        assert!(matches!(refused, StorageError::OtherStore { .. }), "{refused}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}

#[test]
fn a_crash_before_the_mark_leaves_an_empty_store() {
    for &kind in durable() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(".new-store"), b"paralith-st").unwrap();
        drop(open(kind, folder.path()).unwrap());
        // Marked, and nothing else: a crash before the store's own folder was made.
        std::fs::remove_dir_all(folder.path().join(kind.name())).unwrap();
        let kv = open(kind, folder.path()).unwrap();
        assert_eq!(kv.range(Column::Meta, b"", None, 1).unwrap(), vec![]);
    }
}
