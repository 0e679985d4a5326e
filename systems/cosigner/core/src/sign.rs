//! A session: the set's nonces, one challenge, a partial signature by each member, their sum.

use crate::CosignerError;
use crate::curve::Curve;
use crate::federation::{Member, Set};
use crate::key::{Share, SharedKey};
use crate::nonce::Nonce;
use crate::point::Point;
use crate::scalar::Scalar;
use crate::sharing::count;

/// A set with the published nonces of its members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session<C: Curve> {
    set: Set,
    nonces: Vec<Point<C>>,
    sum: Point<C>,
}

impl<C: Curve> Session<C> {
    /// The session of this set; nonces in the order of its members.
    ///
    /// # Errors
    /// [`CosignerError::Count`]; [`CosignerError::Degenerate`] if the nonces add up to the identity.
    pub fn new(set: Set, nonces: Vec<Point<C>>) -> Result<Self, CosignerError> {
        count("nonces", set.members().len(), nonces.len())?;
        let sum = Point::sum(&nonces)?;
        Ok(Self { set, nonces, sum })
    }

    /// The set.
    #[must_use]
    pub fn set(&self) -> &Set {
        &self.set
    }

    /// R1, the sum of the nonces.
    #[must_use]
    pub fn nonce(&self) -> &Point<C> {
        &self.sum
    }

    fn nonce_of(&self, member: Member) -> Result<&Point<C>, CosignerError> {
        let position = self.set.members().iter().position(|other| *other == member);
        let nonce = position.and_then(|position| self.nonces.get(position));
        nonce.ok_or(CosignerError::NotInSession { member })
    }
}

/// The member's answer s_i = r_i + c L_i x_i. It consumes the nonce.
///
/// One such answer counts as a signature: beside T - 1 members that lie it completes one. The caller
/// gives it for a final challenge only, and for one challenge a nonce.
///
/// # Errors
/// [`CosignerError::NotInSession`] if the member is not in the set or the session has another nonce of
/// it; [`CosignerError::Degenerate`] if the answer is zero.
pub fn partial<C: Curve>(
    share: &Share<C>,
    nonce: Nonce<C>,
    session: &Session<C>,
    challenge: &Scalar<C>,
) -> Result<Scalar<C>, CosignerError> {
    // CO-7: the nonce is moved in here, and dropped at the end.
    let member = share.member();
    // CO-9: for a session with another nonce in this one's place the answer would be no answer, and the
    // nonce would be spent.
    if *session.nonce_of(member)? != nonce.public {
        return Err(CosignerError::NotInSession { member });
    }
    let weight = C::multiply_scalars(&challenge.0, &session.set.coefficient::<C>(member));
    let product = C::multiply_scalars(&weight, &share.secret().0);
    Scalar::nonzero(C::add_scalars(&nonce.secret.0, &product))
}

/// Checks s_i G = R_i + c L_i X_i.
///
/// # Errors
/// [`CosignerError::Partial`] if it does not hold, [`CosignerError::NotInSession`], and
/// [`CosignerError::Set`] if the set is one of another federation than the key's.
pub fn verify_partial<C: Curve>(
    key: &SharedKey<C>,
    session: &Session<C>,
    challenge: &Scalar<C>,
    member: Member,
    answer: &Scalar<C>,
) -> Result<(), CosignerError> {
    if key.federation() != session.set.federation() {
        return Err(CosignerError::Set { threshold: key.federation().threshold() });
    }
    let nonce = session.nonce_of(member)?;
    let weight = C::multiply_scalars(&challenge.0, &session.set.coefficient::<C>(member));
    let product = C::sum_of_products(&[(key.share(member)?.0, weight)]);
    // CO-8
    if C::multiply_generator(&answer.0) == C::add(&nonce.0, &product) {
        Ok(())
    } else {
        Err(CosignerError::Partial { member })
    }
}

/// s1, the sum of the answers, each checked; in the order of the set's members.
///
/// # Errors
/// [`CosignerError::Count`], those of [`verify_partial`], which name the member at fault, and
/// [`CosignerError::Degenerate`] if the sum is zero.
pub fn aggregate<C: Curve>(
    key: &SharedKey<C>,
    session: &Session<C>,
    challenge: &Scalar<C>,
    answers: &[Scalar<C>],
) -> Result<Scalar<C>, CosignerError> {
    let members = session.set.members();
    count("answers", members.len(), answers.len())?;
    let mut sum = C::scalar_from_u64(0);
    for (member, answer) in members.iter().zip(answers) {
        verify_partial(key, session, challenge, *member, answer)?;
        sum = C::add_scalars(&sum, &answer.0);
    }
    Scalar::nonzero(sum)
}
