//! Generation of a key by several dealers. No one learns the key: it is the sum of what T or more
//! dealers share, one honest one among them.

use paralith_types::{ChainContext, RuntimeId};

use crate::CosignerError;
use crate::curve::Curve;
use crate::domains::POSSESSION;
use crate::federation::{Federation, Member};
use crate::hashing::to_scalar;
use crate::key::{Share, SharedKey};
use crate::point::Point;
use crate::scalar::{Scalar, Secret};
use crate::sharing::{Commitments, Polynomial, count};

/// The most keys of a deal.
pub const MAX_KEYS: u8 = 16;

/// The key that is generated: its place on the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeySlot {
    chain: ChainContext,
    runtime: RuntimeId,
    batch: u64,
    key: u8,
}

impl KeySlot {
    /// Key number `key`, from 0, of a batch.
    ///
    /// # Errors
    /// [`CosignerError::NoSuchKey`] from [`MAX_KEYS`] on.
    pub fn new(
        chain: ChainContext,
        runtime: RuntimeId,
        batch: u64,
        key: u8,
    ) -> Result<Self, CosignerError> {
        if key < MAX_KEYS {
            Ok(Self { chain, runtime, batch, key })
        } else {
            Err(CosignerError::NoSuchKey { limit: MAX_KEYS, key })
        }
    }
}

/// What a dealer publishes for one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deal<C: Curve> {
    /// To the coefficients of its polynomial.
    pub commitments: Commitments<C>,
    /// The proof of possession's nonce R.
    pub nonce: Point<C>,
    /// The proof of possession's answer z.
    pub answer: Scalar<C>,
}

impl<C: Curve> Deal<C> {
    /// The deal of this polynomial. The nonce is drawn for this deal alone: a second deal under it
    /// would show the constant.
    ///
    /// # Errors
    /// [`CosignerError::Degenerate`] if the answer is zero.
    pub fn make(
        slot: &KeySlot,
        dealer: Member,
        polynomial: &Polynomial<C>,
        nonce: Secret<C>,
    ) -> Result<Self, CosignerError> {
        let (commitments, public_nonce) = (polynomial.commitments(), nonce.public());
        let challenge = challenge::<C>(slot, dealer, &commitments, &public_nonce);
        let product = C::multiply_scalars(&challenge, &polynomial.constant().0);
        let answer = Scalar::nonzero(C::add_scalars(&nonce.0, &product))?;
        Ok(Self { commitments, nonce: public_nonce, answer })
    }

    /// Checks form and proof of possession: zG = R + E A_0.
    ///
    /// # Errors
    /// [`CosignerError::Count`] for another number of commitments than T,
    /// [`CosignerError::NoSuchMember`], [`CosignerError::Possession`].
    pub fn verify(
        self,
        federation: Federation,
        slot: &KeySlot,
        dealer: Member,
    ) -> Result<VerifiedDeal<C>, CosignerError> {
        federation.check(dealer)?;
        let commitments = self.commitments;
        count("commitments", usize::from(federation.threshold()), commitments.count())?;
        // CO-5: without it a dealer could choose a constant that cancels those of the others, and would
        // hold the key alone.
        let challenge = challenge::<C>(slot, dealer, &commitments, &self.nonce);
        let product = C::sum_of_products(&[(commitments.constant().0, challenge)]);
        let expected = C::add(&self.nonce.0, &product);
        if C::multiply_generator(&self.answer.0) != expected {
            return Err(CosignerError::Possession { dealer });
        }
        Ok(VerifiedDeal { federation, slot: *slot, dealer, commitments })
    }
}

/// E = Hn(pop, [chain, runtime, be(batch), be(key), be(d), A_0 … A_T-1, R, curve]).
fn challenge<C: Curve>(
    slot: &KeySlot,
    dealer: Member,
    commitments: &Commitments<C>,
    nonce: &Point<C>,
) -> C::Scalar {
    let numbers = [slot.batch, u64::from(slot.key), u64::from(dealer.number())];
    let numbers = numbers.map(u64::to_be_bytes);
    let points: Vec<C::Bytes> = commitments.points().chain([nonce]).map(Point::to_bytes).collect();
    let curve = [C::ID.byte()];
    let mut parts: Vec<&[u8]> = vec![slot.chain.as_bytes(), slot.runtime.as_bytes()];
    parts.extend(numbers.iter().map(<[u8; 8]>::as_slice));
    parts.extend(points.iter().map(AsRef::as_ref));
    parts.push(&curve);
    to_scalar::<C>(POSSESSION, &parts)
}

/// A deal whose proof of possession was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedDeal<C: Curve> {
    federation: Federation,
    slot: KeySlot,
    dealer: Member,
    commitments: Commitments<C>,
}

impl<C: Curve> VerifiedDeal<C> {
    /// Who dealt.
    #[must_use]
    pub fn dealer(&self) -> Member {
        self.dealer
    }

    /// To the coefficients of the dealer's polynomial.
    #[must_use]
    pub fn commitments(&self) -> &Commitments<C> {
        &self.commitments
    }

    /// Fails if `share` is not what this dealer owes the member. A member accuses the dealer then.
    ///
    /// # Errors
    /// [`CosignerError::ShareDiffers`].
    pub fn check(&self, member: Member, share: &Secret<C>) -> Result<(), CosignerError> {
        self.commitments.check(member, share)
    }
}

/// The public side of the key: sums over the deals of the qualified dealers.
///
/// # Errors
/// [`CosignerError::Dealers`] for fewer than T deals, a dealer twice, or deals of different keys;
/// [`CosignerError::Degenerate`] if a sum is the identity: the key is dropped.
pub fn combine<C: Curve>(qualified: &[VerifiedDeal<C>]) -> Result<SharedKey<C>, CosignerError> {
    let first = one_key(qualified)?;
    let rest = qualified.get(1..).unwrap_or_default();
    let sum = |value: &dyn Fn(&Commitments<C>) -> C::Element| {
        let first = value(&first.commitments);
        rest.iter().fold(first, |sum, deal| C::add(&sum, &value(&deal.commitments)))
    };
    let constant = |commitments: &Commitments<C>| commitments.constant().0;
    let shares = first.federation.all().map(|member| sum(&|commitments| commitments.value(member)));
    SharedKey::computed(first.federation, sum(&constant), shares)
}

/// A member's share of the key: the sum of what the qualified dealers delivered to it, each checked
/// again. `delivered` has the dealers in the order of `qualified`.
///
/// # Errors
/// As [`combine`]; [`CosignerError::Count`] for another number of delivered shares;
/// [`CosignerError::ShareDiffers`].
pub fn combine_share<C: Curve>(
    member: Member,
    qualified: &[VerifiedDeal<C>],
    delivered: &[Secret<C>],
) -> Result<Share<C>, CosignerError> {
    one_key(qualified)?.federation.check(member)?;
    count("delivered shares", qualified.len(), delivered.len())?;
    let mut sum: Option<Secret<C>> = None;
    for (deal, share) in qualified.iter().zip(delivered) {
        deal.check(member, share)?;
        sum = Some(match sum {
            None => share.clone(),
            Some(sum) => sum.add(share)?,
        });
    }
    Ok(Share::new(member, sum.ok_or(CosignerError::Degenerate)?))
}

/// The first deal, if all are of one key and T or more dealers, each once, in their order.
fn one_key<C: Curve>(qualified: &[VerifiedDeal<C>]) -> Result<&VerifiedDeal<C>, CosignerError> {
    let first = qualified.first().ok_or(CosignerError::Dealers { threshold: 0 })?;
    let threshold = first.federation.threshold();
    let same = qualified.iter().all(|d| d.slot == first.slot && d.federation == first.federation);
    let ascending = qualified.is_sorted_by(|a, b| a.dealer < b.dealer);
    if same && ascending && qualified.len() >= usize::from(threshold) {
        Ok(first)
    } else {
        Err(CosignerError::Dealers { threshold })
    }
}
