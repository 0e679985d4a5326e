//! Ed25519 signatures, made under a domain and for one chain, verified by the rules of ZIP-215.
//!
//! The signed bytes are `len(domain) as u8 || domain || chain context (32) || message`. They are not
//! hashed first: Ed25519 hashes them itself.
//!
//! ZIP-215 says for every string of 96 bytes whether it is a valid signature, and says the same
//! for one signature and for a batch. RFC 8032 leaves that open, so that two implementations of
//! it can disagree about a crafted signature, and a chain would split. Under ZIP-215 points may be
//! encoded non-canonically and have small order; `s` must be canonical; the equation is the one with
//! the cofactor.

use std::fmt;

use ed25519_dalek::Signer;
use ed25519_zebra::{VerificationKey, VerificationKeyBytes, batch};
use paralith_types::{ChainContext, PublicKey, Signature};
use zeroize::Zeroizing;

use crate::hash::{Domain, Hasher};
use crate::rng::SeededRng;

const BATCH: Domain = Domain::new("paralith/ed25519-batch");

/// The signature is not this key's signature of this message. The fault is the sender's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature is not valid for this key and message")]
pub struct BadSignature;

impl BadSignature {
    /// The stable number of this error.
    #[must_use]
    pub const fn code(self) -> u32 {
        1
    }
}

/// A private key. Wiped when dropped; `Debug` shows the public key only.
#[derive(Clone)]
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// The key with this seed: RFC 8032's 32-byte private key.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        let seed = Zeroizing::new(seed);
        Self(ed25519_dalek::SigningKey::from_bytes(&seed))
    }

    /// The seed, for writing the key down.
    #[must_use]
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs a message under a domain, for one chain.
    #[must_use]
    pub fn sign(&self, domain: Domain, chain: &ChainContext, message: &[u8]) -> Signature {
        self.sign_raw(&framed(domain, chain, message))
    }

    /// Signs bytes as they are. Private: every signature of a node has a domain and a chain.
    fn sign_raw(&self, bytes: &[u8]) -> Signature {
        Signature(self.0.sign(bytes).to_bytes())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey(public {})", self.public())
    }
}

/// Whether this is the key's signature of the message under this domain, for this chain.
pub fn verify(
    key: &PublicKey,
    domain: Domain,
    chain: &ChainContext,
    message: &[u8],
    signature: &Signature,
) -> Result<(), BadSignature> {
    verify_raw(key, &framed(domain, chain, message), signature)
}

/// [`verify`] without domain and chain: only for what guests ask of their host, with their own
/// formats.
pub fn verify_raw(
    key: &PublicKey,
    message: &[u8],
    signature: &Signature,
) -> Result<(), BadSignature> {
    VerificationKey::try_from(key.0)
        .and_then(|key| key.verify(&signature.0.into(), message))
        .map_err(|_| BadSignature)
}

/// Several signatures, verified together in about half the time.
///
/// The batch passes exactly when each signature passes [`verify`]. It does not tell which one failed.
pub struct Batch {
    verifier: batch::Verifier,
    transcript: Hasher,
    len: usize,
}

impl Batch {
    /// A batch of no signatures, which passes.
    #[must_use]
    pub fn new() -> Self {
        Self { verifier: batch::Verifier::new(), transcript: Hasher::new(BATCH), len: 0 }
    }

    /// Adds a signature to verify.
    pub fn push(
        &mut self,
        key: &PublicKey,
        domain: Domain,
        chain: &ChainContext,
        message: &[u8],
        signature: &Signature,
    ) {
        self.push_raw(key, &framed(domain, chain, message), signature);
    }

    fn push_raw(&mut self, key: &PublicKey, message: &[u8], signature: &Signature) {
        self.transcript.part(key.as_ref()).part(signature.as_ref()).part(message);
        let key = VerificationKeyBytes::from(key.0);
        self.verifier.queue((key, signature.0.into(), message));
        self.len = self.len.saturating_add(1);
    }

    /// How many signatures there are to verify.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Verifies them all.
    ///
    /// The equations are added up with random weights; who knows the weights beforehand can make
    /// wrong signatures cancel out. The weights come from the seed **and** from a hash of the whole
    /// batch, so that even a seed that everybody knows leaves no more than guessing at 128 bits.
    pub fn verify(self, seed: [u8; 32]) -> Result<(), BadSignature> {
        let mut transcript = self.transcript;
        transcript.part(&seed);
        let weights = SeededRng::new(&transcript.finish().0);
        self.verifier.verify(weights).map_err(|_| BadSignature)
    }
}

impl Default for Batch {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("len", &self.len).finish_non_exhaustive()
    }
}

/// The bytes that are signed.
fn framed(domain: Domain, chain: &ChainContext, message: &[u8]) -> Vec<u8> {
    let domain_bytes = domain.name().as_bytes();
    let mut bytes = Vec::with_capacity(1 + domain_bytes.len() + ChainContext::LEN + message.len());
    bytes.push(domain.len_byte());
    bytes.extend_from_slice(domain_bytes);
    bytes.extend_from_slice(chain.as_bytes());
    bytes.extend_from_slice(message);
    bytes
}

#[cfg(test)]
mod tests;
