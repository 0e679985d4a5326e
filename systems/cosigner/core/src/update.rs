//! Passing a key on: the new owner changes all shares by a polynomial whose constant is the difference
//! of the owners' secrets. P stays, and the old owner's secret no longer fits.

use crate::CosignerError;
use crate::curve::Curve;
use crate::federation::Federation;
use crate::key::{Share, SharedKey};
use crate::scalar::Secret;
use crate::sharing::{Commitments, Polynomial, count};

/// The new owner's polynomial: f(0) = o_old - o_new, and T - 1 random coefficients. Its commitments
/// are published, and its value at i is sealed to member i.
///
/// # Errors
/// [`CosignerError::Degenerate`] if the secrets are equal: draw a new one; [`CosignerError::Count`] for
/// another number of random coefficients.
pub fn polynomial<C: Curve>(
    federation: Federation,
    old: &Secret<C>,
    new: &Secret<C>,
    random: Vec<Secret<C>>,
) -> Result<Polynomial<C>, CosignerError> {
    let constant = Secret::nonzero(C::add_scalars(&old.0, &C::negate_scalar(&new.0)))?;
    let mut coefficients = vec![constant];
    coefficients.extend(random);
    Polynomial::new(federation, coefficients)
}

/// The public side after the update: S' = S + D_0, X_i' = X_i + the sum of i^k D_k.
///
/// # Errors
/// [`CosignerError::Count`] for another number of commitments than T, which would change the threshold;
/// [`CosignerError::Degenerate`] if a sum is the identity.
pub fn updated_key<C: Curve>(
    key: &SharedKey<C>,
    commitments: &Commitments<C>,
) -> Result<SharedKey<C>, CosignerError> {
    let federation = key.federation();
    count("commitments", usize::from(federation.threshold()), commitments.count())?;
    let server_key = C::add(&key.server_key().0, &commitments.constant().0);
    let shares = federation.all().zip(key.shares());
    let shares = shares.map(|(member, share)| C::add(&share.0, &commitments.value(member)));
    SharedKey::computed(federation, server_key, shares)
}

/// A member's share after the update, x_i' = x_i + f(i), once it has checked f(i) against the
/// commitments. The member keeps both shares until the update is decided.
///
/// # Errors
/// [`CosignerError::ShareDiffers`] if f(i) is not what the commitments say, or `share` is not of `key`:
/// the member refuses; [`CosignerError::Count`], [`CosignerError::Degenerate`].
pub fn updated_share<C: Curve>(
    key: &SharedKey<C>,
    share: &Share<C>,
    commitments: &Commitments<C>,
    value: &Secret<C>,
) -> Result<Share<C>, CosignerError> {
    count("commitments", usize::from(key.federation().threshold()), commitments.count())?;
    // CO-4
    commitments.check(share.member(), value)?;
    if !key.has(share) {
        return Err(CosignerError::ShareDiffers);
    }
    Ok(Share::new(share.member(), share.secret().add(value)?))
}
