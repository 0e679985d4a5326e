use std::collections::BTreeMap;

use paralith_storage::{Checkpoint, Kv, Overlay, Snapshot, StateRead, Tree};
use proptest::prelude::*;

use crate::model::{self, State, key, puts, write};

#[derive(Debug, Clone)]
enum Op {
    Set(Vec<u8>, Vec<u8>),
    Remove(Vec<u8>),
    Checkpoint,
    Commit,
    Rollback,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        4 => (model::keys(), any::<u8>()).prop_map(|(key, value)| Op::Set(key, vec![value])),
        3 => model::keys().prop_map(Op::Remove),
        2 => Just(Op::Checkpoint),
        1 => Just(Op::Commit),
        1 => Just(Op::Rollback),
    ];
    prop::collection::vec(op, 0..60)
}

proptest! {
    #[test]
    fn an_overlay_reads_as_a_map_with_savepoints(base in model::changes(), ops in ops()) {
        let tree = Tree::new(Kv::memory(), b"a");
        write(&tree, 1, &base);
        let snapshot = Snapshot::new(tree.clone(), Some(1));
        let mut overlay = Overlay::new(&snapshot);
        let mut state: State = tree.scan(1, b"", None, usize::MAX).unwrap().into_iter().collect();
        let mut open: Vec<(Checkpoint, State)> = Vec::new();
        for op in ops {
            match op {
                Op::Set(key, value) => {
                    state.insert(key.clone(), value.clone());
                    overlay.set(key, value);
                }
                Op::Remove(key) => {
                    state.remove(&key);
                    overlay.remove(key);
                }
                Op::Checkpoint => open.push((overlay.checkpoint(), state.clone())),
                Op::Commit => {
                    if let Some((checkpoint, _)) = open.pop() {
                        overlay.commit(checkpoint);
                    }
                }
                Op::Rollback => {
                    if let Some((checkpoint, before)) = open.pop() {
                        overlay.rollback(checkpoint);
                        state = before;
                    }
                }
            }
            for n in 0..42u8 {
                let key = vec![b'k', n];
                prop_assert_eq!(overlay.get(&key).unwrap(), state.get(&key).cloned());
            }
            for (prefix, limit) in [(&b""[..], usize::MAX), (b"k", 3), (b"\0", 2), (b"", 1)] {
                let scanned = overlay.scan(prefix, None, limit).unwrap();
                let want: Vec<_> = state
                    .iter()
                    .filter(|(key, _)| key.starts_with(prefix))
                    .take(limit)
                    .map(|(key, value)| (key.clone(), value.clone()))
                    .collect();
                prop_assert_eq!(&scanned, &want);
                if let Some((last, _)) = scanned.last() {
                    let rest = overlay.scan(prefix, Some(last), usize::MAX).unwrap();
                    let next = state.range(last.clone()..).nth(1).map(|(key, _)| key);
                    let next = next.filter(|key| key.starts_with(prefix));
                    prop_assert_eq!(rest.first().map(|(key, _)| key), next);
                }
            }
        }
        // What the overlay holds makes the tree that it showed.
        let root = tree.prepare(Some(1), 2, &overlay.into_changes()).unwrap().root();
        let at_once = Tree::new(Kv::memory(), b"b").prepare(None, 2, &puts(state)).unwrap().root();
        prop_assert_eq!(root, at_once);
    }
}

#[test]
fn overlays_nest() {
    let tree = model::tree_of(3);
    let snapshot = Snapshot::new(tree, Some(1));
    let mut outer = Overlay::new(&snapshot);
    outer.remove(key(0));
    let mut inner = Overlay::new(&outer);
    assert_eq!(inner.get(&key(0)).unwrap(), None);
    inner.set(key(0), *b"back");
    inner.remove(key(1));
    assert_eq!(inner.scan(b"k", None, 9).unwrap().len(), 2);
    assert_eq!(outer.get(&key(1)).unwrap(), Some(b"value 1".to_vec()));
    let changes = inner.into_changes();
    outer.apply(changes);
    assert_eq!(outer.get(&key(0)).unwrap(), Some(b"back".to_vec()));
    assert_eq!(
        outer.into_changes(),
        BTreeMap::from([(key(0), Some(b"back".to_vec())), (key(1), None)])
    );
}

#[test]
fn before_the_first_version_there_is_nothing() {
    let snapshot = Snapshot::new(model::tree_of(3), None);
    assert_eq!(snapshot.get(&key(0)).unwrap(), None);
    assert_eq!(snapshot.scan(b"", None, 9).unwrap(), vec![]);
}
