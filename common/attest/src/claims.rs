//! What evidence says.

use std::fmt;

use paralith_crypto::{Domain, hash};
use paralith_types::{
    ChainContext, CodeId, Hash, Height, Invalid, PublicKey, RuntimeId, X25519PublicKey,
};
use prost::Message;

use crate::wire;
use crate::{AttestError, MAX_EVIDENCE_LEN};

/// The version of the claims is part of the name: other claims get another.
const REPORT_DATA: Domain = Domain::new("paralith/attest-report-data/v2");

/// An enclave's identity: the hash of the enclave's code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Measurement(pub Hash);

impl Measurement {
    /// The bytes, borrowed.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl TryFrom<&[u8]> for Measurement {
    type Error = Invalid;
    fn try_from(bytes: &[u8]) -> Result<Self, Invalid> {
        Hash::try_from(bytes).map(Self)
    }
}

impl fmt::Display for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What an enclave is and which keys are its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// The code of the enclave.
    pub measurement: Measurement,
    /// The runtime attestation key: signs what the enclave says. Made inside it.
    pub rak: PublicKey,
    /// The runtime encryption key: what is sealed to it, only the enclave can open. Made inside it.
    pub rek: X25519PublicKey,
    /// The node that hosts the enclave.
    pub node: PublicKey,
    /// The runtime that the enclave serves.
    pub runtime: RuntimeId,
    /// The runtime's code that the enclave executes; none for a key manager.
    pub code: Option<CodeId>,
    /// The newest height whose state the enclave had proven; 0 before any.
    pub height: Height,
    /// The root of the state there; zero before any. It says which chain the enclave follows: chains
    /// that different validators sign may share a genesis.
    pub state_root: Hash,
}

impl Claims {
    /// What a platform vouches for: a hash of all the claims and of the chain context.
    #[must_use]
    pub fn report_data(&self, chain: &ChainContext) -> Hash {
        hash(REPORT_DATA, &[chain.as_bytes(), &self.encode()])
    }

    /// The canonical encoding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let wire = wire::Claims {
            measurement: self.measurement.as_bytes().to_vec(),
            rak: self.rak.as_bytes().to_vec(),
            rek: self.rek.as_bytes().to_vec(),
            node: self.node.as_bytes().to_vec(),
            runtime: self.runtime.as_bytes().to_vec(),
            code: self.code.map(|code| code.as_bytes().to_vec()),
            height: self.height.0,
            state_root: self.state_root.as_bytes().to_vec(),
        };
        wire.encode_to_vec()
    }

    /// Reads the canonical encoding, and no other.
    pub fn decode(bytes: &[u8]) -> Result<Self, AttestError> {
        if bytes.len() > MAX_EVIDENCE_LEN {
            return Err(AttestError::too_long());
        }
        let wire = wire::Claims::decode(bytes).map_err(|_| AttestError::malformed())?;
        let claims = Self {
            measurement: wire::fixed(&wire.measurement)?,
            rak: wire::fixed(&wire.rak)?,
            rek: wire::fixed(&wire.rek)?,
            node: wire::fixed(&wire.node)?,
            runtime: wire::fixed(&wire.runtime)?,
            code: wire.code.as_deref().map(wire::fixed).transpose()?,
            height: Height(wire.height),
            state_root: wire::fixed(&wire.state_root)?,
        };
        if claims.encode() != bytes {
            return Err(AttestError::another_form());
        }
        Ok(claims)
    }
}
