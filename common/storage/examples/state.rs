//! Measures the state tree beside `jmt` and `sparse-merkle-tree`, in one run.
//!
//! `cargo run --release -p paralith-storage --example state`
//!
//! All three hash with SHA-256 and get the same keys. What is compared: the new root after 1000
//! updates (and the write of its nodes into memory), a proof, its verification. Ours also writes
//! values beside the tree and journals; the others have their nodes in hash maps. The durable commit
//! is ours alone, with the write-ahead log synced. Numbers are medians; only ratios carry over to
//! other machines.
#![allow(clippy::unwrap_used, clippy::disallowed_types, missing_docs)]

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Instant;

use jmt::storage::{LeafNode, Node, NodeKey, TreeReader};
use jmt::{JellyfishMerkleTree, KeyHash, OwnedValue, RootHash, Version};
use paralith_storage::{Changes, Durability, Kv, Tree, VerifiedTree, WriteBatch};
use sha2_10::{Digest, Sha256};
use sparse_merkle_tree::default_store::DefaultStore;
use sparse_merkle_tree::traits::{Hasher, Value};
use sparse_merkle_tree::{H256, SparseMerkleTree};

const BATCH: usize = 1000;
const ROUNDS: usize = 11;
const PROOFS: usize = 200;

fn main() {
    for keys in [10_000, 100_000] {
        measure(keys);
    }
}

/// One measured column, in microseconds.
#[derive(Default)]
struct Samples(Vec<f64>);

impl Samples {
    fn time<T>(&mut self, per: usize, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = work();
        self.0.push(start.elapsed().as_secs_f64() * 1e6 / per as f64);
        result
    }

    fn median(&mut self) -> f64 {
        self.0.sort_by(f64::total_cmp);
        self.0[self.0.len() / 2]
    }
}

fn measure(keys: usize) {
    println!("\n{keys} keys of 32 bytes, values of 40 bytes, batches of {BATCH}; us for each key");
    let ours = Tree::new(Kv::memory(), b"bench");
    let (durable, _folder) = {
        let folder = tempfile::tempdir().unwrap();
        let kv = Kv::open(folder.path(), paralith_storage::KvOptions::default()).unwrap();
        (Tree::new(kv, b"bench"), folder)
    };
    let mut jmt = Jmt::default();
    let mut smt = Smt::default();
    let mut version = 0;
    for start in (0..keys).step_by(BATCH) {
        version += 1;
        let batch: Vec<_> = (start..start + BATCH).map(|n| pair(n, 0)).collect();
        update_ours(&ours, version, &batch);
        update_ours(&durable, version, &batch);
        jmt.update(&batch);
        update_smt(&mut smt, &batch);
    }

    let mut update = [(); 3].map(|()| Samples::default());
    let mut prove = [(); 3].map(|()| Samples::default());
    let mut verify = [(); 3].map(|()| Samples::default());
    let (mut commit, mut verified_root) = (Samples::default(), Samples::default());
    for round in 1..=ROUNDS {
        version += 1;
        let batch: Vec<_> =
            (0..BATCH).map(|n| pair(spread(round * BATCH + n) % keys, round)).collect();
        let (base, base_root) = ours.latest().unwrap().unwrap();
        let mut verified = VerifiedTree::new(ours.node_source(base), base, base_root);
        let changes = changes(&batch);
        let claimed = verified_root.time(BATCH, || verified.root_after(version, &changes).unwrap());

        update[0].time(BATCH, || update_ours(&ours, version, &batch));
        let root = update[1].time(BATCH, || jmt.update(&batch));
        update[2].time(BATCH, || update_smt(&mut smt, &batch));
        commit.time(BATCH, || update_ours(&durable, version, &batch));
        assert_eq!(ours.root(version).unwrap().unwrap().0, root.0, "one root for ours and jmt");
        assert_eq!(claimed.0, root.0);

        let asked: Vec<_> = (0..PROOFS).map(|n| batch[n * BATCH / PROOFS].clone()).collect();
        prove_ours(&ours, version, &asked, &mut prove[0], &mut verify[0]);
        jmt.prove(&asked, root, &mut prove[1], &mut verify[1]);
        prove_smt(&smt, &asked, &mut prove[2], &mut verify[2]);
    }
    println!("{:28} {:>9} {:>9} {:>9}   ours : jmt : smt", "", "ours", "jmt", "smt");
    for (name, columns) in [("update", &mut update), ("prove", &mut prove), ("verify", &mut verify)]
    {
        let [a, b, c] = columns.each_mut().map(Samples::median);
        println!("{name:28} {a:9.2} {b:9.2} {c:9.2}   1 : {:.1} : {:.1}", b / a, c / a);
    }
    let update = update[0].median();
    println!("{:28} {:9.2}", "root from verified reads, cold", verified_root.median());
    let commit = commit.median();
    let store = paralith_storage::StoreKind::DEFAULT.map_or("", paralith_storage::StoreKind::name);
    println!("{:28} {commit:9.2}   {:.1} x in memory, {store}", "durable commit", commit / update);
}

type Batch = [(Vec<u8>, Vec<u8>)];

fn spread(n: usize) -> usize {
    let hash: [u8; 32] = Sha256::digest(n.to_be_bytes()).into();
    hash[..4].iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte))
}

fn pair(n: usize, round: usize) -> (Vec<u8>, Vec<u8>) {
    let mut value = round.to_be_bytes().repeat(5);
    value.truncate(40);
    (Sha256::digest(n.to_be_bytes()).to_vec(), value)
}

fn key_hash(key: &[u8]) -> [u8; 32] {
    Sha256::new_with_prefix(b"paralith/state-key/1\0").chain_update(key).finalize().into()
}

fn changes(batch: &Batch) -> Changes {
    batch.iter().map(|(key, value)| (key.clone(), Some(value.clone()))).collect()
}

fn update_ours(tree: &Tree, version: u64, batch: &Batch) {
    let base = tree.latest().unwrap().map(|(version, _)| version);
    let prepared = tree.prepare(base, version, &changes(batch)).unwrap();
    tree.commit(prepared, WriteBatch::new(), Durability::Synced).unwrap();
}

fn prove_ours(tree: &Tree, version: u64, asked: &Batch, prove: &mut Samples, verify: &mut Samples) {
    let root = tree.root(version).unwrap().unwrap();
    let proofs = prove.time(asked.len(), || {
        asked.iter().map(|(key, _)| tree.prove(version, key).unwrap()).collect::<Vec<_>>()
    });
    verify.time(asked.len(), || {
        for ((key, _), (value, proof)) in asked.iter().zip(&proofs) {
            proof.verify(&root, key, value.as_deref()).unwrap();
        }
    });
}

#[derive(Default)]
struct Jmt {
    nodes: RefCell<HashMap<NodeKey, Node>>,
    values: RefCell<HashMap<KeyHash, OwnedValue>>,
    version: Version,
}

impl Jmt {
    fn update(&mut self, batch: &Batch) -> RootHash {
        let set = batch.iter().map(|(k, v)| (KeyHash(key_hash(k)), Some(v.clone())));
        let tree = JellyfishMerkleTree::<_, Sha256>::new(&*self);
        let (root, update) = tree.put_value_set(set, self.version).unwrap();
        for ((_, key), value) in update.node_batch.values() {
            self.values.borrow_mut().insert(*key, value.clone().unwrap());
        }
        let nodes = update.node_batch.nodes().iter().map(|(k, n)| (k.clone(), n.clone()));
        self.nodes.borrow_mut().extend(nodes);
        self.version += 1;
        root
    }

    fn prove(&self, asked: &Batch, root: RootHash, prove: &mut Samples, verify: &mut Samples) {
        let tree = JellyfishMerkleTree::<_, Sha256>::new(self);
        let proofs = prove.time(asked.len(), || {
            let keys = asked.iter().map(|(key, _)| KeyHash(key_hash(key)));
            keys.map(|key| tree.get_with_proof(key, self.version - 1).unwrap()).collect::<Vec<_>>()
        });
        verify.time(asked.len(), || {
            for ((key, _), (value, proof)) in asked.iter().zip(&proofs) {
                let key = KeyHash(key_hash(key));
                proof.verify_existence(root, key, value.as_ref().unwrap()).unwrap();
            }
        });
    }
}

impl TreeReader for Jmt {
    fn get_node_option(&self, key: &NodeKey) -> anyhow::Result<Option<Node>> {
        Ok(self.nodes.borrow().get(key).cloned())
    }

    fn get_value_option(&self, _: Version, key: KeyHash) -> anyhow::Result<Option<OwnedValue>> {
        Ok(self.values.borrow().get(&key).cloned())
    }

    fn get_rightmost_leaf(&self) -> anyhow::Result<Option<(NodeKey, LeafNode)>> {
        Ok(None)
    }
}

#[derive(Default)]
struct Sha256Hasher(Sha256);

impl Hasher for Sha256Hasher {
    fn write_h256(&mut self, hash: &H256) {
        self.0.update(hash.as_slice());
    }
    fn write_byte(&mut self, byte: u8) {
        self.0.update([byte]);
    }
    fn finish(self) -> H256 {
        <[u8; 32]>::from(self.0.finalize()).into()
    }
}

#[derive(Default, Clone)]
struct SmtValue(Vec<u8>);

impl Value for SmtValue {
    fn to_h256(&self) -> H256 {
        if self.0.is_empty() {
            return H256::zero();
        }
        <[u8; 32]>::from(Sha256::digest(&self.0)).into()
    }
    fn zero() -> Self {
        Self::default()
    }
}

type Smt = SparseMerkleTree<Sha256Hasher, SmtValue, DefaultStore<SmtValue>>;

fn update_smt(tree: &mut Smt, batch: &Batch) {
    let leaves = batch.iter().map(|(k, v)| (key_hash(k).into(), SmtValue(v.clone()))).collect();
    tree.update_all(leaves).unwrap();
}

fn prove_smt(tree: &Smt, asked: &Batch, prove: &mut Samples, verify: &mut Samples) {
    let proofs = prove.time(asked.len(), || {
        let keys = asked.iter().map(|(key, _)| H256::from(key_hash(key)));
        keys.map(|key| tree.merkle_proof(vec![key]).unwrap()).collect::<Vec<_>>()
    });
    verify.time(asked.len(), || {
        for ((key, value), proof) in asked.iter().zip(proofs) {
            let leaf = (key_hash(key).into(), SmtValue(value.clone()).to_h256());
            assert!(proof.verify::<Sha256Hasher>(tree.root(), vec![leaf]).unwrap());
        }
    });
}
