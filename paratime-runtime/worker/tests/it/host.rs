//! What an enclave reads through its host.

use std::sync::Arc;

use paralith_runtime_worker::HostStore;
use paralith_storage::{Changes, Durability, Kv, StorageError, Tree, VerifiedTree, WriteBatch};

use crate::net::{NodeChain, RUNTIME, Setup, TestChain};

struct Source(HostStore, u64);

impl paralith_storage::NodeSource for Source {
    fn node(&mut self, id: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.0.state_node(self.1, id).unwrap())
    }

    fn value(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.0.state_value(self.1, key).unwrap())
    }
}

#[tokio::test]
async fn state_can_be_read_at_any_final_round_also_at_those_that_changed_nothing() {
    let kv = Kv::memory();
    let tree = Tree::new(kv.clone(), RUNTIME.as_bytes());
    let mut roots = Vec::new();
    for (base, round, value) in [(None, 2, b"old"), (Some(2), 5, b"new")] {
        let changes = Changes::from([(b"key".to_vec(), Some(value.to_vec()))]);
        let prepared = tree.prepare(base, round, &changes).unwrap();
        roots.push(prepared.root());
        tree.commit(prepared, WriteBatch::new(), Durability::Synced).unwrap();
    }
    let chain = NodeChain::of(&Arc::new(TestChain::new(&Setup::three())), 0);
    let host = HostStore::new(chain, kv, &RUNTIME, paralith_rt::Handle::current());
    for (round, root, value) in
        [(2, roots[0], b"old"), (4, roots[0], b"old"), (5, roots[1], b"new"), (9, roots[1], b"new")]
    {
        let mut read = VerifiedTree::new(Source(host.clone(), round), round, root);
        assert_eq!(read.get(b"key").unwrap(), Some(value.to_vec()), "round {round}");
    }
    assert_eq!(host.state_node(1, &1_u64.to_be_bytes()).unwrap(), None);
}
