//! secp256k1.

use k256::elliptic_curve::PrimeField;
use k256::elliptic_curve::group::Group as _;
use k256::elliptic_curve::ops::{LinearCombination, MulByGeneratorVartime, Reduce};
use k256::elliptic_curve::point::DecompressPoint;
use k256::elliptic_curve::sec1::ToSec1Point;
use k256::elliptic_curve::subtle::Choice;
use k256::schnorr::{Signature, VerifyingKey};
use k256::{AffinePoint, FieldBytes, ProjectivePoint, Scalar};

use super::SCALAR_LEN;

pub(super) const POINT_LEN: usize = 33;

pub(super) fn combine(pairs: &[u8]) -> Option<[u8; POINT_LEN]> {
    let (pairs, rest) = pairs.as_chunks::<{ SCALAR_LEN + POINT_LEN }>();
    if pairs.is_empty() || !rest.is_empty() {
        return None;
    }
    let mut terms = Vec::with_capacity(pairs.len());
    for pair in pairs {
        let (scalar, encoded) = pair.split_first_chunk::<SCALAR_LEN>()?;
        terms.push((point(encoded.try_into().ok()?)?, self::scalar(*scalar)?));
    }
    let sum = ProjectivePoint::lincomb_vartime(terms.as_slice());
    if sum.is_identity().into() {
        return None;
    }
    sum.to_affine().to_sec1_point(true).as_bytes().try_into().ok()
}

fn scalar(encoded: [u8; SCALAR_LEN]) -> Option<Scalar> {
    Scalar::from_repr(encoded.into()).into_option()
}

fn point(encoded: [u8; POINT_LEN]) -> Option<ProjectivePoint> {
    let (sign, x) = encoded.split_first()?;
    // AB-6: SEC 1 has other forms of this length.
    match sign {
        2 | 3 => Some(lift(x.try_into().ok()?, *sign == 3)?.into()),
        _ => (encoded == [0; POINT_LEN]).then_some(ProjectivePoint::GENERATOR),
    }
}

/// The point with this x, if x is less than the field's prime and there is one.
fn lift(x: [u8; 32], odd: bool) -> Option<AffinePoint> {
    AffinePoint::decompress(&x.into(), Choice::from(u8::from(odd))).into_option()
}

/// Whether a signature of BIP340 under this key, an x, is valid for this message of any length.
#[must_use]
pub fn schnorr_verify(key: &[u8; 32], signature: &[u8; 64], message: &[u8]) -> bool {
    let key = VerifyingKey::from_bytes(&(*key).into());
    let signature = Signature::from_bytes(signature);
    // `verify_raw` alone hashes the message as BIP340 does; `verify` would hash it once more before.
    matches!((key, signature), (Ok(key), Ok(signature)) if key.verify_raw(message, &signature).is_ok())
}

/// The key, x and y, under which r and s, 32 bytes each, are an ECDSA signature of a digest; `odd` says
/// whether the y of the point that r stands for is odd.
///
/// As in Ethereum: s may be in the upper half of its range, and r is the whole x of its point, so the few
/// signatures whose x is not less than the order have no key. Nothing if r or s is 0 or not less than the
/// order, if there is no point with this x, or if the key would be the identity.
#[must_use]
pub fn recover(digest: &[u8; 32], signature: &[u8; 64], odd: bool) -> Option<[u8; 64]> {
    let (r_bytes, s_bytes) = signature.split_first_chunk::<SCALAR_LEN>()?;
    let (r, s) = (scalar(*r_bytes)?, scalar(s_bytes.try_into().ok()?)?);
    if s.is_zero().into() {
        return None;
    }
    let nonce = ProjectivePoint::from(lift(*r_bytes, odd)?);
    // 0 has no inverse.
    let inverse = r.invert_vartime().into_option()?;
    let digest = <Scalar as Reduce<FieldBytes>>::reduce(&(*digest).into());
    let (of_generator, of_nonce) = (-(digest * inverse), s * inverse);
    let key =
        ProjectivePoint::mul_by_generator_and_mul_add_vartime(&of_generator, &of_nonce, &nonce);
    if key.is_identity().into() {
        return None;
    }
    let encoded = key.to_affine().to_sec1_point(false);
    encoded.as_bytes().get(1..)?.try_into().ok()
}
