//! Refusals of elections.

/// Why a genesis is refused by this module.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum Error {
    #[error("genesis gives {got} electable validators, at least {minimum} are needed")]
    TooFewValidators { got: u32, minimum: u32 },
}

impl Error {
    /// Stable code within module "scheduler".
    pub fn code(&self) -> u32 {
        match self {
            Self::TooFewValidators { .. } => 1,
        }
    }
}
