//! secp256k1, and the signatures of BIP340.
// Arithmetic of scalars and points is modular: it has no overflow.
#![allow(clippy::arithmetic_side_effects)]

use k256::elliptic_curve::PrimeField;
use k256::elliptic_curve::group::Group;
use k256::elliptic_curve::ops::{LinearCombination, Reduce};
use k256::elliptic_curve::point::AffineCoordinates;
use k256::elliptic_curve::sec1::{FromSec1Point, ToSec1Point};
use k256::{AffinePoint, ProjectivePoint, Scalar, Sec1Point, WideBytes};

use super::{Curve, CurveId, sealed};
use crate::hashing::tagged;

/// secp256k1. Points are 33 bytes, compressed; scalars 32 bytes, big-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Secp256k1;

impl sealed::Sealed for Secp256k1 {}

impl Curve for Secp256k1 {
    const ID: CurveId = CurveId::Secp256k1;
    const POINT_LEN: usize = 33;

    type Bytes = [u8; 33];
    type Scalar = Scalar;
    type Element = ProjectivePoint;

    fn scalar_from_bytes(bytes: &[u8; 32]) -> Option<Scalar> {
        Scalar::from_repr((*bytes).into()).into_option()
    }

    fn scalar_to_bytes(scalar: &Scalar) -> [u8; 32] {
        scalar.to_bytes().into()
    }

    fn scalar_from_wide(bytes: &[u8; 64]) -> Scalar {
        <Scalar as Reduce<WideBytes>>::reduce(&(*bytes).into())
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
        a.invert().unwrap_or(Scalar::ZERO)
    }

    fn element_from_bytes(bytes: &[u8]) -> Option<ProjectivePoint> {
        // CO-1: SEC 1 has longer forms and one for the identity.
        if bytes.len() != Self::POINT_LEN || !matches!(bytes.first(), Some(2 | 3)) {
            return None;
        }
        let point = Sec1Point::from_bytes(bytes).ok()?;
        Some(AffinePoint::from_sec1_point(&point).into_option()?.into())
    }

    fn element_to_bytes(element: &ProjectivePoint) -> [u8; 33] {
        // The identity has a shorter encoding; no caller has it.
        let mut bytes = [0; 33];
        let encoded = element.to_affine().to_sec1_point(true);
        for (to, from) in bytes.iter_mut().zip(encoded.as_bytes()) {
            *to = *from;
        }
        bytes
    }

    fn generator() -> ProjectivePoint {
        ProjectivePoint::GENERATOR
    }

    fn is_identity(element: &ProjectivePoint) -> bool {
        Group::is_identity(element).into()
    }

    fn add(a: &ProjectivePoint, b: &ProjectivePoint) -> ProjectivePoint {
        a + b
    }

    fn negate(a: &ProjectivePoint) -> ProjectivePoint {
        -a
    }

    fn multiply_generator(scalar: &Scalar) -> ProjectivePoint {
        ProjectivePoint::mul_by_generator(scalar)
    }

    fn multiply(element: &ProjectivePoint, scalar: &Scalar) -> ProjectivePoint {
        element * scalar
    }

    fn sum_of_products(pairs: &[(ProjectivePoint, Scalar)]) -> ProjectivePoint {
        ProjectivePoint::lincomb_vartime(pairs)
    }

    fn is_negative(element: &ProjectivePoint) -> bool {
        element.to_affine().y_is_odd().into()
    }

    fn signed_form(element: &ProjectivePoint) -> [u8; 32] {
        element.to_affine().x().into()
    }

    fn challenge(nonce: &[u8; 32], key: &[u8; 32], message: &[u8]) -> Scalar {
        let hash = tagged("BIP0340/challenge", &[nonce, key, message]);
        <Scalar as Reduce<k256::FieldBytes>>::reduce(&hash.into())
    }
}
