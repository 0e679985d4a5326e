//! Signed headers, as CometBFT makes them.

use paralith_consensus_engine::headers::{ConsensusKey, HeaderInput, consensus_hash, sign};
use paralith_consensus_light::{LightBlock, validator_set};
use paralith_crypto::SigningKey;
use paralith_types::{Hash, PublicKey};
use tendermint::Time;

/// Seconds since 1970 of a chain's genesis. A block of height h is made h seconds later.
pub const GENESIS_SECONDS: u64 = 1_700_000_000;

/// What a header says.
#[derive(Debug)]
pub struct HeaderSpec<'a> {
    /// The chain's id.
    pub chain_id: &'a str,
    /// Its height.
    pub height: u64,
    /// The root of the state after the block before.
    pub app_hash: Hash,
    /// The validators with their power.
    pub validators: &'a [(PublicKey, u64)],
    /// Those of the next height.
    pub next: &'a [(PublicKey, u64)],
    /// Who proposes and signs it; a validator, or its commit does not verify.
    pub signer: &'a SigningKey,
}

/// The header with its commit and the validators that it names.
#[must_use]
pub fn light_block(spec: &HeaderSpec<'_>) -> LightBlock {
    let (validators, next) =
        (validator_set(spec.validators).unwrap(), validator_set(spec.next).unwrap());
    let signer = ConsensusKey::from_seed(*spec.signer.seed());
    let seconds = i64::try_from(GENESIS_SECONDS + spec.height).unwrap();
    let header = HeaderInput {
        chain_id: spec.chain_id.parse().unwrap(),
        height: spec.height.try_into().unwrap(),
        time: Time::from_unix_timestamp(seconds, 0).unwrap(),
        last: None,
        txs: &[],
        last_results: &[],
        validators: &validators,
        next_validators: &next,
        consensus_hash: consensus_hash(4_194_304, -1),
        app_hash: spec.app_hash.as_bytes().to_vec().try_into().unwrap(),
        app_version: 1,
        proposer: signer.address(),
    }
    .header();
    let signed = sign(header, &validators, &[signer]).unwrap();
    LightBlock::new(signed, &validators, &next).unwrap()
}
