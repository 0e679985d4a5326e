//! A network in genesis: two validators of one strength and one account with funds.

use std::time::Duration;

use paralith_consensus_api::address;
use paralith_consensus_api::staking::{AddEscrow, Transfer};
use paralith_consensus_api::tx::{Body, Fee, Transaction};
use paralith_consensus_engine::headers::ConsensusKey;
use paralith_consensus_light::{LightBlock, LightClient};
use paralith_crypto::SigningKey;
use paralith_genesis::{Builder, Document, GenesisTime, NodeKeys, development_params};
use paralith_proto::Canonical;
use paralith_types::{Amount, Hash, Height, PublicKey};

pub(crate) const GENESIS_SECONDS: u64 = 1_700_000_000;

pub(crate) fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed([seed; 32])
}

pub(crate) fn validator_key(n: u8) -> SigningKey {
    key(100 + n)
}

pub(crate) fn consensus_keys(validators: u8) -> Vec<ConsensusKey> {
    (0..validators).map(|n| ConsensusKey::from_seed(*validator_key(n).seed())).collect()
}

pub(crate) fn sender() -> SigningKey {
    key(1)
}

pub(crate) fn document(validators: u8) -> Document {
    let time = GenesisTime::from_seconds(GENESIS_SECONDS).unwrap();
    let mut builder = Builder::new("test", time, development_params(Hash([7; 32])))
        .params(|params| params.beacon.epoch_blocks = 5)
        .fund(&sender().public(), Amount(1_000_000_000));
    for n in 0..validators {
        let entity = key(50 + n).public();
        let keys = NodeKeys { node: key(150 + n).public(), consensus: validator_key(n) };
        builder = builder.entity(entity, Amount(16_000)).validator(entity, &keys, &[]);
    }
    builder.build().unwrap()
}

pub(crate) fn transaction(document: &Document, nonce: u64, body: &Body) -> Vec<u8> {
    let fee = Fee { amount: Amount::ZERO, gas_limit: 100_000 };
    let context = document.hash().unwrap();
    Transaction::new(context, nonce, fee, body).sign(&sender()).encode()
}

pub(crate) fn transfer(document: &Document, nonce: u64) -> Vec<u8> {
    let to = address::of_key(&key(2).public());
    let amount = Amount(1 + u128::from(nonce));
    transaction(document, nonce, &Body::Transfer(Transfer { to, amount }))
}

pub(crate) fn stake_on(document: &Document, nonce: u64, validator: u8, amount: u128) -> Vec<u8> {
    let account = address::of_key(&key(50 + validator).public());
    transaction(document, nonce, &Body::AddEscrow(AddEscrow { account, amount: Amount(amount) }))
}

/// A clock that only heights move.
pub(crate) fn at(height: u64) -> Duration {
    Duration::from_secs(GENESIS_SECONDS + height)
}

pub(crate) fn light_client(document: &Document, first: &LightBlock) -> LightClient {
    // The powers are stake by the scheduler's rule; here they are read off the first header, which
    // `update` then verifies against them.
    let validators: Vec<(PublicKey, u64)> = first
        .validators()
        .validators()
        .iter()
        .map(|v| (PublicKey::try_from(v.pub_key.to_bytes().as_slice()).unwrap(), v.power.value()))
        .collect();
    let chain_id = document.chain_id().unwrap();
    LightClient::from_genesis(&chain_id, Height(1), &validators).unwrap()
}

/// A transfer of more than there is: it is in a block, and fails there.
pub(crate) fn overdraft(document: &Document, nonce: u64) -> Vec<u8> {
    let to = address::of_key(&key(2).public());
    transaction(document, nonce, &Body::Transfer(Transfer { to, amount: Amount(u128::MAX) }))
}
