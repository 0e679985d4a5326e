//! What owners sign: BIP340 signatures by a key for authorisations alone, on secp256k1 for keys of
//! both curves.

use k256::schnorr::{Signature, SigningKey, VerifyingKey};
use paralith_crypto::hash;
use paralith_types::{ChainContext, Hash, RuntimeId};

use crate::CosignerError;
use crate::curve::{Curve, Secp256k1};
use crate::domains::AUTH;
use crate::point::Point;
use crate::scalar::Secret;

/// An action of an owner on a key.
#[derive(Debug, Clone, Copy)]
pub struct Action<'a, C: Curve> {
    /// The method's name as sent: `statechain.sign`.
    pub action: &'a str,
    /// The chain.
    pub chain: &'a ChainContext,
    /// The runtime that orders it.
    pub runtime: &'a RuntimeId,
    /// The key's name: its first server key S0.
    pub key: &'a Point<C>,
    /// Number of the owner's action on the key; for a recipient's, the number of the update.
    pub seq: u64,
    /// The call's canonical encoding without the signature.
    pub body: &'a [u8],
}

impl<C: Curve> Action<'_, C> {
    /// H(auth, [action, chain context, runtime id, S0, be(seq), body]): what is signed.
    #[must_use]
    pub fn digest(&self) -> Hash {
        let (chain, runtime) = (self.chain.as_bytes(), self.runtime.as_bytes());
        let (key, seq) = (self.key.to_bytes(), self.seq.to_be_bytes());
        hash(AUTH, &[self.action.as_bytes(), chain, runtime, key.as_ref(), &seq, self.body])
    }
}

/// Checks that a key, its x alone, has signed the digest.
///
/// # Errors
/// [`CosignerError::Authorisation`], also if the key is none.
pub fn verify(key: &[u8; 32], digest: &Hash, signature: &[u8; 64]) -> Result<(), CosignerError> {
    // CO-14
    let valid = VerifyingKey::from_bytes(&(*key).into()).and_then(|key| {
        Signature::from_bytes(signature).and_then(|signature| key.verify_raw(&digest.0, &signature))
    });
    valid.map_err(|_| CosignerError::Authorisation)
}

/// Signs a digest; `random` is BIP340's auxiliary randomness.
///
/// # Errors
/// [`CosignerError::Degenerate`] if the nonce is zero.
pub fn sign(
    secret: &Secret<Secp256k1>,
    digest: &Hash,
    random: &[u8; 32],
) -> Result<[u8; 64], CosignerError> {
    let key = SigningKey::from_bytes(&(*secret.to_bytes()).into());
    let signature = key.and_then(|key| key.sign_raw(&digest.0, random));
    signature.map(|signature| signature.to_bytes()).map_err(|_| CosignerError::Degenerate)
}
