//! Handing a whole key out: T members give their shares to the recipient, who has the owner's secret.

use crate::CosignerError;
use crate::curve::Curve;
use crate::federation::Set;
use crate::key::{Share, SharedKey};
use crate::point::Point;
use crate::scalar::Secret;

/// The server's secret s from the shares of a set.
///
/// # Errors
/// [`CosignerError::Set`] if the shares are not those of T members; [`CosignerError::Released`] for a
/// share that is not the member's; [`CosignerError::Degenerate`] cannot be for a checked key.
pub fn server_secret<C: Curve>(
    key: &SharedKey<C>,
    shares: &[Share<C>],
) -> Result<Secret<C>, CosignerError> {
    let members: Vec<_> = shares.iter().map(Share::member).collect();
    let set = Set::new(key.federation(), &members)?;
    if shares.len() != set.members().len() {
        return Err(CosignerError::Set { threshold: key.federation().threshold() });
    }
    let mut sum = C::scalar_from_u64(0);
    for share in shares {
        // CO-13
        if !key.has(share) {
            return Err(CosignerError::Released { member: share.member() });
        }
        let weight = set.coefficient::<C>(share.member());
        sum = C::add_scalars(&sum, &C::multiply_scalars(&weight, &share.secret().0));
    }
    Secret::nonzero(sum)
}

/// The whole private key p = s + o of P.
///
/// # Errors
/// [`CosignerError::JointKey`] if pG is not P.
pub fn joint_secret<C: Curve>(
    server: &Secret<C>,
    owner: &Secret<C>,
    joint: &Point<C>,
) -> Result<Secret<C>, CosignerError> {
    let secret = server.add(owner)?;
    // CO-13
    if secret.public() == *joint { Ok(secret) } else { Err(CosignerError::JointKey) }
}
