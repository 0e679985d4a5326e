//! A chain whose state a test writes as it likes, and whose headers, commits and proofs are real.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard};

use paralith_consensus_api::genesis::Params;
use paralith_consensus_app::App;
use paralith_genesis::{Builder, Document, GenesisTime, NodeKeys, development_params};
use paralith_proto::Canonical;
use paralith_storage::{Changes, Durability, Kv, Tree, WriteBatch};
use paralith_types::{Amount, ChainContext, Hash, PublicKey};

use crate::{GENESIS_SECONDS, HeaderSpec, key, light_block};

/// The number of the entity that owns everything.
pub const ENTITY: u8 = 100;
/// The number of the validator's consensus key.
pub const VALIDATOR: u8 = 101;
/// The number of the software platform that genesis lists.
pub const PLATFORM: u8 = 102;

/// A chain of one validator. Its genesis is real, the states after it are what was written.
pub struct WrittenChain {
    /// The genesis document.
    pub document: Document,
    /// Its hash.
    pub context: ChainContext,
    validators: Mutex<Vec<(PublicKey, u64)>>,
    /// The number of the validator's key.
    signer: Mutex<u8>,
    tree: Tree,
    blocks: Mutex<BTreeMap<u64, Vec<u8>>>,
}

impl fmt::Debug for WrittenChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WrittenChain(height {})", self.height())
    }
}

impl WrittenChain {
    /// With a short name, and parameters of genesis that differ from those for development.
    #[must_use]
    pub fn new(name: &str, change: impl FnOnce(&mut Params)) -> Self {
        let entity = key(ENTITY).public();
        let keys = NodeKeys { node: key(103).public(), consensus: key(VALIDATOR) };
        let time = GenesisTime::from_seconds(GENESIS_SECONDS).unwrap();
        let document = Builder::new(name, time, development_params(Hash([7; 32])))
            .params(|params| {
                params.registry.software_platforms = vec![key(PLATFORM).public()];
                change(params);
            })
            .fund(&entity, Amount(1_000_000))
            .entity(entity, Amount(100_000_000))
            .validator(entity, &keys, &["127.0.0.1:1".to_string()])
            .build()
            .unwrap();
        let context = document.hash().unwrap();
        let mut app = App::open(Kv::memory()).unwrap();
        let (validators, root) = app.init_chain(&document.genesis, context).unwrap();
        let validators: Vec<_> = validators.iter().map(|v| (v.consensus_key, v.power)).collect();
        let chain = Self {
            document,
            context,
            validators: Mutex::new(validators.clone()),
            signer: Mutex::new(VALIDATOR),
            tree: Tree::new(Kv::memory(), b"consensus"),
            blocks: Mutex::default(),
        };
        chain.add_header(1, root, &validators);
        chain
    }

    /// The newest height that has a state.
    #[must_use]
    pub fn height(&self) -> u64 {
        self.tree.latest().unwrap().map_or(0, |(height, _)| height)
    }

    /// Makes the state of the next height, and the header that proves it. Gives that height.
    pub fn commit(&self, changes: &Changes) -> u64 {
        let now = lock(&self.validators).clone();
        self.commit_with(changes, &now)
    }

    /// Replaces the validator by another one, as of the block after the next.
    pub fn replace_validator(&self, number: u8) {
        let next = vec![(key(number).public(), 10)];
        self.commit_with(&Changes::new(), &next);
        *lock(&self.validators) = next;
        *lock(&self.signer) = number;
    }

    fn commit_with(&self, changes: &Changes, next: &[(PublicKey, u64)]) -> u64 {
        let latest = self.tree.latest().unwrap().map(|(height, _)| height);
        let height = self.height() + 1;
        let prepared = self.tree.prepare(latest, height, changes).unwrap();
        let root = prepared.root();
        self.tree.commit(prepared, WriteBatch::new(), Durability::Lazy).unwrap();
        self.add_header(height + 1, root, next);
        height
    }

    fn add_header(&self, height: u64, app_hash: Hash, next: &[(PublicKey, u64)]) {
        let block = light_block(&HeaderSpec {
            chain_id: &self.document.chain_id().unwrap(),
            height,
            app_hash,
            validators: &lock(&self.validators),
            next,
            signer: &key(*lock(&self.signer)),
        });
        lock(&self.blocks).insert(height, block.encode());
    }

    /// An encoded light block; of height 0 the newest.
    #[must_use]
    pub fn block(&self, height: u64) -> Option<Vec<u8>> {
        let blocks = lock(&self.blocks);
        match height {
            0 => blocks.last_key_value().map(|(_, block)| block.clone()),
            _ => blocks.get(&height).cloned(),
        }
    }

    /// The root of a height's state.
    #[must_use]
    pub fn root(&self, height: u64) -> Hash {
        self.tree.root(height).unwrap().unwrap()
    }

    /// A value of a height's state, and the encoded proof of it or of its absence.
    #[must_use]
    pub fn prove(&self, height: u64, key: &[u8]) -> Option<(Option<Vec<u8>>, Vec<u8>)> {
        let (value, proof) = self.tree.prove(height, key).ok()?;
        Some((value, proof.to_bytes()))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

/// Writes a value of state.
pub fn set<T: Canonical>(changes: &mut Changes, key: Vec<u8>, value: &T) {
    changes.insert(key, Some(value.encode()));
}
