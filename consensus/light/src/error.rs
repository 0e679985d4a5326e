//! Why a light client refuses.

use paralith_types::Height;

/// Why a block or a proof is not believed. The fault is of whoever handed it over, unless it says
/// otherwise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LightError {
    /// The commit does not sign this header with the validators that the header names.
    #[error("the commit does not prove the header: {reason}")]
    BadCommit {
        /// What is wrong with it.
        reason: String,
    },
    /// The bytes are not the one encoding of a light block or a trusted header.
    #[error("cannot read {what}: {reason}")]
    BadEncoding {
        /// What was read.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The proof does not prove the claim.
    #[error("the proof does not hold: {reason}")]
    BadProof {
        /// What is wrong with it.
        reason: String,
    },
    /// The validators given at the start are not a set: empty, doubled, or too powerful together.
    #[error("not a set of validators: {reason}")]
    BadValidators {
        /// What is wrong with them.
        reason: String,
    },
    /// Two headers of one height, both signed: the chain has forked, or somebody lies. Keep both.
    #[error("another header is trusted at height {height}")]
    Fork {
        /// The height.
        height: Height,
    },
    /// The trusted validators have signed too little of it; try a height in between.
    #[error("the trusted validators signed {signed} of {total}: step to a height in between")]
    NotEnoughTrust {
        /// Trusted voting power that signed.
        signed: u64,
        /// All trusted voting power.
        total: u64,
    },
    /// No header that the client has verified carries this state's root.
    #[error("the root of state {height} is not known: follow the chain to {}", height.next())]
    StateUnknown {
        /// The state's height.
        height: Height,
    },
    /// The height lies before the newest trusted header.
    #[error("height {got} lies before the trusted {trusted}")]
    TooFarBack {
        /// The newest trusted height.
        trusted: Height,
        /// The height that came.
        got: Height,
    },
    /// A block of another chain.
    #[error("a block of the chain {got}, not of {expected}")]
    WrongChain {
        /// The chain that is followed.
        expected: String,
        /// The chain that the block names.
        got: String,
    },
}

impl LightError {
    /// The error's number, which never changes.
    pub fn code(&self) -> u32 {
        match self {
            Self::WrongChain { .. } => 1,
            Self::NotEnoughTrust { .. } => 2,
            Self::BadCommit { .. } => 3,
            Self::TooFarBack { .. } => 4,
            Self::BadProof { .. } => 5,
            Self::BadEncoding { .. } => 6,
            Self::BadValidators { .. } => 7,
            Self::Fork { .. } => 8,
            Self::StateUnknown { .. } => 9,
        }
    }
}
