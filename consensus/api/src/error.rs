//! Why the chain refuses: one enum over the modules' enums, each with stable codes.

use paralith_types::Retry;

use crate::{beacon, consensus, keymanager, registry, roothash, scheduler, staking};

/// Whose doing an error is: what a caller should do about it follows from this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The sender's: change the transaction.
    Sender,
    /// Nobody's: state was not ready; try again later.
    Timing,
    /// This node's: its state is missing or damaged. Never a result of a transaction.
    Node,
}

/// A refusal by one module.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum Error {
    #[error("beacon: {0}")]
    Beacon(#[from] beacon::Error),
    #[error("consensus: {0}")]
    Consensus(#[from] consensus::Error),
    #[error("keymanager: {0}")]
    KeyManager(#[from] keymanager::Error),
    #[error("registry: {0}")]
    Registry(#[from] registry::Error),
    #[error("roothash: {0}")]
    Roothash(#[from] roothash::Error),
    #[error("scheduler: {0}")]
    Scheduler(#[from] scheduler::Error),
    #[error("staking: {0}")]
    Staking(#[from] staking::Error),
}

impl Error {
    /// The module's name, the first half of the stable identity of an error.
    pub fn module(&self) -> &'static str {
        match self {
            Self::Beacon(_) => "beacon",
            Self::Consensus(_) => "consensus",
            Self::KeyManager(_) => "keymanager",
            Self::Registry(_) => "registry",
            Self::Roothash(_) => "roothash",
            Self::Scheduler(_) => "scheduler",
            Self::Staking(_) => "staking",
        }
    }

    /// The code within the module, never 0.
    pub fn code(&self) -> u32 {
        match self {
            Self::Beacon(e) => e.code(),
            Self::Consensus(e) => e.code(),
            Self::KeyManager(e) => e.code(),
            Self::Registry(e) => e.code(),
            Self::Roothash(e) => e.code(),
            Self::Scheduler(e) => e.code(),
            Self::Staking(e) => e.code(),
        }
    }

    /// What the sender can do about it.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Consensus(consensus::Error::InvalidNonce { expected, .. }) => {
                Retry::NonceIs { nonce: *expected }
            }
            Self::Consensus(consensus::Error::BlockGasExhausted) => Retry::Later,
            other => match other.fault() {
                Fault::Sender => Retry::Never,
                Fault::Timing => Retry::Later,
                Fault::Node => Retry::OtherPeer,
            },
        }
    }

    /// The refusal as it travels.
    pub fn to_wire(&self) -> paralith_types::Error {
        paralith_types::Error::new(self.module(), self.code(), self).with_retry(self.retry())
    }

    /// Whose doing it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Consensus(consensus::Error::StateUnavailable { .. }) => Fault::Node,
            Self::Roothash(e) if e.is_timing() => Fault::Timing,
            _ => Fault::Sender,
        }
    }
}
