//! A chain whose state a test writes as it likes, and whose headers, commits and proofs are real.

use std::collections::BTreeMap;
use std::sync::Mutex;

use paralith_consensus_engine::headers::{ConsensusKey, HeaderInput, consensus_hash, sign};
use paralith_consensus_light::{LightBlock, validator_set};
use paralith_crypto::SigningKey;
use paralith_genesis::{Builder, Document, GenesisTime, NodeKeys, development_params};
use paralith_proto::Canonical;
use paralith_storage::{Changes, Durability, Kv, Tree, WriteBatch};
use paralith_types::{Amount, Hash, PublicKey};
use tendermint::Time;

pub(crate) fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed([seed; 32])
}

/// When the first block was made, seconds since 1970.
pub(crate) const GENESIS_SECONDS: i64 = 1_700_000_000;

pub(crate) struct Chain {
    pub(crate) document: Document,
    validators: Mutex<Vec<(PublicKey, u64)>>,
    signer: Mutex<u8>,
    tree: Tree,
    blocks: Mutex<BTreeMap<u64, Vec<u8>>>,
}

impl Chain {
    pub(crate) fn new() -> Self {
        let entity = key(100).public();
        let keys = NodeKeys { node: key(103).public(), consensus: key(101) };
        let time = GenesisTime::from_seconds(GENESIS_SECONDS as u64).unwrap();
        let document = Builder::new("client", time, development_params(Hash([7; 32])))
            .fund(&entity, Amount(1_000_000))
            .entity(entity, Amount(100_000_000))
            .validator(entity, &keys, &["127.0.0.1:1".to_string()])
            .build()
            .unwrap();
        let first = document.first_validators().unwrap().validators;
        let chain = Self {
            validators: Mutex::new(first.iter().map(|v| (v.consensus_key, v.power)).collect()),
            signer: Mutex::new(101),
            document,
            tree: Tree::new(Kv::memory(), b"consensus"),
            blocks: Mutex::default(),
        };
        let now = chain.validators.lock().unwrap().clone();
        chain.add_header(1, Hash::ZERO, &now);
        chain
    }

    pub(crate) fn height(&self) -> u64 {
        self.tree.latest().unwrap().map_or(0, |(height, _)| height)
    }

    /// The state of the next height, and the header that proves it.
    pub(crate) fn commit(&self, changes: &Changes) -> u64 {
        let now = self.validators.lock().unwrap().clone();
        self.commit_with(changes, &now)
    }

    /// Replaces the validator by another one, as of the block after the next.
    pub(crate) fn replace_validator(&self, seed: u8) {
        let next = vec![(key(seed).public(), 10)];
        self.commit_with(&Changes::new(), &next);
        *self.validators.lock().unwrap() = next;
        *self.signer.lock().unwrap() = seed;
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
        let validators = validator_set(&self.validators.lock().unwrap()).unwrap();
        let next = validator_set(next).unwrap();
        let signer = ConsensusKey::from_seed([*self.signer.lock().unwrap(); 32]);
        let header = HeaderInput {
            chain_id: self.document.chain_id().unwrap().parse().unwrap(),
            height: height.try_into().unwrap(),
            time: Time::from_unix_timestamp(GENESIS_SECONDS + height as i64, 0).unwrap(),
            last: None,
            txs: &[],
            last_results: &[],
            validators: &validators,
            next_validators: &next,
            consensus_hash: consensus_hash(4_194_304, -1),
            app_hash: app_hash.as_bytes().to_vec().try_into().unwrap(),
            app_version: 1,
            proposer: signer.address(),
        }
        .header();
        let signed = sign(header, &validators, &[signer]).unwrap();
        let block = LightBlock::new(signed, &validators, &next).unwrap();
        self.blocks.lock().unwrap().insert(height, block.encode());
    }

    pub(crate) fn block(&self, height: u64) -> Option<Vec<u8>> {
        let blocks = self.blocks.lock().unwrap();
        match height {
            0 => blocks.last_key_value().map(|(_, block)| block.clone()),
            _ => blocks.get(&height).cloned(),
        }
    }

    pub(crate) fn prove(&self, height: u64, key: &[u8]) -> Option<(Option<Vec<u8>>, Vec<u8>)> {
        let (value, proof) = self.tree.prove(height, key).ok()?;
        Some((value, proof.to_bytes()))
    }
}

pub(crate) fn set<T: Canonical>(changes: &mut Changes, key: Vec<u8>, value: &T) {
    changes.insert(key, Some(value.encode()));
}
