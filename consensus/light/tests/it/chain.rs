//! A chain of headers whose validators may change at every height.

use paralith_consensus_engine::headers::{ConsensusKey, HeaderInput, consensus_hash, sign};
use paralith_consensus_light::{LightBlock, validator_set};
use paralith_types::{Hash, Height, PublicKey};
use tendermint::Time;
use tendermint::block::signed_header::SignedHeader;

pub(crate) const CHAIN_ID: &str = "test-0123456789012345678901234567890123456789";

pub(crate) fn key(seed: u8) -> ConsensusKey {
    ConsensusKey::from_seed([seed; 32])
}

pub(crate) fn powers(members: &[(u8, u64)]) -> Vec<(PublicKey, u64)> {
    members.iter().map(|(seed, power)| (key(*seed).public(), *power)).collect()
}

/// What a test wants of a block.
#[derive(Clone)]
pub(crate) struct Wanted<'a> {
    pub(crate) chain_id: &'a str,
    pub(crate) height: u64,
    pub(crate) validators: &'a [(u8, u64)],
    pub(crate) next: &'a [(u8, u64)],
    pub(crate) signers: &'a [u8],
    pub(crate) app_hash: Hash,
}

impl<'a> Wanted<'a> {
    pub(crate) fn new(height: u64, validators: &'a [(u8, u64)], signers: &'a [u8]) -> Self {
        let app_hash = Hash([height as u8; 32]);
        Self { chain_id: CHAIN_ID, height, validators, next: validators, signers, app_hash }
    }

    pub(crate) fn signed(&self) -> SignedHeader {
        let validators = validator_set(&powers(self.validators)).unwrap();
        let next = validator_set(&powers(self.next)).unwrap();
        let txs: [Vec<u8>; 1] = [vec![1, 2, 3]];
        let header = HeaderInput {
            chain_id: self.chain_id.parse().unwrap(),
            height: self.height.try_into().unwrap(),
            time: Time::from_unix_timestamp(1_700_000_000 + self.height as i64, 5).unwrap(),
            last: None,
            txs: &txs,
            last_results: &[],
            validators: &validators,
            next_validators: &next,
            consensus_hash: consensus_hash(4_194_304, -1),
            app_hash: self.app_hash.as_bytes().to_vec().try_into().unwrap(),
            app_version: 1,
            proposer: key(self.validators[0].0).address(),
        }
        .header();
        let keys: Vec<ConsensusKey> = self.signers.iter().map(|seed| key(*seed)).collect();
        sign(header, &validators, &keys).unwrap()
    }

    pub(crate) fn block(&self) -> LightBlock {
        let validators = validator_set(&powers(self.validators)).unwrap();
        let next = validator_set(&powers(self.next)).unwrap();
        LightBlock::new(self.signed(), &validators, &next).unwrap()
    }
}

pub(crate) fn client(validators: &[(u8, u64)]) -> paralith_consensus_light::LightClient {
    let validators = powers(validators);
    paralith_consensus_light::LightClient::from_genesis(CHAIN_ID, Height(1), &validators).unwrap()
}
