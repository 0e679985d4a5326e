//! Refusals of the beacon.

/// Why a genesis is refused by this module.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum Error {
    #[error("genesis gives no insecure_seed, and this version has no other beacon")]
    NoBeacon,
    #[error("an epoch must have at least 2 blocks, has {got}")]
    EpochTooShort { got: u64 },
}

impl Error {
    /// Stable code within module "beacon".
    pub fn code(&self) -> u32 {
        match self {
            Self::NoBeacon => 1,
            Self::EpochTooShort { .. } => 2,
        }
    }
}
