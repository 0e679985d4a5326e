//! The prime-order group of Ed25519, and the signatures of RFC 8032.
// Arithmetic of scalars and points is modular: it has no overflow.
#![allow(clippy::arithmetic_side_effects)]

use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::{IsIdentity, VartimeMultiscalarMul};
use sha2::{Digest, Sha512};
use zeroize::Zeroizing;

use super::{Curve, CurveId, sealed};

/// Ed25519. Points and scalars are the 32 bytes of RFC 8032, scalars little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ed25519;

impl sealed::Sealed for Ed25519 {}

impl Curve for Ed25519 {
    const ID: CurveId = CurveId::Ed25519;
    const POINT_LEN: usize = 32;

    type Bytes = [u8; 32];
    type Scalar = Scalar;
    type Element = EdwardsPoint;

    fn scalar_from_bytes(bytes: &[u8; 32]) -> Option<Scalar> {
        Scalar::from_canonical_bytes(*bytes).into_option()
    }

    fn scalar_to_bytes(scalar: &Scalar) -> [u8; 32] {
        scalar.to_bytes()
    }

    fn scalar_from_wide(bytes: &[u8; 64]) -> Scalar {
        let mut little_endian = Zeroizing::new(*bytes);
        little_endian.reverse();
        Scalar::from_bytes_mod_order_wide(&little_endian)
    }

    fn scalar_from_u64(number: u64) -> Scalar {
        Scalar::from(number)
    }

    fn add_scalars(a: &Scalar, b: &Scalar) -> Scalar {
        a + b
    }

    fn multiply_scalars(a: &Scalar, b: &Scalar) -> Scalar {
        a * b
    }

    fn negate_scalar(a: &Scalar) -> Scalar {
        -a
    }

    fn invert_scalar(a: &Scalar) -> Scalar {
        a.invert()
    }

    fn element_from_bytes(bytes: &[u8]) -> Option<EdwardsPoint> {
        let encoded = CompressedEdwardsY(bytes.try_into().ok()?);
        let point = encoded.decompress()?;
        // CO-1: decompression takes numbers that are not reduced, and points with torsion, whose products
        // depend on more than the scalar modulo the order.
        let canonical = point.compress() == encoded;
        (canonical && point.is_torsion_free() && !point.is_identity()).then_some(point)
    }

    fn element_to_bytes(element: &EdwardsPoint) -> [u8; 32] {
        element.compress().to_bytes()
    }

    fn generator() -> EdwardsPoint {
        ED25519_BASEPOINT_POINT
    }

    fn is_identity(element: &EdwardsPoint) -> bool {
        element.is_identity()
    }

    fn add(a: &EdwardsPoint, b: &EdwardsPoint) -> EdwardsPoint {
        a + b
    }

    fn negate(a: &EdwardsPoint) -> EdwardsPoint {
        -a
    }

    fn multiply_generator(scalar: &Scalar) -> EdwardsPoint {
        EdwardsPoint::mul_base(scalar)
    }

    fn multiply(element: &EdwardsPoint, scalar: &Scalar) -> EdwardsPoint {
        element * scalar
    }

    fn sum_of_products(pairs: &[(EdwardsPoint, Scalar)]) -> EdwardsPoint {
        let (points, scalars): (Vec<EdwardsPoint>, Vec<Scalar>) = pairs.iter().copied().unzip();
        EdwardsPoint::vartime_multiscalar_mul(&scalars, &points)
    }

    fn is_negative(_: &EdwardsPoint) -> bool {
        false
    }

    fn signed_form(element: &EdwardsPoint) -> [u8; 32] {
        element.compress().to_bytes()
    }

    fn challenge(nonce: &[u8; 32], key: &[u8; 32], message: &[u8]) -> Scalar {
        let hash = Sha512::new().chain_update(nonce).chain_update(key).chain_update(message);
        Scalar::from_bytes_mod_order_wide(&hash.finalize().into())
    }
}
