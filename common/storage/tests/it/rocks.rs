use paralith_storage::{Column, Kv, KvOptions, StorageError, Tree, WriteBatch};
use proptest::prelude::*;

use crate::model::{self, key, write};

fn dump(kv: &Kv) -> Vec<Vec<(Vec<u8>, Vec<u8>)>> {
    Column::ALL.iter().map(|c| kv.range(*c, b"", None, usize::MAX).unwrap()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn both_stores_hold_the_same_bytes(history in model::history(), keep_from in 1u64..10) {
        let folder = tempfile::tempdir().unwrap();
        let compression = history.len() % 2 == 0;
        let rocks = Kv::open(folder.path(), KvOptions { compression }).unwrap();
        let memory = Kv::memory();
        let trees = [&rocks, &memory].map(|kv| Tree::new(kv.clone(), b"a"));
        for (version, (_, changes)) in (1u64..).zip(&history) {
            let roots = trees.each_ref().map(|tree| write(tree, version, changes));
            prop_assert_eq!(roots[0], roots[1]);
        }
        prop_assert_eq!(dump(&rocks), dump(&memory));
        for tree in &trees {
            tree.prune(keep_from).unwrap();
        }
        prop_assert_eq!(dump(&rocks), dump(&memory));
        let (version, _) = trees[0].latest().unwrap().unwrap();
        prop_assert_eq!(trees[0].prove(version, b"k"), trees[1].prove(version, b"k"));
    }

    #[test]
    fn both_stores_answer_alike(
        pairs in prop::collection::btree_map(model::keys(), any::<u8>(), 0..30),
        from in model::keys(),
        to in model::keys(),
        limit in 0usize..5,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let stores =
            [Kv::open(folder.path(), KvOptions::default()).unwrap(), Kv::memory()];
        let answers = stores.map(|kv| {
            let mut batch = WriteBatch::new();
            for (key, value) in &pairs {
                // The last write of a key wins.
                batch.delete(Column::Meta, key.clone());
                batch.put(Column::Meta, key.clone(), vec![0]);
                batch.put(Column::Meta, key.clone(), vec![*value]);
            }
            kv.write(batch, true).unwrap();
            (
                kv.get(Column::Meta, &from).unwrap(),
                kv.range(Column::Meta, &from, Some(&to), limit).unwrap(),
                kv.range(Column::Meta, &from, None, limit).unwrap(),
                kv.prefix(Column::Meta, &from, None, usize::MAX).unwrap(),
                kv.prefix(Column::Meta, &from, Some(&to), usize::MAX).unwrap(),
                kv.last(Column::Meta, &from, &to).unwrap(),
                kv.last(Column::Meta, b"", &to).unwrap(),
            )
        });
        prop_assert_eq!(&answers[0], &answers[1]);
        let prefixed: Vec<_> = pairs.iter().filter(|(key, _)| key.starts_with(&from)).collect();
        prop_assert_eq!(answers[0].3.len(), prefixed.len());
    }
}

#[test]
fn what_was_committed_is_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let open = |compression| Kv::open(folder.path(), KvOptions { compression }).unwrap();
    let root = {
        let tree = Tree::new(open(true), b"a");
        let changes = model::puts((0..500).map(|n| (key(n), vec![7; 100])));
        let prepared = tree.prepare(None, 5, &changes).unwrap();
        let root = prepared.root();
        tree.commit(prepared, WriteBatch::new(), true).unwrap();
        root
    };
    // The compression may change between starts.
    let tree = Tree::new(open(false), b"a");
    assert_eq!(tree.latest().unwrap(), Some((5, root)));
    assert_eq!(tree.get(5, &key(499)).unwrap(), Some(vec![7; 100]));
    assert_eq!(tree.scan(5, b"", None, usize::MAX).unwrap().len(), 500);
    assert!(tree.prove(5, &key(3)).is_ok());
}

#[test]
fn an_open_store_says_that_it_is_open() {
    let folder = tempfile::tempdir().unwrap();
    let _open = Kv::open(folder.path(), KvOptions::default()).unwrap();
    let refused = Kv::open(folder.path(), KvOptions::default()).unwrap_err();
    assert_eq!(refused, StorageError::Locked { path: folder.path().display().to_string() });
    assert_eq!(refused.code(), 3);
}

#[test]
fn a_folder_that_cannot_be_made_is_an_io_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, b"in the way").unwrap();
    let refused = Kv::open(&file.join("store"), KvOptions::default()).unwrap_err();
    assert!(matches!(refused, StorageError::Io { .. }), "{refused}");
}

#[test]
fn a_damaged_store_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(Kv::open(folder.path(), KvOptions::default()).unwrap());
    let manifest = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_string_lossy().contains("MANIFEST"))
        .unwrap();
    std::fs::write(&manifest, b"not a manifest at all, and long enough to look like one").unwrap();
    let refused = Kv::open(folder.path(), KvOptions::default()).unwrap_err();
    assert!(matches!(refused, StorageError::Corrupt { .. }), "{refused}");
}
