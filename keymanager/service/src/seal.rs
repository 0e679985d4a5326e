//! What an enclave keeps between two runs.
//!
//! Layout: version (1 byte) || nonce (12 bytes) || AES-256-GCM-SIV(key, nonce, AAD, plaintext). The
//! plaintext is the canonical encoding of [`Kept`]; the key is derived from the platform's sealing
//! key; key and AAD bind version, chain, runtime and measurement.

use paralith_attest::Measurement;
use paralith_crypto::{AeadKey, Domain, Zeroizing, hash, kdf, seal};
use paralith_keymanager_core::{Kept, Secret};
use paralith_proto::Canonical;
use paralith_types::{ChainContext, Hash, RuntimeId};

use crate::ServiceError;

const SEAL_VERSION: u8 = 1;
const KEY: Domain = Domain::new("paralith/km-seal-key/v1");
const AAD: Domain = Domain::new("paralith/km-seal-aad/v1");
const NONCE_LEN: usize = 12;

/// Longest plaintext that is read: a light client's header with all validators, and secrets.
const MAX_KEPT_BYTES: usize = 8 * 1024 * 1024;

/// What a seal is bound to.
#[derive(Debug, Clone)]
pub struct SealedPlace {
    /// The chain.
    pub chain: ChainContext,
    /// The key manager.
    pub runtime_id: RuntimeId,
    /// The enclave's code: other code has other seals, and replicates.
    pub measurement: Measurement,
}

/// Seals under the platform's key. The nonce is fresh.
#[must_use]
pub fn seal_state(
    sealing_key: &Secret,
    place: &SealedPlace,
    nonce: [u8; NONCE_LEN],
    kept: &Kept,
) -> Vec<u8> {
    let plaintext = Zeroizing::new(kept.encode());
    let (key, aad) = (key(sealing_key, place), aad(place));
    let sealed = seal::seal(&key, &nonce, aad.as_bytes(), &plaintext);
    [&[SEAL_VERSION], nonce.as_slice(), &sealed].concat()
}

/// Opens what [`seal_state`] gave under the same key and place.
pub fn open_state(
    sealing_key: &Secret,
    place: &SealedPlace,
    sealed: &[u8],
) -> Result<Kept, ServiceError> {
    let Some((&SEAL_VERSION, rest)) = sealed.split_first() else {
        return Err(ServiceError::CannotUnseal);
    };
    let (nonce, sealed) =
        rest.split_first_chunk::<NONCE_LEN>().ok_or(ServiceError::CannotUnseal)?;
    let (key, aad) = (key(sealing_key, place), aad(place));
    let plaintext =
        seal::open(&key, nonce, aad.as_bytes(), sealed).map_err(|_| ServiceError::CannotUnseal)?;
    Kept::decode(&plaintext, MAX_KEPT_BYTES).map_err(|_| ServiceError::CannotUnseal)
}

fn key(sealing_key: &Secret, place: &SealedPlace) -> AeadKey {
    let info = [place.chain.as_bytes(), place.runtime_id.as_bytes(), place.measurement.as_bytes()];
    kdf::derive(sealing_key.as_bytes(), &[], KEY, &info).into()
}

fn aad(place: &SealedPlace) -> Hash {
    let version = [SEAL_VERSION];
    let parts: [&[u8]; 4] = [
        &version,
        place.chain.as_bytes(),
        place.runtime_id.as_bytes(),
        place.measurement.as_bytes(),
    ];
    hash(AAD, &parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> SealedPlace {
        SealedPlace {
            chain: ChainContext([1; 32]),
            runtime_id: RuntimeId([2; 32]),
            measurement: Measurement(Hash([3; 32])),
        }
    }

    fn kept() -> Kept {
        Kept { master_secrets: vec![Secret::new([4; 32])], ..Kept::default() }
    }

    const KEY: Secret = Secret::new([5; 32]);

    /// Made again with Python's `hmac` (HKDF by hand) and the AES-GCM-SIV of its `cryptography`.
    #[test]
    fn the_layout_is_frozen() {
        let sealed = seal_state(&KEY, &place(), [6; 12], &kept());
        assert_eq!(hex::encode(&sealed[..13]), "01060606060606060606060606");
        assert_eq!(sealed.len(), 13 + 34 + 16);
        assert_eq!(
            hex::encode(&sealed[13..]),
            "1e4b2b152ffde76aa83156da421ec99bcf94f468bb58fbefe2e6c561ec76f4f95878b59b6356632143c4d73d812c19e5b5d6"
        );
        assert_eq!(open_state(&KEY, &place(), &sealed), Ok(kept()));
    }

    #[test]
    fn it_opens_only_where_it_was_sealed_and_unchanged() {
        let sealed = seal_state(&KEY, &place(), [6; 12], &kept());
        let refused = Err(ServiceError::CannotUnseal);
        let others: [fn(&mut SealedPlace); 3] = [
            |p| p.chain = ChainContext([9; 32]),
            |p| p.runtime_id = RuntimeId([9; 32]),
            |p| p.measurement = Measurement(Hash([9; 32])),
        ];
        for change in others {
            let mut other = place();
            change(&mut other);
            assert_eq!(open_state(&KEY, &other, &sealed), refused);
        }
        assert_eq!(open_state(&Secret::new([6; 32]), &place(), &sealed), refused);
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert_eq!(open_state(&KEY, &place(), &changed), refused, "byte {index}");
            assert_eq!(open_state(&KEY, &place(), &sealed[..index]), refused, "{index} bytes");
        }
    }
}
