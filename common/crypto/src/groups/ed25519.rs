//! The prime-order group of Ed25519.

use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::{IsIdentity, VartimeMultiscalarMul};

use super::SCALAR_LEN;

pub(super) const POINT_LEN: usize = 32;

pub(super) fn combine(pairs: &[u8]) -> Option<[u8; POINT_LEN]> {
    let (pairs, rest) = pairs.as_chunks::<{ SCALAR_LEN + POINT_LEN }>();
    if pairs.is_empty() || !rest.is_empty() {
        return None;
    }
    let mut scalars = Vec::with_capacity(pairs.len());
    let mut points = Vec::with_capacity(pairs.len());
    for pair in pairs {
        let (scalar, encoded) = pair.split_first_chunk::<SCALAR_LEN>()?;
        scalars.push(Scalar::from_canonical_bytes(*scalar).into_option()?);
        points.push(point(encoded.try_into().ok()?)?);
    }
    let sum = EdwardsPoint::vartime_multiscalar_mul(&scalars, &points);
    (!sum.is_identity()).then(|| sum.compress().to_bytes())
}

fn point(encoded: [u8; POINT_LEN]) -> Option<EdwardsPoint> {
    // As an encoding these bytes are a point of order 4, which has torsion.
    if encoded == [0; POINT_LEN] {
        return Some(ED25519_BASEPOINT_POINT);
    }
    let encoded = CompressedEdwardsY(encoded);
    let point = encoded.decompress()?;
    // AB-6: decompression takes numbers that are not reduced, the identity with a sign, and torsion.
    (point.compress() == encoded && point.is_torsion_free()).then_some(point)
}
