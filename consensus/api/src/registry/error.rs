//! Refusals of the registry.

use paralith_attest::AttestError;

/// Why a registration is refused. Always the sender's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum Error {
    #[error("invalid argument: {reason}")]
    InvalidArgument { reason: String },
    #[error("the consensus key's signature over the node does not fit")]
    InvalidSignature,
    #[error("entity {entity} does not list node {node}: register the entity with it first")]
    BadEntityForNode { entity: String, node: String },
    #[error("only entity {owner} may change runtime {runtime}")]
    BadEntityForRuntime { owner: String, runtime: String },
    #[error("attestation refused: {0}")]
    Attestation(AttestError),
    #[error("runtime {runtime} wants attested nodes: add a TEE capability")]
    TeeRequired { runtime: String },
    #[error("there is no entity {entity}")]
    NoSuchEntity { entity: String },
    #[error("there is no node {node}")]
    NoSuchNode { node: String },
    #[error("there is no runtime {runtime}")]
    NoSuchRuntime { runtime: String },
    #[error("signed by {got}, must be signed by {expected}")]
    IncorrectSigner { expected: String, got: String },
    #[error("the expiration, epoch {got}, must lie between {earliest} and {latest}")]
    InvalidExpiration { earliest: u64, latest: u64, got: u64 },
    #[error("a live node cannot change {what}")]
    NodeUpdateNotAllowed { what: &'static str },
    #[error("a runtime cannot change {what}")]
    RuntimeUpdateNotAllowed { what: &'static str },
    #[error("the key {key} belongs to another node")]
    KeyInUse { key: String },
    #[error("gas schedule or ABI version {got} is unknown, this chain has {known}")]
    UnknownVersion { known: u32, got: u32 },
    #[error("another node has registered the enclave with the RAK {rak}")]
    EnclaveInUse { rak: String },
    #[error("this version does not support {what} in a descriptor: leave it at its default")]
    NotSupported { what: &'static str },
    #[error("the next sequence of the runtime is {expected}, not {got}")]
    WrongSequence { expected: u64, got: u64 },
    #[error("nobody proposes the descriptor {descriptor} of runtime {runtime}")]
    NoSuchProposal { runtime: String, descriptor: String },
    #[error("{key} is no organisation of runtime {runtime}")]
    NotAnOrganisation { key: String, runtime: String },
    #[error("the enclave with the RAK {rak} is revoked: start a new one")]
    EnclaveRevoked { rak: String },
    #[error("{owner} has proposed runtime {runtime}: choose another id")]
    IdInUse { owner: String, runtime: String },
}

impl Error {
    /// Stable code within module "registry"; those of Oasis where the meaning is the same.
    pub fn code(&self) -> u32 {
        match self {
            Self::InvalidArgument { .. } => 1,
            Self::InvalidSignature => 2,
            Self::BadEntityForNode { .. } => 3,
            Self::BadEntityForRuntime { .. } => 4,
            Self::Attestation(_) => 6,
            Self::TeeRequired { .. } => 8,
            Self::NoSuchEntity { .. } => 9,
            Self::NoSuchNode { .. } => 10,
            Self::NoSuchRuntime { .. } => 11,
            Self::IncorrectSigner { .. } => 12,
            Self::InvalidExpiration { .. } => 13,
            Self::NodeUpdateNotAllowed { .. } => 17,
            Self::RuntimeUpdateNotAllowed { .. } => 18,
            Self::KeyInUse { .. } => 20,
            Self::UnknownVersion { .. } => 21,
            Self::EnclaveInUse { .. } => 22,
            Self::NotSupported { .. } => 24,
            Self::WrongSequence { .. } => 25,
            Self::NoSuchProposal { .. } => 26,
            Self::NotAnOrganisation { .. } => 27,
            Self::EnclaveRevoked { .. } => 28,
            Self::IdInUse { .. } => 29,
        }
    }
}
