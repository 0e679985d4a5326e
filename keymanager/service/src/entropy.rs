//! Where randomness comes from.

use paralith_crypto::{Domain, kdf};
use paralith_keymanager_core::Secret;

use crate::ServiceError;

const SEEDED: Domain = Domain::new("paralith/km-test-entropy/v1");

/// The operating system's randomness; or, for reproducible tests on chains that accept software
/// enclaves, the expansion of a seed.
#[derive(Debug)]
pub(crate) enum Entropy {
    System,
    Seeded { seed: Secret, drawn: u64 },
}

impl Entropy {
    pub(crate) fn draw(&mut self) -> Result<Secret, ServiceError> {
        match self {
            Self::System => {
                let mut bytes = [0; 32];
                getrandom::fill(&mut bytes).map_err(|_| ServiceError::NoRandomness)?;
                Ok(Secret::new(bytes))
            }
            Self::Seeded { seed, drawn } => {
                *drawn = drawn.saturating_add(1);
                Ok(Secret::new(kdf::prf(seed.as_bytes(), SEEDED, &[&drawn.to_be_bytes()])))
            }
        }
    }

    pub(crate) fn bytes(&mut self) -> Result<[u8; 32], ServiceError> {
        Ok(*self.draw()?.as_bytes())
    }
}
