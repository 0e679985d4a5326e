//! The document and its one text.

use paralith_consensus_api::genesis::Genesis;
use paralith_crypto::hash::{Domain, hash};
use paralith_types::ChainContext;
use serde::{Deserialize, Serialize};

use crate::{GenesisError, GenesisTime};

/// What a chain begins with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// A short name for people: 1 to 9 lower-case letters and digits.
    pub chain_name: String,
    /// When the first block may be made.
    pub genesis_time: GenesisTime,
    /// The first state.
    pub genesis: Genesis,
}

impl Document {
    /// Reads and validates a document.
    pub fn parse(json: &str) -> Result<Self, GenesisError> {
        if json.len() > MAX_BYTES {
            return Err(GenesisError::TooLarge { got: json.len(), limit: MAX_BYTES });
        }
        let document: Self = serde_json::from_str(json)?;
        document.validate()?;
        Ok(document)
    }

    /// The document's one text.
    pub fn to_json(&self) -> Result<String, GenesisError> {
        let mut json = serde_json::to_string_pretty(self)?;
        json.push('\n');
        Ok(json)
    }

    /// The chain's context: the hash of the one text.
    pub fn hash(&self) -> Result<ChainContext, GenesisError> {
        Ok(ChainContext(hash(DOCUMENT, &[self.to_json()?.as_bytes()]).0))
    }

    /// The chain's name in CometBFT, whose votes sign nothing else that is the chain's own: the
    /// short name and the first 40 digits of the hash. At most 50 characters, which is its limit.
    pub fn chain_id(&self) -> Result<String, GenesisError> {
        let digits: String = self.hash()?.to_string().chars().take(40).collect();
        Ok(format!("{}-{digits}", self.chain_name))
    }
}

/// A million accounts and more.
const MAX_BYTES: usize = 512 * 1024 * 1024;

const DOCUMENT: Domain = Domain::new("paralith/genesis/v1");

#[cfg(test)]
mod tests;
