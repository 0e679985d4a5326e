//! Why a request is refused and why a secret is not taken.

use paralith_attest::AttestError;
use paralith_crypto::CannotSeal;
use paralith_proto::DecodeError;

/// Why a request for secrets is refused. The fault is the asker's or its host's, except where noted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum Refusal {
    /// The request's bytes mean nothing.
    #[error("the request cannot be read: {0}")]
    Malformed(DecodeError),
    #[error("unknown protocol version {got}, this is version {expected}")]
    UnknownVersion { expected: u32, got: u32 },
    /// Perhaps the asker has registered another RAK since: it asks again.
    #[error("the request is not signed by the RAK that the node has in state")]
    BadSignature,
    /// The node is unknown, lacks the role or the runtime, or registered it without an enclave.
    #[error("node {node} is not registered for runtime {runtime_id} with an enclave")]
    NotRegistered { node: String, runtime_id: String },
    #[error("the registration of node {node} ended with epoch {expiration}, this is epoch {epoch}")]
    Expired { node: String, expiration: u64, epoch: u64 },
    #[error("node {node} is not in the committee of runtime {runtime_id} in epoch {epoch}")]
    NotElected { node: String, runtime_id: String, epoch: u64 },
    /// The asker's view may be frozen: it proves freshness again.
    #[error("the freshness proof is not this node's newest one of epoch {epoch}: prove it again")]
    Stale { epoch: u64 },
    /// The evidence is not valid, too old, or of an enclave that policy does not allow.
    #[error("the enclave is not one that may have these secrets: {reason}")]
    EvidenceMismatch { reason: String },
    /// The two see different epochs; the one that is behind follows the chain and it is tried again.
    #[error("the request is for epoch {got}, this key manager sees epoch {expected}")]
    WrongEpoch { expected: u64, got: u64 },
    /// Nobody's fault: there is no generation yet.
    #[error("the key manager has no generation yet")]
    NotInitialised,
    #[error("runtime {runtime_id} is not one of this key manager's")]
    UnknownRuntime { runtime_id: String },
    /// This key manager's: it has not proven freshness in this epoch. Ask another one.
    #[error("this key manager has not proven in epoch {epoch} that it sees the living chain")]
    NotReady { epoch: u64 },
    /// Nobody's: every key manager was restarted. The next epoch has a secret again.
    #[error("no secret for epoch {epoch} here: it comes back with the next epoch")]
    MissingEpochSecret { epoch: u64 },
    /// This key manager's: it is still replicating. Ask another one.
    #[error("this key manager holds {held} of {needed} generations")]
    MissingGeneration { held: u64, needed: u64 },
    #[error("the request is addressed to key manager {got}, this is {expected}")]
    WrongKeyManager { expected: String, got: String },
    /// The asker has named a reply key that keeps no secret.
    #[error("the request's reply key keeps no secret")]
    BadRecipient,
    /// One of the two is far behind or ahead: both follow the chain, and the asker asks again.
    #[error(
        "this key manager has no proven state root of height {height}: ask again at the newest"
    )]
    UnknownHeight { height: u64 },
    /// One of the two follows a chain that other validators have signed.
    #[error(
        "the enclave follows another chain: its state root of height {height} is not this one's"
    )]
    OtherChain { height: u64 },
    #[error("entity {entity} is no organisation of the application {runtime_id}")]
    NotAnOrganisation { entity: String, runtime_id: String },
    #[error("the enclave of node {node} is revoked: start a new one and register it")]
    Revoked { node: String },
    #[error("node {node} is frozen: its enclave of {runtime_id} is not in the index")]
    Frozen { node: String, runtime_id: String },
}

impl Refusal {
    /// Stable code within module "keys".
    #[must_use]
    pub const fn code(&self) -> u32 {
        match self {
            Self::Malformed(_) => 1,
            Self::UnknownVersion { .. } => 2,
            Self::BadSignature => 3,
            Self::NotRegistered { .. } => 4,
            Self::Expired { .. } => 5,
            Self::NotElected { .. } => 6,
            Self::Stale { .. } => 7,
            Self::EvidenceMismatch { .. } => 8,
            Self::WrongEpoch { .. } => 9,
            Self::NotInitialised => 10,
            Self::UnknownRuntime { .. } => 11,
            Self::NotReady { .. } => 12,
            Self::MissingEpochSecret { .. } => 13,
            Self::MissingGeneration { .. } => 14,
            Self::WrongKeyManager { .. } => 15,
            Self::BadRecipient => 16,
            Self::UnknownHeight { .. } => 17,
            Self::OtherChain { .. } => 18,
            Self::NotAnOrganisation { .. } => 19,
            Self::Revoked { .. } => 20,
            Self::Frozen { .. } => 21,
        }
    }
}

impl From<DecodeError> for Refusal {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(error)
    }
}

impl From<AttestError> for Refusal {
    fn from(error: AttestError) -> Self {
        Self::EvidenceMismatch { reason: error.to_string() }
    }
}

impl From<CannotSeal> for Refusal {
    fn from(_: CannotSeal) -> Self {
        Self::BadRecipient
    }
}

/// Why a secret, a reply or a policy is not taken. The fault is its author's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum SecretError {
    #[error("the secret does not fit the checksum in consensus state")]
    WrongChecksum,
    #[error("generation {got} does not follow: {expected} is next")]
    WrongGeneration { expected: u64, got: u64 },
    #[error("epoch {got} is outside {oldest} to {newest}, for which secrets are kept")]
    WrongEpoch { oldest: u64, newest: u64, got: u64 },
    #[error("another secret is held for epoch {epoch}")]
    AnotherSecret { epoch: u64 },
    #[error("nothing in it is sealed to this enclave")]
    NotARecipient,
    #[error("it does not open with this enclave's key")]
    CannotOpen,
    #[error("it cannot be read: {0}")]
    Malformed(DecodeError),
    #[error("it is not signed by the enclave that is in state")]
    BadSignature,
    #[error("it answers another request")]
    OtherRequest,
    #[error("the policy is not valid: {reason}")]
    BadPolicy { reason: &'static str },
    #[error("the policy's serial {got} goes back behind {followed}, or changes what it says")]
    PolicyRollback { followed: u32, got: u32 },
    /// The replier's, or this enclave's host shows it another chain.
    #[error(
        "the replier follows another chain: its state root of height {height} is not this one's"
    )]
    OtherChain { height: u64 },
    /// Nobody's: this enclave has followed the chain far past the replier. Ask again.
    #[error(
        "there is no proven state root of height {height} to compare the reply's with: ask again"
    )]
    UnknownHeight { height: u64 },
}

impl SecretError {
    /// Stable code within module "secrets".
    #[must_use]
    pub const fn code(&self) -> u32 {
        match self {
            Self::WrongChecksum => 1,
            Self::WrongGeneration { .. } => 2,
            Self::WrongEpoch { .. } => 3,
            Self::AnotherSecret { .. } => 4,
            Self::NotARecipient => 5,
            Self::CannotOpen => 6,
            Self::Malformed(_) => 7,
            Self::BadSignature => 8,
            Self::OtherRequest => 9,
            Self::BadPolicy { .. } => 10,
            Self::PolicyRollback { .. } => 11,
            Self::OtherChain { .. } => 12,
            Self::UnknownHeight { .. } => 13,
        }
    }
}

impl From<DecodeError> for SecretError {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(error)
    }
}
