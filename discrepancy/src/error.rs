//! What can be wrong with a round before it begins, and with a pool that was stored.

use thiserror::Error;

use crate::committee::Signer;

/// A round that cannot begin: the runtime's parameters or its committee are wrong. On a chain that
/// checks both, this node's state is.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ConfigError {
    /// There is nobody to execute the round.
    #[error("there are no workers")]
    NoWorkers,
    /// A node has two seats of one kind, and would have two votes.
    #[error("{signer:?} has two seats of one kind")]
    SeatedTwice {
        /// The node.
        signer: Signer,
    },
    /// The timeout would end a round before the grace for omitted votes.
    #[error("a timeout of {timeout} blocks does not exceed the grace")]
    TimeoutTooShort {
        /// The timeout.
        timeout: u64,
    },
    /// Nobody would have to agree with the scheduler, or not even the scheduler with itself.
    #[error("{allowed} stragglers of {workers} workers")]
    TooManyStragglers {
        /// S.
        allowed: u32,
        /// n.
        workers: u64,
    },
}

impl ConfigError {
    /// A number that never changes, for events and logs.
    pub const fn code(&self) -> u32 {
        match self {
            Self::NoWorkers => 1,
            Self::TooManyStragglers { .. } => 2,
            Self::TimeoutTooShort { .. } => 3,
            Self::SeatedTwice { .. } => 4,
        }
    }
}

/// Stored parts that no sequence of votes leads to: our fault, the store or its code is broken.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum PartsError {
    /// The configuration is not that of a round.
    #[error("stored configuration: {0}")]
    Config(#[from] ConfigError),
    /// The lead is not the one rank whose scheduler has voted, or the timeout does not go with it.
    #[error("the stored lead does not follow from the stored votes")]
    Lead,
    /// A pool is at a rank that cannot have one.
    #[error("a stored pool at rank {rank} cannot be")]
    Pool {
        /// The rank.
        rank: u64,
    },
    /// The closing verdict is not one, or does not follow from the votes.
    #[error("the stored verdict does not close a round")]
    Verdict,
    /// Someone outside the committee is named.
    #[error("{signer:?} is stored but not in the committee")]
    Stranger {
        /// The node.
        signer: Signer,
    },
}

impl PartsError {
    /// A number that never changes, for events and logs.
    pub const fn code(&self) -> u32 {
        match self {
            Self::Config(_) => 1,
            Self::Pool { .. } => 2,
            Self::Lead => 3,
            Self::Stranger { .. } => 4,
            Self::Verdict => 5,
        }
    }
}
