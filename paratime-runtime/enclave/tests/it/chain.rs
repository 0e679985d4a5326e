//! A chain whose state tests write as they like, and whose headers, commits and proofs are real.

use std::collections::BTreeMap;
use std::sync::Mutex;

use paralith_consensus_app::App;
use paralith_consensus_engine::headers::{ConsensusKey, HeaderInput, consensus_hash, sign};
use paralith_consensus_light::{LightBlock, validator_set};
use paralith_crypto::SigningKey;
use paralith_genesis::{Builder, Document, GenesisTime, NodeKeys, development_params};
use paralith_proto::Canonical;
use paralith_storage::{Changes, Durability, Kv, Tree, WriteBatch};
use paralith_types::{Amount, ChainContext, Hash, PublicKey};
use tendermint::Time;

pub fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed([seed; 32])
}

const VALIDATOR: u8 = 101;
pub const PLATFORM: u8 = 102;

/// A chain of one validator.
pub struct Chain {
    pub document: Document,
    pub context: ChainContext,
    validators: Vec<(PublicKey, u64)>,
    tree: Tree,
    blocks: Mutex<BTreeMap<u64, Vec<u8>>>,
}

impl Chain {
    pub fn new() -> Self {
        let entity = key(100).public();
        let keys = NodeKeys { node: key(103).public(), consensus: key(VALIDATOR) };
        let time = GenesisTime::from_seconds(1_700_000_000).unwrap();
        let document = Builder::new("host", time, development_params(Hash([7; 32])))
            .params(|params| {
                params.registry.software_platforms = vec![key(PLATFORM).public()];
            })
            .fund(&entity, Amount(1_000_000))
            .entity(entity, Amount(100_000_000))
            .validator(entity, &keys, &["127.0.0.1:1".to_string()])
            .build()
            .unwrap();
        let context = document.hash().unwrap();
        let mut app = App::open(Kv::memory()).unwrap();
        let (validators, root) = app.init_chain(&document.genesis, context).unwrap();
        let validators = validators.iter().map(|v| (v.consensus_key, v.power)).collect();
        let tree = Tree::new(Kv::memory(), b"consensus");
        let chain = Self { document, context, validators, tree, blocks: Mutex::default() };
        chain.add_header(1, root);
        chain
    }

    pub fn height(&self) -> u64 {
        self.tree.latest().unwrap().map_or(0, |(height, _)| height)
    }

    /// The state of the next height, and the header that proves it.
    pub fn commit(&self, changes: Changes) -> u64 {
        let latest = self.tree.latest().unwrap().map(|(height, _)| height);
        let height = self.height() + 1;
        let prepared = self.tree.prepare(latest, height, &changes).unwrap();
        let root = prepared.root();
        self.tree.commit(prepared, WriteBatch::new(), Durability::Lazy).unwrap();
        self.add_header(height + 1, root);
        height
    }

    fn add_header(&self, height: u64, app_hash: Hash) {
        let validators = validator_set(&self.validators).unwrap();
        let signer = ConsensusKey::from_seed([VALIDATOR; 32]);
        let header = HeaderInput {
            chain_id: self.document.chain_id().unwrap().parse().unwrap(),
            height: height.try_into().unwrap(),
            time: Time::from_unix_timestamp(1_700_000_000 + height as i64, 0).unwrap(),
            last: None,
            txs: &[],
            last_results: &[],
            validators: &validators,
            next_validators: &validators,
            consensus_hash: consensus_hash(4_194_304, -1),
            app_hash: app_hash.as_bytes().to_vec().try_into().unwrap(),
            app_version: 1,
            proposer: signer.address(),
        }
        .header();
        let signed = sign(header, &validators, &[signer]).unwrap();
        let block = LightBlock::new(signed, &validators, &validators).unwrap();
        self.blocks.lock().unwrap().insert(height, block.encode());
    }

    pub fn block(&self, height: u64) -> Option<Vec<u8>> {
        let blocks = self.blocks.lock().unwrap();
        match height {
            0 => blocks.last_key_value().map(|(_, block)| block.clone()),
            _ => blocks.get(&height).cloned(),
        }
    }

    pub fn root(&self, height: u64) -> Hash {
        self.tree.root(height).unwrap().unwrap()
    }

    pub fn prove(&self, height: u64, key: &[u8]) -> Option<(Option<Vec<u8>>, Vec<u8>)> {
        let (value, proof) = self.tree.prove(height, key).ok()?;
        Some((value, proof.to_bytes()))
    }
}

pub fn set<T: Canonical>(changes: &mut Changes, key: Vec<u8>, value: &T) {
    changes.insert(key, Some(value.encode()));
}
