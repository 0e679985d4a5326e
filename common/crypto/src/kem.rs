//! HPKE base mode (RFC 9180) to keys of several kinds, with given randomness: who knows the
//! randomness can make the same bytes again and compare.
//!
//! Suites: a KEM of this page, HKDF-SHA256 0x0001, ChaCha20-Poly1305 0x0003; no additional data.
//! Sealed form: the encapsulated key, then the ciphertext with its tag, as in [`crate::hpke`].
//! Specification: docs/protocol/wraps.md.

use std::fmt;

use paralith_types::X25519PublicKey;
use zeroize::Zeroizing;

use crate::seal::CannotOpen;
use crate::{HpkeSecret, hpke};

/// DHKEM(X25519, HKDF-SHA256).
pub const KEM_X25519: u32 = 0x0020;

/// X-Wing: ML-KEM-768 and X25519, of which an attacker must break both. Answered only by builds with
/// the feature `x-wing`; what several machines must agree on needs one of these on all of them.
pub const KEM_X_WING: u32 = 0x647a;

/// A private key of one of the KEMs. Wiped when dropped; `Debug` shows none of it.
#[derive(Clone)]
pub enum KemSecret {
    /// For [`KEM_X25519`].
    X25519(HpkeSecret),
    /// For [`KEM_X_WING`]: the seed of 32 bytes that X-Wing calls the decapsulation key.
    #[cfg(feature = "x-wing")]
    XWing(Zeroizing<[u8; 32]>),
}

impl KemSecret {
    /// The id of its KEM.
    #[must_use]
    pub const fn kem(&self) -> u32 {
        match self {
            Self::X25519(_) => KEM_X25519,
            #[cfg(feature = "x-wing")]
            Self::XWing(_) => KEM_X_WING,
        }
    }

    /// The public key: 32 bytes, or 1,216 for X-Wing.
    #[must_use]
    pub fn public(&self) -> Vec<u8> {
        match self {
            Self::X25519(secret) => secret.public().0.to_vec(),
            #[cfg(feature = "x-wing")]
            Self::XWing(seed) => x_wing::public(seed),
        }
    }
}

impl fmt::Debug for KemSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KemSecret({:#06x})", self.kem())
    }
}

/// Whether something can be sealed to this key, so that the owner of a secret could open it: the KEM
/// is known, the key has its length, is written as its KEM writes it (a number that is not reduced
/// would open for nobody, since the key itself is bound), and has no small order.
#[must_use]
pub fn is_usable_key(kem: u32, key: &[u8]) -> bool {
    hpke_seal(kem, key, b"", b"", &[0; 32]).is_some()
}

/// Seals a plaintext to a key. `ikm` is the input keying material of the encapsulation: RFC 9180's
/// `ikmE` for X25519; for X-Wing it is expanded to 64 bytes. `None`: the key is not usable, see
/// [`is_usable_key`].
///
/// Different plaintexts, recipients or `info` need different `ikm`: see [`crate::wrap`].
#[must_use]
pub fn hpke_seal(
    kem: u32,
    key: &[u8],
    info: &[u8],
    plaintext: &[u8],
    ikm: &[u8; 32],
) -> Option<Vec<u8>> {
    match kem {
        KEM_X25519 => {
            // WR-3
            let key = X25519PublicKey::try_from(key).ok().filter(|key| is_reduced(&key.0))?;
            hpke::seal(&key, info, b"", plaintext, *ikm).ok()
        }
        #[cfg(feature = "x-wing")]
        KEM_X_WING => x_wing::seal(key, info, plaintext, ikm),
        _ => None,
    }
}

/// Opens what was sealed to this key with the same `info`.
pub fn hpke_open(
    secret: &KemSecret,
    info: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, CannotOpen> {
    match secret {
        KemSecret::X25519(secret) => hpke::open(secret, info, b"", sealed),
        #[cfg(feature = "x-wing")]
        KemSecret::XWing(seed) => x_wing::open(seed, info, sealed),
    }
}

/// Whether an X25519 key is the one encoding of its number, modulo 2^255 - 19. RFC 7748 reads the
/// others as the same key.
fn is_reduced(key: &[u8; 32]) -> bool {
    let [first, middle @ .., last] = key;
    let is_large = *last == 0x7f && middle.iter().all(|byte| *byte == 0xff) && *first >= 0xed;
    *last < 0x80 && !is_large
}

#[cfg(feature = "x-wing")]
mod x_wing {
    use ::hpke::aead::ChaCha20Poly1305;
    use ::hpke::kdf::HkdfSha256;
    use ::hpke::kem::XWing;
    use ::hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
    use ::hpke::{single_shot_open, single_shot_seal_with_rng};
    use x25519_dalek::{PublicKey, StaticSecret};
    use zeroize::Zeroizing;

    use super::is_reduced;
    use crate::hash::Domain;
    use crate::kdf::derive_wide;
    use crate::rng::SeededRng;
    use crate::seal::CannotOpen;

    /// Under which 32 bytes of keying material become the 64 that an encapsulation takes.
    const EXPAND: Domain = Domain::new("paralith/x-wing/v1");

    const ENCAPSULATED_KEY_LEN: usize = 1120;

    pub(super) fn public(seed: &[u8; 32]) -> Vec<u8> {
        let secret = <XWing as Kem>::PrivateKey::from_bytes(seed);
        secret.map(|secret| XWing::sk_to_pk(&secret).to_bytes().to_vec()).unwrap_or_default()
    }

    /// The key of these bytes, if it is usable.
    fn read(bytes: &[u8]) -> Option<<XWing as Kem>::PublicKey> {
        // Refuses coefficients of ML-KEM that are not reduced, by the check of FIPS 203.
        let key = <XWing as Kem>::PublicKey::from_bytes(bytes).ok()?;
        let x25519: &[u8; 32] = bytes.last_chunk()?;
        let shared = StaticSecret::from([1; 32]).diffie_hellman(&PublicKey::from(*x25519));
        let usable = is_reduced(x25519) && shared.was_contributory();
        (usable && key.to_bytes().as_slice() == bytes).then_some(key)
    }

    pub(super) fn seal(
        key: &[u8],
        info: &[u8],
        plaintext: &[u8],
        ikm: &[u8; 32],
    ) -> Option<Vec<u8>> {
        let to = read(key)?;
        let randomness = derive_wide::<64>(ikm, b"", EXPAND, &[]);
        let (key, ciphertext) = single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, XWing>(
            &OpModeS::Base,
            &to,
            info,
            plaintext,
            b"",
            &mut SeededRng::new(&randomness),
        )
        .ok()?;
        Some([key.to_bytes().as_slice(), &ciphertext].concat())
    }

    pub(super) fn open(
        seed: &[u8; 32],
        info: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, CannotOpen> {
        let (key, ciphertext) = sealed.split_at_checked(ENCAPSULATED_KEY_LEN).ok_or(CannotOpen)?;
        let key = <XWing as Kem>::EncappedKey::from_bytes(key).map_err(|_| CannotOpen)?;
        let secret = <XWing as Kem>::PrivateKey::from_bytes(seed).map_err(|_| CannotOpen)?;
        single_shot_open::<ChaCha20Poly1305, HkdfSha256, XWing>(
            &OpModeR::Base,
            &secret,
            &key,
            info,
            ciphertext,
            b"",
        )
        .map(Zeroizing::new)
        .map_err(|_| CannotOpen)
    }
}

#[cfg(test)]
mod tests;
