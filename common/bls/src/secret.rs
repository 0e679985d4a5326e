//! The secret key.

use std::fmt;

use blst::min_sig::SecretKey;

use crate::{KEY_LEN, POSSESSION_SUITE, SIGNATURE_LEN, SIGNATURE_SUITE};

/// A secret key. Wiped when dropped; `Debug` shows nothing of it.
#[derive(Clone)]
pub struct BlsSecret(SecretKey);

impl BlsSecret {
    /// The key that `KeyGen` of the signature draft gives for 32 bytes of keying material, which are
    /// random or derived from a secret of as many bits.
    #[must_use]
    pub fn from_ikm(ikm: &[u8; 32]) -> Self {
        let secret = SecretKey::key_gen(ikm, &[]);
        // It refuses only keying material of less than 32 bytes.
        assert!(secret.is_ok(), "KeyGen takes 32 bytes");
        Self(secret.unwrap_or_default())
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> [u8; KEY_LEN] {
        self.0.sk_to_pk().compress()
    }

    /// Proves to whoever checks [`crate::verify_possession`] that this key's owner has the secret.
    /// The message names the key or its owner, and what the proof is for.
    #[must_use]
    pub fn prove_possession(&self, message: &[u8]) -> [u8; SIGNATURE_LEN] {
        self.0.sign(message, POSSESSION_SUITE.as_bytes(), &[]).compress()
    }

    /// Signs a message. Deterministic. The message says what it is for, on which chain and where:
    /// there is no other domain.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_LEN] {
        self.0.sign(message, SIGNATURE_SUITE.as_bytes(), &[]).compress()
    }
}

impl fmt::Debug for BlsSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BlsSecret(..)")
    }
}
