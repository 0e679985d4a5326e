//! What a chain demands of evidence.

use std::collections::BTreeSet;

use paralith_types::PublicKey;
use prost::Message;

use crate::wire;
use crate::{AttestError, Measurement};

/// The longest encoded policy that is looked at, in bytes.
pub const MAX_POLICY_LEN: usize = 64 * 1024;

/// What a chain demands of evidence.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// The software platforms that genesis lists. None: software evidence is refused.
    pub platforms: Vec<PublicKey>,
    /// The enclaves that are allowed. None: every enclave is refused.
    pub measurements: BTreeSet<Measurement>,
    /// How many blocks old evidence may be.
    pub max_age: u64,
}

impl Policy {
    /// The canonical encoding. Platforms keep their order; measurements ascend.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let wire = wire::Policy {
            platforms: self.platforms.iter().map(|key| key.as_bytes().to_vec()).collect(),
            measurements: self.measurements.iter().map(|one| one.as_bytes().to_vec()).collect(),
            max_age: self.max_age,
        };
        wire.encode_to_vec()
    }

    /// Reads the canonical encoding, and no other.
    pub fn decode(bytes: &[u8]) -> Result<Self, AttestError> {
        if bytes.len() > MAX_POLICY_LEN {
            return Err(AttestError::too_long());
        }
        let wire = wire::Policy::decode(bytes).map_err(|_| AttestError::malformed())?;
        let policy = Self {
            platforms: wire
                .platforms
                .iter()
                .map(|key| wire::fixed(key))
                .collect::<Result<_, _>>()?,
            measurements: wire
                .measurements
                .iter()
                .map(|one| wire::fixed(one))
                .collect::<Result<_, _>>()?,
            max_age: wire.max_age,
        };
        if policy.encode() != bytes {
            return Err(AttestError::another_form());
        }
        Ok(policy)
    }
}
