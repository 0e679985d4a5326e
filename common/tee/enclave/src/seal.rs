//! What an enclave keeps between two runs.
//!
//! Layout: version (1 byte) || nonce (12 bytes) || AES-256-GCM-SIV(key, nonce, AAD, plaintext). The
//! key is derived from the platform's sealing key; key and AAD bind version, chain, runtime and
//! measurement: other code has other seals. A host can show an older seal: what is sealed must be
//! safe then too.

use std::fmt;

use paralith_attest::Measurement;
use paralith_crypto::{AeadKey, Domain, Zeroizing, hash, kdf, seal};
use paralith_types::{ChainContext, Hash, RuntimeId};

use crate::TeeError;

const VERSION: u8 = 1;
const KEY: Domain = Domain::new("paralith/tee-seal-key/v1");
const AAD: Domain = Domain::new("paralith/tee-seal-aad/v1");
const NONCE_LEN: usize = 12;

/// What a seal is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealedFor {
    /// The chain.
    pub chain: ChainContext,
    /// The runtime that the enclave serves.
    pub runtime_id: RuntimeId,
    /// The enclave's code.
    pub measurement: Measurement,
}

/// The platform's sealing key: of the processor, or what stands for it in software. Wiped when
/// dropped, never shown.
#[derive(Clone)]
pub struct SealingKey(Zeroizing<[u8; 32]>);

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey(..)")
    }
}

impl SealingKey {
    /// The key of these bytes.
    #[must_use]
    pub const fn new(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    /// Seals. The nonce is fresh.
    #[must_use]
    pub fn seal(&self, to: &SealedFor, nonce: [u8; NONCE_LEN], plaintext: &[u8]) -> Vec<u8> {
        let sealed = seal::seal(&self.key(to), &nonce, aad(to).as_bytes(), plaintext);
        [&[VERSION], nonce.as_slice(), &sealed].concat()
    }

    /// Opens what [`SealingKey::seal`] gave under the same key for the same place.
    pub fn open(&self, to: &SealedFor, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, TeeError> {
        let Some((&VERSION, rest)) = sealed.split_first() else {
            return Err(TeeError::CannotUnseal);
        };
        let (nonce, sealed) =
            rest.split_first_chunk::<NONCE_LEN>().ok_or(TeeError::CannotUnseal)?;
        seal::open(&self.key(to), nonce, aad(to).as_bytes(), sealed)
            .map_err(|_| TeeError::CannotUnseal)
    }

    /// For keys of other purposes, which are derived from it under a domain of their own.
    pub(crate) fn bytes(&self) -> &[u8] {
        &*self.0
    }

    fn key(&self, to: &SealedFor) -> AeadKey {
        let info = [to.chain.as_bytes(), to.runtime_id.as_bytes(), to.measurement.as_bytes()];
        // KM-S2: what was sealed elsewhere or by other code does not open.
        kdf::derive(&*self.0, &[], KEY, &info.map(|part| part as &[u8])).into()
    }
}

fn aad(to: &SealedFor) -> Hash {
    let version = [VERSION];
    let parts: [&[u8]; 4] =
        [&version, to.chain.as_bytes(), to.runtime_id.as_bytes(), to.measurement.as_bytes()];
    hash(AAD, &parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> SealedFor {
        SealedFor {
            chain: ChainContext([1; 32]),
            runtime_id: RuntimeId([2; 32]),
            measurement: Measurement(Hash([3; 32])),
        }
    }

    fn key(n: u8) -> SealingKey {
        SealingKey::new(Zeroizing::new([n; 32]))
    }

    /// Made again with Python's `hmac` (HKDF by hand) and the AES-GCM-SIV of its `cryptography`.
    #[test]
    fn the_layout_is_frozen() {
        let sealed = key(5).seal(&place(), [6; 12], b"kept");
        assert_eq!(hex::encode(&sealed), GOLDEN);
        assert_eq!(*key(5).open(&place(), &sealed).unwrap(), b"kept");
    }

    #[test]
    fn it_opens_only_where_it_was_sealed_and_unchanged() {
        let sealed = key(5).seal(&place(), [6; 12], b"kept");
        let refused = Err(TeeError::CannotUnseal);
        let others: [fn(&mut SealedFor); 3] = [
            |p| p.chain = ChainContext([9; 32]),
            |p| p.runtime_id = RuntimeId([9; 32]),
            |p| p.measurement = Measurement(Hash([9; 32])),
        ];
        for change in others {
            let mut other = place();
            change(&mut other);
            assert_eq!(key(5).open(&other, &sealed), refused);
        }
        assert_eq!(key(6).open(&place(), &sealed), refused);
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert_eq!(key(5).open(&place(), &changed), refused, "byte {index}");
            assert_eq!(key(5).open(&place(), &sealed[..index]), refused, "{index} bytes");
        }
    }

    const GOLDEN: &str = "010606060606060606060606063c2d705b2865f5ec5658254b18164878df936a91";
}
