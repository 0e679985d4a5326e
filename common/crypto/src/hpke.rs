//! Encryption to a public key: HPKE base mode (RFC 9180), single shot, with the suite
//! DHKEM(X25519, HKDF-SHA256) 0x0020, HKDF-SHA256 0x0001, ChaCha20-Poly1305 0x0003.
//!
//! Sealed form: the encapsulated key (32 bytes), then the ciphertext with its tag. This is what HPKE
//! libraries of other languages write in one call; most of those calls have no additional data, and
//! `aad = b""` is the same as theirs.
//!
//! Base mode does not say who sealed: where that matters, what is inside is signed.

use std::fmt;

use ::hpke::aead::ChaCha20Poly1305;
use ::hpke::kdf::HkdfSha256;
use ::hpke::kem::X25519HkdfSha256;
use ::hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use ::hpke::{single_shot_open, single_shot_seal_with_rng};
use paralith_types::X25519PublicKey;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use crate::rng::SeededRng;
use crate::seal::CannotOpen;

/// Length of the encapsulated key at the start of what was sealed.
pub const ENCAPSULATED_KEY_LEN: usize = 32;

/// How many bytes longer than its plaintext a sealed message is.
pub const OVERHEAD_LEN: usize = ENCAPSULATED_KEY_LEN + 16;

/// The public key has small order, so that everybody could open what is sealed to it. The fault is
/// that of the key's publisher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cannot seal to this public key: it keeps no secret")]
pub struct CannotSeal;

impl CannotSeal {
    /// The stable number of this error.
    #[must_use]
    pub const fn code(self) -> u32 {
        2
    }
}

/// A private X25519 key. Wiped when dropped; `Debug` shows the public key only.
#[derive(Clone)]
pub struct HpkeSecret(StaticSecret);

impl HpkeSecret {
    /// The key of these bytes as they are: X25519's private key, clamped when it is used (RFC 7748).
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        let bytes = Zeroizing::new(bytes);
        Self(StaticSecret::from(*bytes))
    }

    /// The key that RFC 9180's `DeriveKeyPair` gives for 32 bytes of keying material.
    #[must_use]
    pub fn from_ikm(ikm: &[u8; 32]) -> Self {
        let (secret, _) = X25519HkdfSha256::derive_keypair(ikm);
        let mut bytes = Zeroizing::new([0; 32]);
        secret.write_exact(bytes.as_mut_slice());
        Self(StaticSecret::from(*bytes))
    }

    /// The bytes, for writing the key down.
    #[must_use]
    pub fn bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> X25519PublicKey {
        X25519PublicKey(PublicKey::from(&self.0).to_bytes())
    }
}

impl fmt::Debug for HpkeSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HpkeSecret(public {})", self.public())
    }
}

/// Seals a plaintext to a public key. `info` says what for; `aad` is bound but not contained.
///
/// The randomness is the ephemeral key's input keying material: 32 fresh random bytes for each
/// message. Used twice, it gives away both plaintexts.
pub fn seal(
    to: &X25519PublicKey,
    info: &[u8],
    aad: &[u8],
    plaintext: &[u8],
    randomness: [u8; 32],
) -> Result<Vec<u8>, CannotSeal> {
    let randomness = Zeroizing::new(randomness);
    let to = <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(&to.0).map_err(|_| CannotSeal)?;
    let (key, ciphertext) =
        single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
            &OpModeS::Base,
            &to,
            info,
            plaintext,
            aad,
            &mut SeededRng::new(&randomness),
        )
        .map_err(|_| CannotSeal)?;
    let mut sealed = Vec::with_capacity(ENCAPSULATED_KEY_LEN + ciphertext.len());
    sealed.extend_from_slice(&key.to_bytes());
    sealed.extend_from_slice(&ciphertext);
    Ok(sealed)
}

/// Opens what was sealed to this key with the same `info` and `aad`.
pub fn open(
    secret: &HpkeSecret,
    info: &[u8],
    aad: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, CannotOpen> {
    let (key, ciphertext) = sealed.split_at_checked(ENCAPSULATED_KEY_LEN).ok_or(CannotOpen)?;
    let key = <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(key).map_err(|_| CannotOpen)?;
    let secret = <X25519HkdfSha256 as Kem>::PrivateKey::from_bytes(secret.0.as_bytes())
        .map_err(|_| CannotOpen)?;
    single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
        &OpModeR::Base,
        &secret,
        &key,
        info,
        ciphertext,
        aad,
    )
    .map(Zeroizing::new)
    .map_err(|_| CannotOpen)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 9180, appendix A.2.1, the first message.
    mod a_2_1 {
        pub(super) const INFO: &str = "4f6465206f6e2061204772656369616e2055726e";
        pub(super) const IKM_E: &str =
            "909a9b35d3dc4713a5e72a4da274b55d3d3821a37e5d099e74a647db583a904b";
        pub(super) const IKM_R: &str =
            "1ac01f181fdf9f352797655161c58b75c656a6cc2716dcb66372da835542e1df";
        pub(super) const SECRET_R: &str =
            "8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb";
        pub(super) const PUBLIC_R: &str =
            "4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a";
        pub(super) const ENC: &str =
            "1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a";
        pub(super) const PLAINTEXT: &str =
            "4265617574792069732074727574682c20747275746820626561757479";
        pub(super) const AAD: &str = "436f756e742d30";
        pub(super) const CIPHERTEXT: &str = "1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db21993c62ce81883d2dd1b51a28";
    }

    fn bytes(text: &str) -> Vec<u8> {
        hex::decode(text).unwrap()
    }

    fn array(text: &str) -> [u8; 32] {
        bytes(text).try_into().unwrap()
    }

    #[test]
    fn the_vector_of_rfc_9180_opens_and_is_made_again() {
        let secret = HpkeSecret::from_bytes(array(a_2_1::SECRET_R));
        assert_eq!(secret.public().to_string(), a_2_1::PUBLIC_R);
        let sealed = [bytes(a_2_1::ENC), bytes(a_2_1::CIPHERTEXT)].concat();
        let (info, aad) = (bytes(a_2_1::INFO), bytes(a_2_1::AAD));
        let opened = open(&secret, &info, &aad, &sealed).unwrap();
        assert_eq!(opened.as_slice(), bytes(a_2_1::PLAINTEXT));
        let again = seal(&secret.public(), &info, &aad, &opened, array(a_2_1::IKM_E));
        assert_eq!(again, Ok(sealed));
    }

    #[test]
    fn keying_material_gives_the_key_pair_of_rfc_9180() {
        let secret = HpkeSecret::from_ikm(&array(a_2_1::IKM_R));
        assert_eq!(secret.public().to_string(), a_2_1::PUBLIC_R);
        // The published private key is the one before clamping: the same key.
        let published = HpkeSecret::from_bytes(array(a_2_1::SECRET_R));
        assert_eq!(*published.bytes(), array(a_2_1::SECRET_R));
    }

    /// Written by the HPKE of Python's `cryptography`: `Suite(KEM.X25519, KDF.HKDF_SHA256,
    /// AEAD.CHACHA20_POLY1305).encrypt(b"a call", public_key, b"paralith/test")`.
    #[test]
    fn what_python_sealed_opens() {
        let sealed = bytes(
            "b198412d4956b3112c539b21b94f53a100c73df787966dbb8ddc50039e1a49388217751645057c8b3046478aa9bce2b78abbe4c903aa",
        );
        let secret = HpkeSecret::from_bytes([1; 32]);
        let opened = open(&secret, b"paralith/test", b"", &sealed).unwrap();
        assert_eq!(opened.as_slice(), b"a call");
    }

    #[test]
    fn nothing_is_sealed_to_a_key_of_small_order() {
        let order_8 = "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800";
        let mut one = [0; 32];
        one[0] = 1;
        for key in [[0; 32], one, array(order_8)] {
            assert_eq!(seal(&X25519PublicKey(key), b"", b"", b"x", [7; 32]), Err(CannotSeal));
        }
    }

    #[test]
    fn what_is_too_short_or_of_small_order_does_not_open() {
        let secret = HpkeSecret::from_bytes([1; 32]);
        let sealed = seal(&secret.public(), b"", b"", b"", [7; 32]).unwrap();
        assert_eq!(sealed.len(), OVERHEAD_LEN);
        for len in 0..sealed.len() {
            assert_eq!(open(&secret, b"", b"", &sealed[..len]), Err(CannotOpen));
        }
        assert_eq!(open(&secret, b"", b"", &[0; OVERHEAD_LEN]), Err(CannotOpen));
    }

    #[test]
    fn debug_does_not_show_the_secret() {
        let secret = HpkeSecret::from_bytes([0xa7; 32]);
        assert_eq!(format!("{secret:?}"), format!("HpkeSecret(public {})", secret.public()));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_flipped_bit_opens(
            seed: [u8; 32],
            randomness: [u8; 32],
            info in prop::collection::vec(any::<u8>(), 1..40),
            aad in prop::collection::vec(any::<u8>(), 1..40),
            plaintext in prop::collection::vec(any::<u8>(), 0..100),
            pick: prop::sample::Index,
        ) {
            let secret = HpkeSecret::from_bytes(seed);
            let sealed = seal(&secret.public(), &info, &aad, &plaintext, randomness).unwrap();
            prop_assert_eq!(sealed.len(), plaintext.len() + OVERHEAD_LEN);
            let opened = open(&secret, &info, &aad, &sealed).unwrap();
            prop_assert_eq!(opened.as_slice(), plaintext.as_slice());

            let other = HpkeSecret::from_ikm(&seed);
            prop_assert_eq!(open(&other, &info, &aad, &sealed), Err(CannotOpen));

            let mut all = [info.as_slice(), &aad, &sealed].concat();
            let bit = pick.index(all.len() * 8);
            all[bit / 8] ^= 1 << (bit % 8);
            let (info, rest) = all.split_at(info.len());
            let (aad, sealed) = rest.split_at(aad.len());
            prop_assert_eq!(open(&secret, info, aad, sealed), Err(CannotOpen));
        }
    }
}
