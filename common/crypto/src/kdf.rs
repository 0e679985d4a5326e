//! Keys from secrets: HKDF-SHA256 (RFC 5869), and HMAC-SHA256 as a keyed function.
//!
//! What a key is for goes into it through the injective framing of [`mod@crate::hash`]: keys derived
//! under different domains or for different lists of parts are independent of each other.

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::hash::{Domain, frame};

/// A 32-byte key from a secret: `HKDF(secret, salt, frame(domain, info))`.
///
/// The secret has at least 128 bits of entropy (a password has not: see `keystore`). The salt may
/// be empty, and need not be secret.
#[must_use]
pub fn derive(secret: &[u8], salt: &[u8], domain: Domain, info: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    derive_wide(secret, salt, domain, info)
}

/// [`derive()`] for a key of another length, of which the first 32 bytes are the same.
#[must_use]
pub fn derive_wide<const N: usize>(
    secret: &[u8],
    salt: &[u8],
    domain: Domain,
    info: &[&[u8]],
) -> Zeroizing<[u8; N]> {
    const { assert!(N <= 255 * 32, "HKDF-SHA256 gives at most 255 blocks") };
    let mut framed = Vec::new();
    frame(domain, info, &mut |bytes| framed.extend_from_slice(bytes));
    expand(secret, salt, &framed)
}

/// HMAC-SHA256 of the framed parts: without the key, 32 random bytes for each input.
#[must_use]
pub fn prf(key: &[u8; 32], domain: Domain, parts: &[&[u8]]) -> [u8; 32] {
    // HMAC pads a key that is shorter than its block of 64 bytes with zeros; done here, it cannot fail.
    let mut block = Zeroizing::new([0; 64]);
    block[..32].copy_from_slice(key);
    let mut mac = Hmac::<Sha256>::new((&*block).into());
    frame(domain, parts, &mut |bytes| mac.update(bytes));
    mac.finalize().into_bytes().into()
}

fn expand<const N: usize>(secret: &[u8], salt: &[u8], info: &[u8]) -> Zeroizing<[u8; N]> {
    let mut key = Zeroizing::new([0; N]);
    let hkdf = Hkdf::<Sha256>::new(Some(salt), secret);
    // HKDF refuses only lengths over 255 blocks, which does not compile.
    let done = hkdf.expand(info, key.as_mut_slice());
    assert!(done.is_ok(), "HKDF gives at most 255 blocks");
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEST: Domain = Domain::new("paralith/test");

    /// RFC 5869, appendix A.1 to A.3: the first 32 bytes of each output.
    #[test]
    fn the_vectors_of_rfc_5869() {
        let range = |from: u8, to: u8| (from..=to).collect::<Vec<u8>>();
        let cases = [
            (
                vec![0x0b; 22],
                range(0, 0x0c),
                range(0xf0, 0xf9),
                "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf",
            ),
            (
                range(0, 0x4f),
                range(0x60, 0xaf),
                range(0xb0, 0xff),
                "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c",
            ),
            (
                vec![0x0b; 22],
                vec![],
                vec![],
                "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d",
            ),
        ];
        for (secret, salt, info, key) in cases {
            assert_eq!(hex::encode(*expand::<32>(&secret, &salt, &info)), key);
        }
    }

    /// Computed with Python's `hmac` over the framing written out by hand.
    #[test]
    fn derive_and_prf_are_frozen() {
        assert_eq!(
            hex::encode(*derive(&[1; 32], b"salt", TEST, &[b"a", b"bc"])),
            "0f15b5dda2a00cc51e3f1e269470f4c7afdd71d8529386e0945a89c1314565a0"
        );
        assert_eq!(
            hex::encode(*derive_wide::<64>(&[1; 32], b"salt", TEST, &[b"a", b"bc"])),
            "0f15b5dda2a00cc51e3f1e269470f4c7afdd71d8529386e0945a89c1314565a0e5da25341bb1a450fab0009abf844a3776f59ee0827fe66451fed24fe02e03e2"
        );
        assert_eq!(
            hex::encode(prf(&[1; 32], TEST, &[b"a", b"bc"])),
            "88a46356532a6b3db6ff1f47ddba42b3bc95ad5762d55a253445cd135559fd26"
        );
    }

    #[test]
    fn every_argument_matters() {
        let keys = [
            *derive(&[1; 32], b"salt", TEST, &[b"a", b"bc"]),
            *derive(&[2; 32], b"salt", TEST, &[b"a", b"bc"]),
            *derive(&[1; 32], b"tlas", TEST, &[b"a", b"bc"]),
            *derive(&[1; 32], b"salt", Domain::new("paralith/other"), &[b"a", b"bc"]),
            *derive(&[1; 32], b"salt", TEST, &[b"ab", b"c"]),
            *derive(&[1; 32], b"salt", TEST, &[]),
            prf(&[1; 32], TEST, &[b"a", b"bc"]),
            prf(&[2; 32], TEST, &[b"a", b"bc"]),
            prf(&[1; 32], Domain::new("paralith/other"), &[b"a", b"bc"]),
            prf(&[1; 32], TEST, &[b"ab", b"c"]),
        ];
        for (index, key) in keys.iter().enumerate() {
            assert!(!keys[..index].contains(key), "case {index}");
        }
    }
}
