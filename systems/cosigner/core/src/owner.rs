//! The owner's side: the joint key, the blinded challenge, and the signature that comes of the answer.

use std::fmt;

use paralith_crypto::Zeroizing;
use zeroize::Zeroize;

use crate::CosignerError;
use crate::curve::{Curve, Secp256k1, negate_if};
use crate::hashing::tagged;
use crate::point::Point;
use crate::scalar::{Scalar, Secret};

/// The joint key P = S + O, and the key Q under which its signatures verify.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JointKey<C: Curve> {
    joint: Point<C>,
    verifying: Point<C>,
    /// Whether P, and Q, stand for their negatives in signatures: gP and gQ are -1.
    negate_joint: bool,
    negate_verifying: bool,
    tweak: Option<Scalar<C>>,
}

impl<C: Curve> JointKey<C> {
    /// P as it is: BIP340 under x(P), or Ed25519 under P.
    #[must_use]
    pub fn plain(joint: Point<C>) -> Self {
        let negate_joint = C::is_negative(&joint.0);
        let verifying = if negate_joint { Point(C::negate(&joint.0)) } else { joint };
        Self { joint, verifying, negate_joint, negate_verifying: false, tweak: None }
    }

    /// P
    #[must_use]
    pub fn joint(&self) -> &Point<C> {
        &self.joint
    }

    /// Q, or x(Q) on secp256k1: the public key of the signatures.
    #[must_use]
    pub fn verifying_key(&self) -> [u8; 32] {
        self.verifying.signed_form()
    }

    /// Fails unless P = S + oG.
    ///
    /// # Errors
    /// [`CosignerError::JointKey`].
    pub fn check(&self, server_key: &Point<C>, owner: &Point<C>) -> Result<(), CosignerError> {
        if C::add(&server_key.0, &owner.0) == self.joint.0 {
            Ok(())
        } else {
            Err(CosignerError::JointKey)
        }
    }

    /// Whether this is an ordinary signature of the message under the key.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        let Some((nonce, answer)) = signature.split_first_chunk::<32>() else { return false };
        let Ok(answer) = <&[u8; 32]>::try_from(answer) else { return false };
        let Some(answer) = C::scalar_from_bytes(answer) else { return false };
        let challenge = C::challenge(nonce, &self.verifying_key(), message);
        // R = sG - eQ, where Q is the point that its public form stands for.
        let negative = C::is_negative(&self.verifying.0);
        let key = if negative { C::negate(&self.verifying.0) } else { self.verifying.0 };
        let minus = C::negate_scalar(&challenge);
        let found = C::sum_of_products(&[(C::generator(), answer), (key, minus)]);
        !C::is_identity(&found) && !C::is_negative(&found) && C::signed_form(&found) == *nonce
    }

    /// gR gQ gP as a sign, for a nonce R0.
    fn negates_challenge(&self, nonce: &Point<C>) -> bool {
        C::is_negative(&nonce.0) ^ self.negate_verifying ^ self.negate_joint
    }
}

impl JointKey<Secp256k1> {
    /// P with the tweak of BIP341 and BIP86, an output that only this key spends: t =
    /// HT("TapTweak", x(P)), Q = gP P + tG.
    ///
    /// # Errors
    /// [`CosignerError::Degenerate`] if the tweak is out of range or Q the identity.
    pub fn taproot(joint: Point<Secp256k1>) -> Result<Self, CosignerError> {
        let plain = Self::plain(joint);
        let tweak = Scalar::from_bytes(&tagged("TapTweak", &[&plain.verifying_key()]))
            .map_err(|_| CosignerError::Degenerate)?;
        let shift = Point(Secp256k1::multiply_generator(&tweak.0));
        let verifying = plain.verifying.add(&shift)?;
        let negate_verifying = Secp256k1::is_negative(&verifying.0);
        Ok(Self { verifying, negate_verifying, tweak: Some(tweak), ..plain })
    }
}

/// What blinds a session: r2 and b. Whoever has them and the message can tell the signature of the
/// session, so they are secret until they are shown as its opening.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blinding<C: Curve> {
    shift: Secret<C>,
    twist: Secret<C>,
}

impl<C: Curve> Blinding<C> {
    /// r2 and b, random and of this session alone.
    #[must_use]
    pub fn new(r2: Secret<C>, b: Secret<C>) -> Self {
        Self { shift: r2, twist: b }
    }

    /// Reads r2, then b, as they stand in an opening.
    ///
    /// # Errors
    /// [`CosignerError::Scalar`] if one is zero or not below the order.
    pub fn from_bytes(r2: &[u8; 32], b: &[u8; 32]) -> Result<Self, CosignerError> {
        Ok(Self { shift: Secret::from_bytes(r2)?, twist: Secret::from_bytes(b)? })
    }

    /// r2, then b.
    #[must_use]
    pub fn to_bytes(&self) -> (Zeroizing<[u8; 32]>, Zeroizing<[u8; 32]>) {
        (self.shift.to_bytes(), self.twist.to_bytes())
    }

    /// R0 = R1 + r2 G + b P, and e and c = gR gQ gP e + b for it.
    pub(crate) fn blind(
        &self,
        key: &JointKey<C>,
        nonce: &Point<C>,
        message: &[u8],
    ) -> Result<Blinded<C>, CosignerError> {
        let shift = C::multiply_generator(&self.shift.0);
        let twist = C::multiply(&key.joint.0, &self.twist.0);
        let blinded = Point::not_identity(C::add(&nonce.0, &C::add(&shift, &twist)))?;
        let hash = C::challenge(&blinded.signed_form(), &key.verifying_key(), message);
        let signed = negate_if::<C>(&hash, key.negates_challenge(&blinded));
        let challenge = Scalar::nonzero(C::add_scalars(&signed, &self.twist.0))?;
        Ok(Blinded { nonce: blinded, hash, challenge })
    }
}

/// R0, e and c.
pub(crate) struct Blinded<C: Curve> {
    pub(crate) nonce: Point<C>,
    hash: C::Scalar,
    pub(crate) challenge: Scalar<C>,
}

/// An owner's open session: what it asks the members to answer, and what turns the answer into a
/// signature. As secret as the signature.
pub struct Request<C: Curve> {
    key: JointKey<C>,
    message: Vec<u8>,
    session_nonce: Point<C>,
    nonce: Point<C>,
    hash: C::Scalar,
    challenge: Scalar<C>,
    shift: Option<Secret<C>>,
}

impl<C: Curve> Request<C> {
    /// Asks blindly for a signature of the message: members learn neither it nor the signature.
    ///
    /// # Errors
    /// [`CosignerError::Degenerate`] if c is zero or R0 the identity: draw the blinding again.
    pub fn blind(
        key: &JointKey<C>,
        session_nonce: &Point<C>,
        blinding: &Blinding<C>,
        message: &[u8],
    ) -> Result<Self, CosignerError> {
        // CO-10
        let Blinded { nonce, hash, challenge } = blinding.blind(key, session_nonce, message)?;
        Ok(Self {
            key: key.clone(),
            message: message.to_vec(),
            session_nonce: *session_nonce,
            nonce,
            hash,
            challenge,
            shift: Some(blinding.shift.clone()),
        })
    }

    /// Asks for a signature without blinding. Everybody who sees the session and the signature
    /// can tell that they belong together, and no opening fits the session.
    ///
    /// # Errors
    /// [`CosignerError::Degenerate`] if the challenge is zero.
    pub fn plain(
        key: &JointKey<C>,
        session_nonce: &Point<C>,
        message: &[u8],
    ) -> Result<Self, CosignerError> {
        let nonce = *session_nonce;
        let hash = C::challenge(&nonce.signed_form(), &key.verifying_key(), message);
        let signed = negate_if::<C>(&hash, key.negates_challenge(&nonce));
        Ok(Self {
            key: key.clone(),
            message: message.to_vec(),
            session_nonce: nonce,
            nonce,
            hash,
            challenge: Scalar::nonzero(signed)?,
            shift: None,
        })
    }

    /// c, for the members.
    #[must_use]
    pub fn challenge(&self) -> &Scalar<C> {
        &self.challenge
    }

    /// The ordinary signature that the members' sum s1 gives: s = gR (s1 + r2 + c o) + gQ e t.
    ///
    /// # Errors
    /// [`CosignerError::JointKey`] if P is not S + oG, [`CosignerError::Answer`] if s1 is not the
    /// answer to c under S.
    pub fn finish(
        &self,
        server_key: &Point<C>,
        owner: &Secret<C>,
        answer: &Scalar<C>,
    ) -> Result<[u8; 64], CosignerError> {
        // CO-10
        self.key.check(server_key, &owner.public())?;
        let expected = C::sum_of_products(&[(server_key.0, self.challenge.0)]);
        let expected = C::add(&self.session_nonce.0, &expected);
        if C::multiply_generator(&answer.0) != expected {
            return Err(CosignerError::Answer);
        }
        let mut sum = C::multiply_scalars(&self.challenge.0, &owner.0);
        sum = C::add_scalars(&sum, &answer.0);
        if let Some(shift) = &self.shift {
            sum = C::add_scalars(&sum, &shift.0);
        }
        let mut scalar = negate_if::<C>(&sum, C::is_negative(&self.nonce.0));
        sum.zeroize();
        if let Some(tweak) = &self.key.tweak {
            let shift = C::multiply_scalars(&self.hash, &tweak.0);
            let shift = negate_if::<C>(&shift, self.key.negate_verifying);
            scalar = C::add_scalars(&scalar, &shift);
        }
        let mut signature = [0; 64];
        let (first, second) = signature.split_at_mut(32);
        first.copy_from_slice(&self.nonce.signed_form());
        second.copy_from_slice(&C::scalar_to_bytes(&scalar));
        if self.key.verifies(&self.message, &signature) {
            Ok(signature)
        } else {
            Err(CosignerError::Answer)
        }
    }
}

impl<C: Curve> Drop for Request<C> {
    fn drop(&mut self) {
        self.hash.zeroize();
        self.message.zeroize();
    }
}

impl<C: Curve> fmt::Debug for Request<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request(challenge {:?})", self.challenge)
    }
}
