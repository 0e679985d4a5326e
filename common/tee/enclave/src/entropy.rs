//! Where an enclave's randomness comes from.

use std::fmt;

use paralith_crypto::{Domain, Zeroizing, hash, kdf};

use crate::{EnclaveId, TeeError};

const SEED: Domain = Domain::new("paralith/tee-entropy-seed/v1");
const DRAW: Domain = Domain::new("paralith/tee-entropy/v1");

/// The operating system's randomness; or the expansion of a seed, for reproducible tests on chains
/// that accept software enclaves.
pub enum Entropy {
    /// The operating system.
    System,
    /// A seed, and how often it was drawn from.
    Seeded {
        /// 32 bytes that depend on the enclave's place.
        seed: Zeroizing<[u8; 32]>,
        /// Grows with each draw.
        drawn: u64,
    },
}

impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => f.write_str("System"),
            Self::Seeded { drawn, .. } => write!(f, "Seeded({drawn} drawn)"),
        }
    }
}

impl Entropy {
    /// The expansion of a seed, another one for each enclave.
    #[must_use]
    pub fn seeded(seed: &[u8], id: &EnclaveId) -> Self {
        let parts: [&[u8]; 3] = [seed, id.node.as_bytes(), id.runtime_id.as_bytes()];
        Self::Seeded { seed: Zeroizing::new(hash(SEED, &parts).0), drawn: 0 }
    }

    /// 32 fresh bytes, wiped when they are dropped.
    pub fn draw(&mut self) -> Result<Zeroizing<[u8; 32]>, TeeError> {
        match self {
            Self::System => {
                let mut bytes = Zeroizing::new([0; 32]);
                getrandom::fill(&mut *bytes).map_err(|_| TeeError::NoRandomness)?;
                Ok(bytes)
            }
            Self::Seeded { seed, drawn } => {
                *drawn = drawn.wrapping_add(1);
                Ok(Zeroizing::new(kdf::prf(seed, DRAW, &[&drawn.to_be_bytes()])))
            }
        }
    }

    /// 32 fresh bytes that need not be kept secret, or that their taker wipes.
    pub fn bytes(&mut self) -> Result<[u8; 32], TeeError> {
        self.draw().map(|bytes| *bytes)
    }

    /// A fresh nonce for [`crate::SealingKey::seal`].
    pub fn nonce(&mut self) -> Result<[u8; 12], TeeError> {
        let bytes = self.bytes()?;
        let mut nonce = [0; 12];
        nonce.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
        Ok(nonce)
    }
}

#[cfg(test)]
mod tests {
    use paralith_types::{ChainContext, PublicKey, RuntimeId};

    use super::*;

    fn id(node: u8, runtime: u8) -> EnclaveId {
        EnclaveId {
            chain: ChainContext([1; 32]),
            runtime_id: RuntimeId([runtime; 32]),
            node: PublicKey([node; 32]),
        }
    }

    #[test]
    fn a_seed_gives_other_bytes_each_time_and_to_each_enclave() {
        let mut all = Vec::new();
        for (node, runtime) in [(1, 1), (2, 1), (1, 2)] {
            let mut entropy = Entropy::seeded(b"seed", &id(node, runtime));
            let mut again = Entropy::seeded(b"seed", &id(node, runtime));
            for _ in 0..3 {
                let bytes = entropy.bytes().unwrap();
                assert_eq!(again.bytes().unwrap(), bytes);
                assert!(!all.contains(&bytes));
                all.push(bytes);
            }
        }
    }

    #[test]
    fn the_system_gives_other_bytes_each_time() {
        let mut entropy = Entropy::System;
        assert_ne!(entropy.bytes().unwrap(), entropy.bytes().unwrap());
    }
}
