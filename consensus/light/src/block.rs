//! A header with everything that it takes to verify it.

use paralith_types::{Hash, Height, PublicKey};
use prost::Message;
use tendermint::block::signed_header::SignedHeader;
use tendermint::validator::{Info, Set};
use tendermint_proto::Protobuf;
use tendermint_proto::v0_38::types as raw;

use crate::LightError;

/// A CometBFT header, its commit, and the validator sets of its height and of the next.
///
/// A value says nothing about truth: only [`crate::LightClient::update`] does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LightBlock {
    pub(crate) signed_header: SignedHeader,
    pub(crate) validators: Set,
    pub(crate) next_validators: Set,
}

/// How it travels: messages of CometBFT, as bytes.
#[derive(Clone, PartialEq, Message)]
struct Encoded {
    #[prost(bytes = "vec", tag = "1")]
    signed_header: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    validators: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    next_validators: Vec<u8>,
}

impl LightBlock {
    /// No light block is longer; with 10,000 validators, CometBFT's maximum, it has less than 3 MB.
    pub const MAX_BYTES: usize = 4 * 1024 * 1024;

    /// Puts the parts together. Of validators only keys and powers count.
    pub fn new(
        signed_header: SignedHeader,
        validators: &Set,
        next_validators: &Set,
    ) -> Result<Self, LightError> {
        Ok(Self {
            signed_header,
            validators: normal_set(validators.validators())?,
            next_validators: normal_set(next_validators.validators())?,
        })
    }

    /// The height of the header.
    pub fn height(&self) -> Height {
        Height(self.signed_header.header.height.value())
    }

    /// The chain that the header names.
    pub fn chain_id(&self) -> &str {
        self.signed_header.header.chain_id.as_str()
    }

    /// The header's hash.
    pub fn header_hash(&self) -> Hash {
        hash_of(self.signed_header.header.hash())
    }

    /// The header and its commit.
    pub fn signed_header(&self) -> &SignedHeader {
        &self.signed_header
    }

    /// The header's time, seconds since 1970.
    pub fn time_seconds(&self) -> u64 {
        u64::try_from(self.signed_header.header.time.unix_timestamp()).unwrap_or(0)
    }

    /// The root of the state after the block before, as the header claims.
    pub fn app_hash(&self) -> Result<Hash, LightError> {
        Hash::try_from(self.signed_header.header.app_hash.as_bytes())
            .map_err(|e| bad("the header's app hash", e.to_string()))
    }

    /// The validators that sign this height.
    pub fn validators(&self) -> &Set {
        &self.validators
    }

    /// The validators that sign the next height.
    pub fn next_validators(&self) -> &Set {
        &self.next_validators
    }

    /// The one encoding.
    pub fn encode(&self) -> Vec<u8> {
        let signed_header = Protobuf::<raw::SignedHeader>::encode_vec(self.signed_header.clone());
        let validators = encode_set(&self.validators);
        let next_validators = encode_set(&self.next_validators);
        Encoded { signed_header, validators, next_validators }.encode_to_vec()
    }

    /// Reads untrusted bytes, and only in the form that [`Self::encode`] gives.
    pub fn decode(bytes: &[u8]) -> Result<Self, LightError> {
        if bytes.len() > Self::MAX_BYTES {
            return Err(bad(WHAT, format!("{} bytes", bytes.len())));
        }
        let encoded = Encoded::decode(bytes).map_err(|e| bad(WHAT, e.to_string()))?;
        let signed_header =
            <SignedHeader as Protobuf<raw::SignedHeader>>::decode_vec(&encoded.signed_header)
                .map_err(|e| bad(WHAT, e.to_string()))?;
        let validators = decode_set(&encoded.validators)?;
        let next_validators = decode_set(&encoded.next_validators)?;
        let block = Self { signed_header, validators, next_validators };
        if block.encode() != bytes {
            return Err(bad(WHAT, "not in canonical form".to_string()));
        }
        Ok(block)
    }
}

pub(crate) fn encode_set(set: &Set) -> Vec<u8> {
    Protobuf::<raw::ValidatorSet>::encode_vec(set.clone())
}

pub(crate) fn decode_set(bytes: &[u8]) -> Result<Set, LightError> {
    let set = <Set as Protobuf<raw::ValidatorSet>>::decode_vec(bytes)
        .map_err(|e| bad(WHAT, e.to_string()))?;
    normal_set(set.validators())
}

/// The validator with this key and power.
pub fn validator(key: &PublicKey, power: u64) -> Result<Info, LightError> {
    let reason = || LightError::BadValidators { reason: format!("{key} with power {power}") };
    let key = tendermint::PublicKey::from_raw_ed25519(key.as_bytes()).ok_or_else(reason)?;
    let power = tendermint::vote::Power::try_from(power).map_err(|_| reason())?;
    Ok(Info::new(key, power))
}

/// The set of these validators in CometBFT's order.
pub fn validator_set(validators: &[(PublicKey, u64)]) -> Result<Set, LightError> {
    let infos: Result<Vec<Info>, LightError> =
        validators.iter().map(|(key, power)| validator(key, *power)).collect();
    normal_set(&infos?)
}

/// The set of these keys and powers, checked, in CometBFT's order, without proposer, names and
/// priorities, which no hash covers.
pub(crate) fn normal_set(validators: &[Info]) -> Result<Set, LightError> {
    let infos: Vec<Info> = validators.iter().map(|v| Info::new(v.pub_key, v.power)).collect();
    let mut seen = std::collections::BTreeSet::new();
    let mut total = 0_u64;
    for info in &infos {
        if info.power.is_zero() {
            return Err(LightError::BadValidators { reason: "power 0".to_string() });
        }
        if !seen.insert(info.address) {
            let reason = format!("{} twice", info.address);
            return Err(LightError::BadValidators { reason });
        }
        total = total.saturating_add(info.power.value());
    }
    // `Set::new` panics above this limit.
    if infos.is_empty() || total > Set::MAX_TOTAL_VOTING_POWER {
        let reason = format!("{} validators with power {total}", infos.len());
        return Err(LightError::BadValidators { reason });
    }
    Ok(Set::without_proposer(infos))
}

pub(crate) fn hash_of(hash: tendermint::Hash) -> Hash {
    // A header's hash is always SHA-256.
    Hash::try_from(hash.as_bytes()).unwrap_or(Hash::ZERO)
}

pub(crate) fn bad(what: &'static str, reason: String) -> LightError {
    LightError::BadEncoding { what, reason }
}

const WHAT: &str = "a light block";
