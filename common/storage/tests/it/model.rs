//! What a tree is compared with: a plain map for each version, and the crate `jmt` for roots.

use std::cell::RefCell;
use std::collections::BTreeMap;

use jmt::storage::{LeafNode, Node, NodeKey, TreeReader};
use jmt::{JellyfishMerkleTree, KeyHash, OwnedValue, Version};
use paralith_storage::{Changes, Durability, Kv, Tree, WriteBatch};
use paralith_types::Hash;
use proptest::prelude::*;
use sha2_10::{Digest, Sha256};

pub(crate) type State = BTreeMap<Vec<u8>, Vec<u8>>;

pub(crate) fn apply(state: &State, changes: &Changes) -> State {
    let mut state = state.clone();
    for (key, value) in changes {
        match value {
            Some(value) => state.insert(key.clone(), value.clone()),
            None => state.remove(key),
        };
    }
    state
}

/// Prepares and commits; gives the root.
pub(crate) fn write(tree: &Tree, version: u64, changes: &Changes) -> Hash {
    let base = tree.latest().unwrap().map(|(version, _)| version);
    let prepared = tree.prepare(base, version, changes).unwrap();
    let root = prepared.root();
    tree.commit(prepared, WriteBatch::new(), Durability::Lazy).unwrap();
    root
}

pub(crate) fn puts(pairs: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>) -> Changes {
    pairs.into_iter().map(|(key, value)| (key, Some(value))).collect()
}

/// A tree in memory with keys `k0..kn` at version 1.
pub(crate) fn tree_of(count: u32) -> Tree {
    let tree = Tree::new(Kv::memory(), b"test");
    write(&tree, 1, &puts((0..count).map(|n| (key(n), format!("value {n}").into_bytes()))));
    tree
}

pub(crate) fn key(n: u32) -> Vec<u8> {
    format!("k{n}").into_bytes()
}

/// Keys from a small set full of zeros, common beginnings and the empty key, so that sets,
/// overwrites and removals meet and the escaping matters.
pub(crate) fn keys() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(prop_oneof![Just(0u8), Just(1), Just(0xff)], 0..4),
        (0u8..40).prop_map(|n| vec![b'k', n]),
    ]
}

pub(crate) fn changes() -> impl Strategy<Value = Changes> {
    let value = prop_oneof![
        3 => prop::collection::vec(any::<u8>(), 0..5).prop_map(Some),
        2 => Just(None),
    ];
    prop::collection::btree_map(keys(), value, 0..25)
}

/// Each version's distance from the one before, and its changes.
pub(crate) fn history() -> impl Strategy<Value = Vec<(u64, Changes)>> {
    prop::collection::vec((1u64..4, changes()), 1..10)
}

pub(crate) fn hash_key(key: &[u8]) -> [u8; 32] {
    Sha256::new_with_prefix(b"paralith/state-key/1\0").chain_update(key).finalize().into()
}

/// The crate `jmt` over nodes in memory.
#[derive(Default)]
pub(crate) struct Jmt {
    nodes: RefCell<BTreeMap<NodeKey, Node>>,
    values: RefCell<BTreeMap<(KeyHash, Version), Option<OwnedValue>>>,
    version: Version,
}

impl Jmt {
    pub(crate) fn write(&mut self, changes: &Changes) -> Hash {
        let changes = changes.iter().map(|(k, v)| (KeyHash(hash_key(k)), v.clone()));
        let tree = JellyfishMerkleTree::<_, Sha256>::new(&*self);
        let (root, update) = tree.put_value_set(changes, self.version).unwrap();
        let batch = update.node_batch;
        self.nodes.borrow_mut().extend(batch.nodes().clone());
        for ((version, key), value) in batch.values() {
            self.values.borrow_mut().insert((*key, *version), value.clone());
        }
        self.version += 1;
        Hash(root.0)
    }
}

impl TreeReader for Jmt {
    fn get_node_option(&self, key: &NodeKey) -> Result<Option<Node>, anyhow::Error> {
        Ok(self.nodes.borrow().get(key).cloned())
    }

    fn get_value_option(
        &self,
        max: Version,
        key: KeyHash,
    ) -> Result<Option<OwnedValue>, anyhow::Error> {
        let values = self.values.borrow();
        Ok(values.range((key, 0)..=(key, max)).next_back().and_then(|(_, v)| v.clone()))
    }

    fn get_rightmost_leaf(&self) -> Result<Option<(NodeKey, LeafNode)>, anyhow::Error> {
        Ok(None)
    }
}
