//! Hashes to scalars, and the tagged hash of BIP340.

use hkdf::Hkdf;
use paralith_crypto::{Domain, sha256};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::curve::Curve;

/// The framing of `paralith_crypto::hash`, in a buffer that is wiped.
fn frame(domain: Domain, parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let name = domain.name().as_bytes();
    let parts_len =
        parts.iter().fold(0_usize, |len, part| len.saturating_add(8).saturating_add(part.len()));
    // Allocated once: growing would leave copies of secret parts behind.
    let capacity = parts_len.saturating_add(name.len()).saturating_add(1);
    let mut framed = Zeroizing::new(Vec::with_capacity(capacity));
    // `Domain` takes no name of more than 255 bytes.
    framed.push(name.len() as u8);
    framed.extend_from_slice(name);
    for part in parts {
        framed.extend_from_slice(&(part.len() as u64).to_be_bytes());
        framed.extend_from_slice(part);
    }
    framed
}

/// `Hn(domain, parts)`: HKDF-SHA256 of the frame to 64 bytes, as a big-endian number modulo the order.
pub(crate) fn to_scalar<C: Curve>(domain: Domain, parts: &[&[u8]]) -> C::Scalar {
    let framed = frame(domain, parts);
    let mut wide = Zeroizing::new([0; 64]);
    let done = Hkdf::<Sha256>::new(None, &framed).expand(&[], wide.as_mut_slice());
    assert!(done.is_ok(), "HKDF gives at most 255 blocks");
    C::scalar_from_wide(&wide)
}

/// BIP340's tagged hash of the concatenation of the pieces.
pub(crate) fn tagged(tag: &str, pieces: &[&[u8]]) -> [u8; 32] {
    let tag = sha256(tag.as_bytes());
    let mut preimage = [tag, tag].concat();
    for piece in pieces {
        preimage.extend_from_slice(piece);
    }
    sha256(&preimage)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frame_is_that_of_the_hash() {
        const TEST: Domain = Domain::new("paralith/test");
        for parts in [&[][..], &[b"".as_slice()], &[b"ab", b"", b"c"], &[&[7; 300]]] {
            assert_eq!(sha256(&frame(TEST, parts)), paralith_crypto::hash(TEST, parts).0);
        }
    }
}
