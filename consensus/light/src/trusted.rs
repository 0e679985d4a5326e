//! A verified header, as an enclave seals it.

use paralith_types::{Hash, Height, PublicKey};
use prost::Message;
use tendermint::Time;
use tendermint::validator::Set;

use crate::LightError;
use crate::block::{bad, decode_set, encode_set, validator_set};

/// What is remembered of a verified header: enough to verify later ones.
///
/// Its encoding has no protection of its own: who stores it outside an enclave seals it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trusted {
    pub(crate) chain_id: tendermint::chain::Id,
    pub(crate) height: Height,
    pub(crate) header_hash: Hash,
    pub(crate) app_hash: Hash,
    pub(crate) time: Time,
    pub(crate) next_validators: Set,
}

#[derive(Clone, PartialEq, Message)]
struct Encoded {
    #[prost(string, tag = "1")]
    chain_id: String,
    #[prost(uint64, tag = "2")]
    height: u64,
    #[prost(bytes = "vec", tag = "3")]
    header_hash: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    app_hash: Vec<u8>,
    #[prost(int64, tag = "5")]
    time_seconds: i64,
    #[prost(uint32, tag = "6")]
    time_nanos: u32,
    #[prost(bytes = "vec", tag = "7")]
    next_validators: Vec<u8>,
}

impl Trusted {
    /// No encoding is longer.
    pub const MAX_BYTES: usize = 2 * 1024 * 1024;

    /// The chain before its first block, at `initial_height`, with the genesis validators as
    /// the next.
    pub(crate) fn genesis(
        chain_id: &str,
        initial_height: Height,
        validators: &[(PublicKey, u64)],
    ) -> Result<Self, LightError> {
        Ok(Self {
            chain_id: parse_chain_id(chain_id)?,
            height: initial_height.minus(1),
            header_hash: Hash::ZERO,
            app_hash: Hash::ZERO,
            time: Time::unix_epoch(),
            next_validators: validator_set(validators)?,
        })
    }

    /// The height of the header.
    pub fn height(&self) -> Height {
        self.height
    }

    /// The header's hash; zero before the first block.
    pub fn header_hash(&self) -> Hash {
        self.header_hash
    }

    /// The root of the state after the block before; zero before the first block.
    pub fn app_hash(&self) -> Hash {
        self.app_hash
    }

    /// The header's time, seconds since 1970.
    pub fn time_seconds(&self) -> u64 {
        u64::try_from(self.time.unix_timestamp()).unwrap_or(0)
    }

    /// The one encoding.
    pub fn encode(&self) -> Vec<u8> {
        let nanos = self.time.unix_timestamp_nanos().rem_euclid(1_000_000_000);
        Encoded {
            chain_id: self.chain_id.to_string(),
            height: self.height.0,
            header_hash: self.header_hash.as_bytes().to_vec(),
            app_hash: self.app_hash.as_bytes().to_vec(),
            time_seconds: self.time.unix_timestamp(),
            // Less than a billion.
            time_nanos: u32::try_from(nanos).unwrap_or(0),
            next_validators: encode_set(&self.next_validators),
        }
        .encode_to_vec()
    }

    /// Reads the bytes that [`Self::encode`] gives, and no others.
    pub fn decode(bytes: &[u8]) -> Result<Self, LightError> {
        if bytes.len() > Self::MAX_BYTES {
            return Err(bad(WHAT, format!("{} bytes", bytes.len())));
        }
        let encoded = Encoded::decode(bytes).map_err(|e| bad(WHAT, e.to_string()))?;
        let hash = |bytes: &[u8]| Hash::try_from(bytes).map_err(|e| bad(WHAT, e.to_string()));
        let trusted = Self {
            chain_id: parse_chain_id(&encoded.chain_id)?,
            height: Height(encoded.height),
            header_hash: hash(&encoded.header_hash)?,
            app_hash: hash(&encoded.app_hash)?,
            time: Time::from_unix_timestamp(encoded.time_seconds, encoded.time_nanos)
                .map_err(|e| bad(WHAT, e.to_string()))?,
            next_validators: decode_set(&encoded.next_validators)?,
        };
        // CometBFT's heights are signed.
        if i64::try_from(trusted.height.0).is_err() || trusted.encode() != bytes {
            return Err(bad(WHAT, "not in canonical form".to_string()));
        }
        Ok(trusted)
    }
}

fn parse_chain_id(chain_id: &str) -> Result<tendermint::chain::Id, LightError> {
    tendermint::chain::Id::try_from(chain_id).map_err(|e| bad("a chain id", e.to_string()))
}

const WHAT: &str = "a trusted header";
