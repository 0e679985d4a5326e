use std::collections::BTreeMap;

use paralith_storage::{
    Changes, Column, Durability, EMPTY_ROOT, Kv, StorageError, Tree, WriteBatch,
};
use proptest::prelude::*;

use crate::model::{self, Jmt, State, apply, puts, write};

/// Everything that can be read of a version.
fn check(tree: &Tree, version: u64, state: &State) {
    for n in 0..42u8 {
        let key = vec![b'k', n];
        assert_eq!(tree.get(version, &key).unwrap().as_ref(), state.get(&key), "{key:?}");
    }
    for (key, value) in state {
        assert_eq!(tree.get(version, key).unwrap().as_ref(), Some(value));
    }
    let all: State = tree.scan(version, b"", None, usize::MAX).unwrap().into_iter().collect();
    assert_eq!(&all, state);
    for prefix in [&b"k"[..], b"\0", b"\0\xff", b"\xff", b"\x01\0"] {
        let want: Vec<_> = state
            .iter()
            .filter(|(key, _)| key.starts_with(prefix))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        assert_eq!(tree.scan(version, prefix, None, usize::MAX).unwrap(), want, "{prefix:?}");
        let mut paged: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        loop {
            let after = paged.last().map(|(key, _)| key.clone());
            let page = tree.scan(version, prefix, after.as_deref(), 3).unwrap();
            if page.is_empty() {
                break;
            }
            assert!(page.len() <= 3);
            paged.extend(page);
        }
        assert_eq!(paged, want, "in pages, {prefix:?}");
    }
}

fn replay(tree: &Tree, history: &[(u64, Changes)]) -> BTreeMap<u64, State> {
    let (mut states, mut state, mut version) = (BTreeMap::new(), State::new(), 0);
    for (step, changes) in history {
        version += step;
        state = apply(&state, changes);
        write(tree, version, changes);
        states.insert(version, state.clone());
    }
    states
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn every_version_reads_as_the_map_it_was(history in model::history()) {
        let tree = Tree::new(Kv::memory(), b"a");
        for (version, state) in replay(&tree, &history) {
            check(&tree, version, &state);
        }
    }

    #[test]
    fn the_root_is_that_of_the_crate_jmt(history in model::history()) {
        let tree = Tree::new(Kv::memory(), b"a");
        let mut other = Jmt::default();
        for (version, (_, changes)) in (1u64..).zip(&history) {
            prop_assert_eq!(write(&tree, version, changes), other.write(changes));
        }
    }

    #[test]
    fn the_root_depends_on_the_contents_alone(history in model::history()) {
        let tree = Tree::new(Kv::memory(), b"a");
        let states = replay(&tree, &history);
        for (version, state) in states {
            let at_once = Tree::new(Kv::memory(), b"b")
                .prepare(None, 7, &puts(state.clone()))
                .unwrap();
            prop_assert_eq!(tree.root(version).unwrap(), Some(at_once.root()));
            prop_assert_eq!(at_once.root() == EMPTY_ROOT, state.is_empty());
        }
    }

    #[test]
    fn pruning_keeps_the_kept_versions_and_drops_the_rest(
        history in model::history(),
        keep_from in 0u64..30,
        more in model::history(),
    ) {
        let kv = Kv::memory();
        let tree = Tree::new(kv.clone(), b"a");
        let mut states = replay(&tree, &history);
        let latest = *states.keys().next_back().unwrap();
        tree.prune(keep_from).unwrap();
        // A fresh handle: nothing may come from the cache.
        let tree = Tree::new(kv.clone(), b"a");
        for (version, state) in &states {
            if *version >= keep_from.min(latest) {
                check(&tree, *version, state);
            } else {
                let missing = Err(StorageError::VersionMissing { version: *version });
                prop_assert_eq!(tree.get(*version, b"k"), missing);
                prop_assert_eq!(tree.root(*version).unwrap(), None);
            }
        }
        // Life goes on, and pruning to the last version leaves no garbage at all.
        let (mut state, mut version) = (states.remove(&latest).unwrap(), latest);
        for (step, changes) in &more {
            version += step;
            state = apply(&state, changes);
            write(&tree, version, changes);
            check(&tree, version, &state);
        }
        tree.prune(u64::MAX).unwrap();
        check(&Tree::new(kv.clone(), b"a"), version, &state);
        let entries = |column| kv.range(column, b"", None, usize::MAX).unwrap().len();
        prop_assert_eq!((entries(Column::Latest), entries(Column::History)), (state.len(), 0));
        let fresh = Kv::memory();
        write(&Tree::new(fresh.clone(), b"a"), version, &puts(state));
        let nodes = |kv: &Kv| kv.range(Column::Nodes, b"", None, usize::MAX).unwrap().len();
        // The fresh store has its journal still.
        prop_assert_eq!(nodes(&kv) + 1, nodes(&fresh));
    }

    #[test]
    fn versions_that_are_kept_by_name_stay_readable_and_leave_no_garbage_when_they_go(
        history in model::history(),
        more in model::history(),
        kept in prop::collection::btree_set(1u64..20, 0..4),
        bounds in (0u64..20, 0u64..40),
    ) {
        let kv = Kv::memory();
        let tree = Tree::new(kv.clone(), b"a");
        let mut states = replay(&tree, &history);
        tree.prune_except(bounds.0, &kept).unwrap();
        let mut latest = *states.keys().next_back().unwrap();
        let stays = |version: u64, bound: u64, latest: u64| {
            version >= bound.min(latest) || kept.contains(&version)
        };
        states.retain(|version, _| stays(*version, bounds.0, latest));
        for (step, changes) in &more {
            let state = apply(&states[&latest], changes);
            latest += step;
            write(&tree, latest, changes);
            states.insert(latest, state);
        }
        tree.prune_except(bounds.1, &kept).unwrap();
        let tree = Tree::new(kv.clone(), b"a");
        for (version, state) in &states {
            if stays(*version, bounds.1, latest) {
                check(&tree, *version, state);
            } else {
                prop_assert_eq!(tree.root(*version).unwrap(), None);
            }
        }
        tree.prune(u64::MAX).unwrap();
        let state = &states[&latest];
        check(&Tree::new(kv.clone(), b"a"), latest, state);
        let entries = |column| kv.range(column, b"", None, usize::MAX).unwrap().len();
        prop_assert_eq!((entries(Column::Latest), entries(Column::History)), (state.len(), 0));
        let fresh = Kv::memory();
        write(&Tree::new(fresh.clone(), b"a"), latest, &puts(state.clone()));
        let nodes = |kv: &Kv| kv.range(Column::Nodes, b"", None, usize::MAX).unwrap().len();
        prop_assert_eq!(nodes(&kv) + 1, nodes(&fresh));
    }

    #[test]
    fn a_rollback_leaves_the_store_as_it_was(
        history in model::history(),
        last in model::changes(),
    ) {
        let kv = Kv::memory();
        let tree = Tree::new(kv.clone(), b"a");
        let states = replay(&tree, &history);
        let dump = || Column::ALL.map(|c| kv.range(c, b"", None, usize::MAX).unwrap());
        let (before, latest) = (dump(), *states.keys().next_back().unwrap());
        write(&tree, latest + 1, &last);
        prop_assert_eq!(tree.rollback(WriteBatch::new(), Durability::Synced).unwrap(), Some(latest));
        prop_assert_eq!(dump(), before);
        // The same version again, otherwise: nothing of the first one shows through.
        let again = puts([(b"again".to_vec(), b"x".to_vec())]);
        write(&tree, latest + 1, &again);
        check(&tree, latest + 1, &apply(&states[&latest], &again));
    }
}

#[test]
fn an_empty_tree_has_the_empty_root() {
    let tree = Tree::new(Kv::memory(), b"a");
    assert_eq!(tree.latest().unwrap(), None);
    assert_eq!(tree.prepare(None, 1, &Changes::new()).unwrap().root(), EMPTY_ROOT);
    assert_eq!(write(&tree, 1, &Changes::new()), EMPTY_ROOT);
    assert_eq!(tree.latest().unwrap(), Some((1, EMPTY_ROOT)));
    assert_eq!(tree.scan(1, b"", None, 10).unwrap(), vec![]);
}

#[test]
fn an_empty_block_leaves_the_root_and_writes_no_node() {
    let tree = model::tree_of(100);
    let root = tree.root(1).unwrap();
    let nodes = |tree: &Tree| tree.kv().range(Column::Nodes, b"", None, usize::MAX).unwrap().len();
    let before = nodes(&tree);
    assert_eq!(Some(write(&tree, 2, &Changes::new())), root);
    // A root and a journal.
    assert_eq!(nodes(&tree), before + 2);
    // Setting what is set and removing what is not there is no change either.
    let idle =
        BTreeMap::from([(model::key(7), Some(b"value 7".to_vec())), (b"not there".to_vec(), None)]);
    assert_eq!(Some(write(&tree, 3, &idle)), root);
    assert_eq!(nodes(&tree), before + 4);
}

#[test]
fn preparing_writes_nothing() {
    let tree = model::tree_of(10);
    let dump = || tree.kv().range(Column::Nodes, b"", None, usize::MAX).unwrap();
    let before = dump();
    let prepared = tree.prepare(Some(1), 2, &puts([(vec![1], vec![2])])).unwrap();
    assert_ne!(Some(prepared.root()), tree.root(1).unwrap());
    assert_eq!(dump(), before);
    assert_eq!(tree.get(1, &[1]).unwrap(), None);
}

#[test]
fn a_version_follows_the_latest_or_is_refused() {
    let tree = model::tree_of(3);
    let change = puts([(vec![1], vec![2])]);
    let none = tree.prepare(Some(1), 1, &change).unwrap_err();
    assert_eq!(none, StorageError::NotAfter { version: 1, latest: 1 });
    let unknown = tree.prepare(Some(9), 10, &change).unwrap_err();
    assert_eq!(unknown, StorageError::VersionMissing { version: 9 });

    let (first, second) =
        (tree.prepare(Some(1), 2, &change).unwrap(), tree.prepare(Some(1), 3, &change).unwrap());
    tree.commit(first, WriteBatch::new(), Durability::Synced).unwrap();
    let moved = tree.commit(second, WriteBatch::new(), Durability::Synced).unwrap_err();
    assert_eq!(moved, StorageError::BaseMoved { base: Some(1), latest: Some(2) });
    assert_eq!(moved.code(), 9);
}

#[test]
fn trees_in_one_store_do_not_meet() {
    let kv = Kv::memory();
    let names = [&b""[..], b"a", b"a\0", b"a\0\0", b"aa", b"\xff"];
    for (n, name) in (0u8..).zip(names) {
        write(&Tree::new(kv.clone(), name), 1, &puts([(vec![], vec![n]), (vec![n], vec![n])]));
    }
    for (n, name) in (0u8..).zip(names) {
        let tree = Tree::new(kv.clone(), name);
        let all = tree.scan(1, b"", None, usize::MAX).unwrap();
        assert_eq!(all, vec![(vec![], vec![n]), (vec![n], vec![n])]);
        assert_eq!(tree.oldest().unwrap(), Some(1));
    }
}

#[test]
fn what_is_written_beside_a_version_is_written_with_it() {
    let tree = model::tree_of(3);
    let mut extra = WriteBatch::new();
    extra.put(Column::Meta, *b"height", *b"2");
    let prepared = tree.prepare(Some(1), 2, &Changes::new()).unwrap();
    tree.commit(prepared, extra.clone(), Durability::Synced).unwrap();
    assert_eq!(tree.kv().get(Column::Meta, b"height").unwrap(), Some(b"2".to_vec()));
    let late = tree.prepare(Some(1), 3, &Changes::new()).unwrap();
    extra.put(Column::Meta, *b"height", *b"3");
    tree.commit(late, extra, Durability::Synced).unwrap_err();
    assert_eq!(tree.kv().get(Column::Meta, b"height").unwrap(), Some(b"2".to_vec()));
}

#[test]
fn rolling_back_ends_where_history_ends() {
    let tree = model::tree_of(3);
    write(&tree, 2, &Changes::new());
    tree.prune(2).unwrap();
    let refused = tree.rollback(WriteBatch::new(), Durability::Synced).unwrap_err();
    assert_eq!(refused, StorageError::VersionMissing { version: 2 });
    let tree = model::tree_of(3);
    assert_eq!(tree.rollback(WriteBatch::new(), Durability::Synced).unwrap(), None);
    assert_eq!(tree.latest().unwrap(), None);
}

#[test]
fn keys_and_values_have_limits() {
    let tree = Tree::new(Kv::memory(), b"a");
    let long = puts([(vec![0; paralith_storage::MAX_KEY_BYTES + 1], vec![])]);
    let refused = tree.prepare(None, 1, &long).unwrap_err();
    assert_eq!(refused, StorageError::TooLarge { what: "a key" });
    write(&tree, 1, &puts([(vec![0; paralith_storage::MAX_KEY_BYTES], vec![0; 1 << 20])]));
}

#[test]
fn a_scan_passes_long_histories() {
    let tree = Tree::new(Kv::memory(), b"a");
    for version in 1..=400u64 {
        let hot = version.to_be_bytes().to_vec();
        write(&tree, version, &puts([(b"b".to_vec(), hot.clone()), (b"d".to_vec(), hot)]));
    }
    write(&tree, 401, &puts([(b"a".to_vec(), vec![]), (b"c".to_vec(), vec![])]));
    for version in [1u64, 2, 200, 400] {
        let value = version.to_be_bytes().to_vec();
        let want = vec![(b"b".to_vec(), value.clone()), (b"d".to_vec(), value)];
        assert_eq!(tree.scan(version, b"", None, 10).unwrap(), want);
    }
    assert_eq!(tree.scan(401, b"", Some(b"a"), 2).unwrap().len(), 2);
}

#[test]
fn pruning_around_a_kept_version_frees_the_pages_between() {
    let kv = Kv::memory();
    let tree = Tree::new(kv.clone(), b"a");
    for version in 1..=100u64 {
        let hot = version.to_be_bytes().to_vec();
        write(&tree, version, &(0..20).map(|n| (vec![n], Some(hot.clone()))).collect());
    }
    tree.prune_except(100, &[3].into()).unwrap();
    assert_eq!(tree.get(3, &[7]).unwrap(), Some(3u64.to_be_bytes().to_vec()));
    assert!(tree.prove(3, &[7]).is_ok());
    assert_eq!(tree.versions(10).unwrap(), [3, 100]);
    let nodes = kv.range(Column::Nodes, b"", None, usize::MAX).unwrap();
    let nodes: usize = nodes.iter().map(|(_, value)| value.len()).sum();
    let fresh = Kv::memory();
    let one: Changes = (0..20).map(|n| (vec![n], Some(vec![1; 8]))).collect();
    write(&Tree::new(fresh.clone(), b"a"), 1, &one);
    let of_one = fresh.range(Column::Nodes, b"", None, usize::MAX).unwrap();
    let of_one: usize = of_one.iter().map(|(_, value)| value.len()).sum();
    // Two versions' pages, and a hundred journals of twenty keys.
    assert!(nodes < 2 * of_one + 100 * 256, "{nodes} bytes, one version has {of_one}");
}
