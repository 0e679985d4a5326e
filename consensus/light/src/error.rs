//! Why a light client refuses.

use paralith_types::{Error, Height};

/// Why a block or a proof is not accepted. The fault is the sender's, unless it says otherwise.
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
    /// A light block of another height than was asked for.
    #[error("the light block of height {got} came for {wanted}")]
    WrongHeight {
        /// The height that was asked for.
        wanted: Height,
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
            Self::WrongHeight { .. } => 10,
        }
    }
}

/// Why consensus state cannot be read through a source. Always the fault of the source or of the
/// node behind it: never a result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum ViewError {
    #[error("the source of consensus state refuses: {0}")]
    Source(Error),
    #[error("a light block or proof does not verify: {0}")]
    Light(LightError),
    #[error(
        "the state at height {wanted} is not proven, and the newest that is, {newest}, lies past it"
    )]
    NotProven { wanted: u64, newest: u64 },
    #[error("genesis cannot be used: {0}")]
    Genesis(String),
    #[error("a value of consensus state cannot be read: {0}")]
    Malformed(String),
    #[error("the sealed header cannot be used: {0}")]
    Sealed(String),
}

impl From<LightError> for ViewError {
    fn from(error: LightError) -> Self {
        Self::Light(error)
    }
}

impl ViewError {
    /// Stable code within module "view".
    pub fn code(&self) -> u32 {
        match self {
            Self::Source(_) => 1,
            Self::Light(_) => 2,
            Self::NotProven { .. } => 3,
            Self::Genesis(_) => 4,
            Self::Malformed(_) => 5,
            Self::Sealed(_) => 6,
        }
    }
}
