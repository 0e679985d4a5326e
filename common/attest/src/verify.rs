//! The one way from evidence to claims.

use paralith_types::{ChainContext, Height};

use crate::{AttestError, Claims, Evidence, Policy, SoftwareQuote};

/// The claims of this evidence, if it meets every demand: encoding, kind, platform, chain,
/// signature, measurement and age, in this order. The first that is not met is the error.
///
/// `now` is the height at which the question is put. Evidence of height `h` passes while
/// `h <= now <= h + max_age`.
pub fn verify(
    evidence: &[u8],
    policy: &Policy,
    chain: &ChainContext,
    now: Height,
) -> Result<Claims, AttestError> {
    let claims = match Evidence::decode(evidence)? {
        Evidence::Software(quote) => verify_software(quote, policy, chain)?,
    };
    if !policy.measurements.contains(&claims.measurement) {
        return Err(AttestError::WrongMeasurement { measurement: claims.measurement });
    }
    let height = claims.height;
    match now.0.checked_sub(height.0) {
        None => Err(AttestError::FromTheFuture { height, now }),
        Some(age) if age > policy.max_age => {
            Err(AttestError::TooOld { height, now, max_age: policy.max_age })
        }
        Some(_) => Ok(claims),
    }
}

fn verify_software(
    quote: SoftwareQuote,
    policy: &Policy,
    chain: &ChainContext,
) -> Result<Claims, AttestError> {
    if policy.platforms.is_empty() {
        return Err(AttestError::SoftwareNotAllowed);
    }
    if !policy.platforms.contains(&quote.platform) {
        return Err(AttestError::UnknownPlatform { platform: quote.platform });
    }
    if quote.chain != *chain {
        return Err(AttestError::WrongChain { chain: quote.chain });
    }
    quote.verify_signature().map_err(|_| AttestError::BadSignature)?;
    Ok(quote.claims)
}
