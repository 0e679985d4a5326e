//! Encryption at rest: AES-256-GCM-SIV (RFC 8452).
//!
//! What is sealed is secret and cannot be changed unnoticed; the additional data (`aad`) is bound to
//! it but not contained. A nonce used twice with one key shows only whether the two plaintexts are
//! equal, which is why this mode was chosen; a caller still takes a fresh one each time.

use std::fmt;

use aes_gcm_siv::Aes256GcmSiv;
use aes_gcm_siv::aead::{Aead, KeyInit, Payload};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::constant_time_eq;

/// How many bytes longer than its plaintext a sealed message is.
pub const TAG_LEN: usize = 16;

/// It was sealed with another key, nonce or additional data, or it was changed since. Which of
/// these, nobody can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cannot open: sealed with another key or for another place, or damaged")]
pub struct CannotOpen;

impl CannotOpen {
    /// The stable number of this error.
    #[must_use]
    pub const fn code(self) -> u32 {
        1
    }
}

/// A symmetric key. Wiped when dropped; compared in constant time.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct AeadKey([u8; 32]);

impl AeadKey {
    /// The key of these bytes, which are uniformly random or derived from such.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, for writing the key into something sealed.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<Zeroizing<[u8; 32]>> for AeadKey {
    fn from(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(*bytes)
    }
}

impl PartialEq for AeadKey {
    fn eq(&self, other: &Self) -> bool {
        constant_time_eq(&self.0, &other.0)
    }
}

impl Eq for AeadKey {}

impl fmt::Debug for AeadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AeadKey(..)")
    }
}

/// Seals a plaintext: the ciphertext, then a tag of [`TAG_LEN`] bytes.
///
/// # Panics
/// When the plaintext or the additional data is longer than 64 GiB, RFC 8452's limit.
#[must_use]
pub fn seal(key: &AeadKey, nonce: &[u8; 12], aad: &[u8], plaintext: &[u8]) -> Vec<u8> {
    let cipher = Aes256GcmSiv::new((&key.0).into());
    let sealed = cipher.encrypt(nonce.into(), Payload { msg: plaintext, aad });
    assert!(sealed.is_ok(), "AES-256-GCM-SIV seals at most 64 GiB");
    sealed.unwrap_or_default()
}

/// Opens what [`seal`] made with the same key, nonce and additional data.
pub fn open(
    key: &AeadKey,
    nonce: &[u8; 12],
    aad: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, CannotOpen> {
    let cipher = Aes256GcmSiv::new((&key.0).into());
    let plaintext = cipher.decrypt(nonce.into(), Payload { msg: sealed, aad });
    plaintext.map(Zeroizing::new).map_err(|_| CannotOpen)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 8452, appendix C.2: key, nonce, additional data, plaintext, result.
    #[rustfmt::skip]
    const RFC_8452: [[&str; 5]; 11] = [
        [
            "0100000000000000000000000000000000000000000000000000000000000000",
            "030000000000000000000000",
            "",
            "",
            "07f5f4169bbf55a8400cd47ea6fd400f",
        ],
        [
            "0100000000000000000000000000000000000000000000000000000000000000",
            "030000000000000000000000",
            "",
            "0100000000000000",
            "c2ef328e5c71c83b843122130f7364b761e0b97427e3df28",
        ],
        [
            "0100000000000000000000000000000000000000000000000000000000000000",
            "030000000000000000000000",
            "",
            "01000000000000000000000000000000",
            "85a01b63025ba19b7fd3ddfc033b3e76c9eac6fa700942702e90862383c6c366",
        ],
        [
            "0100000000000000000000000000000000000000000000000000000000000000",
            "030000000000000000000000",
            "",
            "0100000000000000000000000000000002000000000000000000000000000000",
            "4a6a9db4c8c6549201b9edb53006cba821ec9cf850948a7c86c68ac7539d027fe819e63abcd020b006a976397632eb5d",
        ],
        [
            "0100000000000000000000000000000000000000000000000000000000000000",
            "030000000000000000000000",
            "01",
            "0200000000000000",
            "1de22967237a813291213f267e3b452f02d01ae33e4ec854",
        ],
        [
            "0100000000000000000000000000000000000000000000000000000000000000",
            "030000000000000000000000",
            "01",
            "020000000000000000000000000000000300000000000000000000000000000004000000000000000000000000000000",
            "c67a1f0f567a5198aa1fcc8e3f21314336f7f51ca8b1af61feac35a86416fa47fbca3b5f749cdf564527f2314f42fe2503332742b228c647173616cfd44c54eb",
        ],
        [
            "0100000000000000000000000000000000000000000000000000000000000000",
            "030000000000000000000000",
            "0100000000000000000000000000000002000000",
            "030000000000000000000000000000000400",
            "462401724b5ce6588d5a54aae5375513a075cfcdf5042112aa29685c912fc2056543",
        ],
        [
            "e66021d5eb8e4f4066d4adb9c33560e4f46e44bb3da0015c94f7088736864200",
            "e0eaf5284d884a0e77d31646",
            "",
            "",
            "169fbb2fbf389a995f6390af22228a62",
        ],
        [
            "6545fc880c94a95198874296d5cc1fd161320b6920ce07787f86743b275d1ab3",
            "2f6d1f0434d8848c1177441f",
            "6787f3ea22c127aaf195",
            "195495860f04",
            "a254dad4f3f96b62b84dc40c84636a5ec12020ec8c2c",
        ],
        [
            "d1894728b3fed1473c528b8426a582995929a1499e9ad8780c8d63d0ab4149c0",
            "9f572c614b4745914474e7c7",
            "489c8fde2be2cf97e74e932d4ed87d",
            "c9882e5386fd9f92ec",
            "0df9e308678244c44bc0fd3dc6628dfe55ebb0b9fb2295c8c2",
        ],
        [
            "a44102952ef94b02b805249bac80e6f61455bfac8308a2d40d8c845117808235",
            "5c9e940fea2f582950a70d5a",
            "0da55210cc1c1b0abde3b2f204d1e9f8b06bc47f",
            "1db2316fd568378da107b52b",
            "8dbeb9f7255bf5769dd56692404099c2587f64979f21826706d497d5",
        ],
    ];

    #[test]
    fn the_vectors_of_rfc_8452() {
        for [key, nonce, aad, plaintext, sealed] in RFC_8452 {
            let key = AeadKey::new(hex::decode(key).unwrap().try_into().unwrap());
            let nonce: [u8; 12] = hex::decode(nonce).unwrap().try_into().unwrap();
            let (aad, plaintext) = (hex::decode(aad).unwrap(), hex::decode(plaintext).unwrap());
            assert_eq!(hex::encode(seal(&key, &nonce, &aad, &plaintext)), sealed);
            let opened = open(&key, &nonce, &aad, &hex::decode(sealed).unwrap());
            assert_eq!(opened.unwrap().as_slice(), plaintext);
        }
    }

    #[test]
    fn what_is_too_short_for_a_tag_does_not_open() {
        let key = AeadKey::new([1; 32]);
        let sealed = seal(&key, &[2; 12], b"", b"");
        assert_eq!(sealed.len(), TAG_LEN);
        for len in 0..TAG_LEN {
            assert_eq!(open(&key, &[2; 12], b"", &sealed[..len]), Err(CannotOpen));
        }
    }

    #[test]
    fn debug_does_not_show_the_key() {
        assert_eq!(format!("{:?}", AeadKey::new([0xa7; 32])), "AeadKey(..)");
    }

    proptest! {
        #[test]
        fn no_flipped_bit_opens(
            key: [u8; 32],
            nonce: [u8; 12],
            aad in prop::collection::vec(any::<u8>(), 1..64),
            plaintext in prop::collection::vec(any::<u8>(), 0..200),
            pick: prop::sample::Index,
        ) {
            let sealed = seal(&AeadKey::new(key), &nonce, &aad, &plaintext);
            prop_assert_eq!(sealed.len(), plaintext.len() + TAG_LEN);
            let opened = open(&AeadKey::new(key), &nonce, &aad, &sealed).unwrap();
            prop_assert_eq!(opened.as_slice(), plaintext.as_slice());

            // One bit of anything: key, nonce, additional data, sealed bytes.
            let all = [key.as_slice(), &nonce, &aad, &sealed].concat();
            let bit = pick.index(all.len() * 8);
            let mut all = all;
            all[bit / 8] ^= 1 << (bit % 8);
            let (key, rest) = all.split_at(32);
            let (nonce, rest) = rest.split_at(12);
            let (aad, sealed) = rest.split_at(aad.len());
            let key = AeadKey::new(key.try_into().unwrap());
            prop_assert_eq!(open(&key, nonce.try_into().unwrap(), aad, sealed), Err(CannotOpen));
        }
    }
}
