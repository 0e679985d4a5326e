use std::collections::BTreeMap;

use paralith_storage::{
    Changes, EMPTY_ROOT, Kv, LocalSource, NodeSource, StorageError, Tree, VerifiedTree,
};
use proptest::prelude::*;

use crate::model::{self, key, puts, write};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn reads_and_roots_equal_the_trees(history in model::history(), cached in 0usize..40) {
        let tree = Tree::new(Kv::memory(), b"a");
        let root = write(&tree, 1, &Changes::new());
        let mut verified = VerifiedTree::with_cache(Source::honest(&tree), 1, root, cached);
        for (version, (_, changes)) in (2u64..).zip(&history) {
            let root = verified.root_after(version, changes).unwrap();
            prop_assert_eq!(root, write(&tree, version, changes));
            verified.advance(version, root);
            for n in 0..42u8 {
                let key = vec![b'k', n];
                prop_assert_eq!(verified.get(&key), tree.get(version, &key));
            }
        }
    }

    #[test]
    fn a_lying_source_never_gets_a_wrong_value_through(
        history in prop::collection::vec(model::changes(), 2..5),
        next in model::changes(),
        lie in lies(),
    ) {
        let tree = Tree::new(Kv::memory(), b"a");
        for (version, changes) in (1u64..).zip(&history) {
            write(&tree, version, changes);
        }
        let (version, root) = tree.latest().unwrap().unwrap();
        let truth = tree.prepare(Some(version), version + 1, &next).unwrap().root();
        let source = || Source { tree: tree.clone(), lie: Some(lie.clone()), asked: 0 };
        let mut verified = VerifiedTree::new(source(), version, root);
        for n in 0..42u8 {
            let key = vec![b'k', n];
            match verified.get(&key) {
                Ok(value) => prop_assert_eq!(value, tree.get(version, &key).unwrap()),
                Err(error) => prop_assert!(blames_the_source(&error), "{error}"),
            }
        }
        match VerifiedTree::new(source(), version, root).root_after(version + 1, &next) {
            Ok(root) => prop_assert_eq!(root, truth),
            Err(error) => prop_assert!(blames_the_source(&error), "{error}"),
        }
    }
}

fn blames_the_source(error: &StorageError) -> bool {
    matches!(error, StorageError::Unverifiable { .. } | StorageError::Missing { .. })
}

#[derive(Debug, Clone)]
enum Lie {
    /// Flips one bit of the n-th answer.
    Flip { answer: usize, at: usize },
    /// Gives the n-th node of another version.
    Stale { answer: usize, version: u64 },
    /// Does not give the n-th answer.
    Withhold { answer: usize },
    /// Gives one node for every question.
    Always { bytes: Vec<u8> },
    /// Says of every value that it is another.
    Values { bytes: Vec<u8> },
}

fn lies() -> impl Strategy<Value = Lie> {
    let answer = || 0usize..6;
    let bytes = || prop::collection::vec(any::<u8>(), 0..80);
    prop_oneof![
        4 => (answer(), any::<usize>()).prop_map(|(answer, at)| Lie::Flip { answer, at }),
        2 => (answer(), 1u64..5).prop_map(|(answer, version)| Lie::Stale { answer, version }),
        1 => answer().prop_map(|answer| Lie::Withhold { answer }),
        1 => bytes().prop_map(|bytes| Lie::Always { bytes }),
        1 => bytes().prop_map(|bytes| Lie::Values { bytes }),
    ]
}

struct Source {
    tree: Tree,
    lie: Option<Lie>,
    asked: usize,
}

impl Source {
    fn honest(tree: &Tree) -> Self {
        Self { tree: tree.clone(), lie: None, asked: 0 }
    }
}

fn flip(mut bytes: Vec<u8>, at: usize) -> Vec<u8> {
    let bits = bytes.len() * 8;
    if bits > 0 {
        bytes[at % bits / 8] ^= 1 << (at % 8);
    }
    bytes
}

impl NodeSource for Source {
    fn node(&mut self, id: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        self.asked += 1;
        let asked = self.asked - 1;
        let truth = self.tree.node_source(0).node(id)?;
        Ok(match &self.lie {
            Some(Lie::Flip { answer, at }) if asked == *answer => truth.map(|b| flip(b, *at)),
            Some(Lie::Withhold { answer }) if asked == *answer => None,
            Some(Lie::Stale { answer, version }) if asked == *answer => {
                let stale = [&version.to_be_bytes(), id.get(8..).unwrap_or(&[])].concat();
                self.tree.node_source(0).node(&stale)?.or(truth)
            }
            Some(Lie::Always { bytes }) => Some(bytes.clone()),
            _ => truth,
        })
    }

    fn value(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        let (latest, _) = self.tree.latest()?.expect("a version");
        match &self.lie {
            Some(Lie::Values { bytes }) => Ok(Some(bytes.clone())),
            _ => self.tree.get(latest, key),
        }
    }
}

#[test]
fn every_bit_of_every_node_counts_or_names_only_a_place() {
    let tree = model::tree_of(24);
    let root = tree.root(1).unwrap().unwrap();
    let next: Changes = BTreeMap::from([(key(3), None), (key(100), Some(vec![1]))]);
    let truth = tree.prepare(Some(1), 2, &next).unwrap().root();
    for answer in 0..4 {
        for at in 0..8 * paralith_storage::MAX_NODE_BYTES {
            let lie = Some(Lie::Flip { answer, at });
            let source = Source { tree: tree.clone(), lie: lie.clone(), asked: 0 };
            let mut verified = VerifiedTree::new(source, 1, root);
            if let Ok(value) = verified.get(&key(3)) {
                assert_eq!(value, Some(b"value 3".to_vec()), "{lie:?}");
            }
            if let Ok(root) = verified.root_after(2, &next) {
                assert_eq!(root, truth, "{lie:?}");
            }
        }
    }
}

#[test]
fn a_withheld_value_is_missing_and_not_absent() {
    struct Withholding(LocalSource);
    impl NodeSource for Withholding {
        fn node(&mut self, id: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
            self.0.node(id)
        }
        fn value(&mut self, _key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
            Ok(None)
        }
    }
    let tree = model::tree_of(5);
    let root = tree.root(1).unwrap().unwrap();
    let mut verified = VerifiedTree::new(Withholding(tree.node_source(1)), 1, root);
    assert_eq!(verified.get(&key(1)), Err(StorageError::Missing { what: "a value" }));
    assert_eq!(verified.get(b"absent"), Ok(None));
}

#[test]
fn what_was_verified_or_computed_is_not_asked_for_again() {
    let tree = model::tree_of(200);
    let root = tree.root(1).unwrap().unwrap();
    let mut verified = VerifiedTree::new(Source::honest(&tree), 1, root);
    let changes = puts((0..200).map(|n| (key(n), vec![1])));
    let next = verified.root_after(2, &changes).unwrap();
    let asked = verified.source_mut().asked;
    assert!(asked > 0);
    write(&tree, 2, &changes);
    verified.advance(2, next);
    assert_eq!(verified.get(&key(17)), Ok(Some(vec![1])));
    assert_eq!(verified.root_after(3, &changes), Ok(next));
    assert_eq!(verified.source_mut().asked, asked);
}

#[test]
fn the_empty_tree_needs_no_source() {
    struct Nobody;
    impl NodeSource for Nobody {
        fn node(&mut self, _id: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
            Ok(None)
        }
        fn value(&mut self, _key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
            Ok(None)
        }
    }
    let mut verified = VerifiedTree::new(Nobody, 0, EMPTY_ROOT);
    assert_eq!(verified.get(b"k"), Ok(None));
    let changes = puts([(b"k".to_vec(), b"v".to_vec()), (b"l".to_vec(), b"v".to_vec())]);
    let root = Tree::new(Kv::memory(), b"a").prepare(None, 1, &changes).unwrap().root();
    assert_eq!(verified.root_after(1, &changes), Ok(root));
    let mut other = VerifiedTree::new(Nobody, 1, root);
    assert_eq!(other.get(b"k"), Err(StorageError::Missing { what: "a root" }));
}
