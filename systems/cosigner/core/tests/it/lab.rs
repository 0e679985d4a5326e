//! A federation with one key, its shares, and an owner; all randomness follows from a seed.

use k256::schnorr::{Signature, VerifyingKey};
use paralith_cosigner_core::keygen::{Deal, KeySlot, VerifiedDeal, combine, combine_share};
use paralith_cosigner_core::nonce::NonceChain;
use paralith_cosigner_core::owner::{Blinding, JointKey, Request};
use paralith_cosigner_core::sharing::Polynomial;
use paralith_cosigner_core::sign::{Session, aggregate, partial};
use paralith_cosigner_core::{
    CosignerError, Curve, Ed25519, Federation, Member, Point, Scalar, Secp256k1, Secret, Set,
    Share, SharedKey, update,
};
use paralith_crypto::{Domain, Zeroizing, kdf};
use paralith_types::{ChainContext, RuntimeId};
use proptest::prelude::*;

const TEST: Domain = Domain::new("paralith/cosigner/test");

pub(crate) const CHAIN: ChainContext = ChainContext([1; 32]);
pub(crate) const RUNTIME: RuntimeId = RuntimeId([2; 32]);

pub(crate) fn slot() -> KeySlot {
    KeySlot::new(CHAIN, RUNTIME, 5, 0).unwrap()
}

/// A scalar for a purpose.
pub(crate) fn secret<C: Curve>(seed: u64, purpose: &str, number: u64) -> Secret<C> {
    let parts = [purpose.as_bytes(), &number.to_be_bytes()];
    let wide: Zeroizing<[u8; 64]> = kdf::derive_wide(&seed.to_be_bytes(), &[], TEST, &parts);
    Secret::from_random(&wide).unwrap()
}

pub(crate) fn polynomial<C: Curve>(federation: Federation, seed: u64, of: u64) -> Polynomial<C> {
    let drawn = (0..u64::from(federation.threshold()))
        .map(|k| secret(seed, "coefficient", of * 100 + k))
        .collect();
    Polynomial::new(federation, drawn).unwrap()
}

/// A dealer's deal for [`slot`], and its polynomial.
pub(crate) fn deal<C: Curve>(
    federation: Federation,
    seed: u64,
    dealer: Member,
) -> (Deal<C>, Polynomial<C>) {
    let number = u64::from(dealer.number());
    let polynomial = polynomial(federation, seed, number);
    let nonce = secret(seed, "possession", number);
    (Deal::make(&slot(), dealer, &polynomial, nonce).unwrap(), polynomial)
}

/// How signatures verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Plain,
    Taproot,
}

/// A curve of tests: its forms, and a verifier that shares no code with the crate's.
pub(crate) trait Verifies: Curve {
    const FORMS: &'static [Form];
    fn joint_key(form: Form, joint: Point<Self>) -> JointKey<Self>;
    fn verifies(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool;
}

impl Verifies for Secp256k1 {
    const FORMS: &'static [Form] = &[Form::Plain, Form::Taproot];

    fn joint_key(form: Form, joint: Point<Self>) -> JointKey<Self> {
        match form {
            Form::Plain => JointKey::plain(joint),
            Form::Taproot => JointKey::taproot(joint).unwrap(),
        }
    }

    fn verifies(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
        let key = VerifyingKey::from_bytes(&(*key).into()).unwrap();
        let signature = Signature::from_bytes(signature);
        signature.is_ok_and(|signature| key.verify_raw(message, &signature).is_ok())
    }
}

impl Verifies for Ed25519 {
    const FORMS: &'static [Form] = &[Form::Plain];

    fn joint_key(_: Form, joint: Point<Self>) -> JointKey<Self> {
        JointKey::plain(joint)
    }

    fn verifies(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
        let strict = ed25519_dalek::VerifyingKey::from_bytes(key)
            .unwrap()
            .verify_strict(message, &ed25519_dalek::Signature::from_bytes(signature))
            .is_ok();
        let zip215 = ed25519_zebra::VerificationKey::try_from(*key)
            .unwrap()
            .verify(&(*signature).into(), message)
            .is_ok();
        assert_eq!(strict, zip215, "the verifiers of Ed25519 differ");
        strict
    }
}

/// A key among its members, and its owner.
pub(crate) struct Lab<C: Curve> {
    pub(crate) seed: u64,
    pub(crate) key: SharedKey<C>,
    pub(crate) shares: Vec<Share<C>>,
    pub(crate) chains: Vec<NonceChain<C>>,
    pub(crate) owner: Secret<C>,
    pub(crate) joint: Point<C>,
    pub(crate) epoch: u64,
}

/// A session that was signed.
pub(crate) struct Signed<C: Curve> {
    pub(crate) session: Session<C>,
    pub(crate) blinding: Blinding<C>,
    pub(crate) challenge: Scalar<C>,
    pub(crate) sum: Scalar<C>,
    pub(crate) signature: [u8; 64],
}

impl<C: Verifies> Lab<C> {
    /// The key is dealt by the dealers whose bits are set in `dealers`, and so many more that there
    /// are T.
    pub(crate) fn new(federation: Federation, dealers: u32, seed: u64) -> Self {
        let chosen = |member: &Member| dealers >> (member.number() - 1) & 1 == 1;
        let mut qualified: Vec<Member> = federation.all().filter(chosen).collect();
        let others = federation.all().filter(|member| !chosen(member));
        let missing = usize::from(federation.threshold()).saturating_sub(qualified.len());
        qualified.extend(others.take(missing));
        qualified.sort();

        let made: Vec<_> = qualified
            .iter()
            .map(|dealer| (*dealer, deal::<C>(federation, seed, *dealer)))
            .collect();
        let verified: Vec<VerifiedDeal<C>> = made
            .iter()
            .map(|(dealer, (deal, _))| deal.clone().verify(federation, &slot(), *dealer).unwrap())
            .collect();
        let share = |member: Member| {
            let delivered: Vec<Secret<C>> =
                made.iter().map(|(_, (_, f))| f.share(member).unwrap()).collect();
            combine_share(member, &verified, &delivered).unwrap()
        };
        let key = combine(&verified).unwrap();
        let name = *key.server_key();
        let owner: Secret<C> = secret(seed, "owner", 0);
        let chain = |member: Member| {
            let seed = kdf::derive(&seed.to_be_bytes(), &[], TEST, &[&[member.number()]]);
            NonceChain::start(name, seed)
        };
        Self {
            seed,
            shares: federation.all().map(share).collect(),
            chains: federation.all().map(chain).collect(),
            joint: key.server_key().add(&owner.public()).unwrap(),
            owner,
            key,
            epoch: 0,
        }
    }

    pub(crate) fn federation(&self) -> Federation {
        self.key.federation()
    }

    pub(crate) fn joint_key(&self, form: Form) -> JointKey<C> {
        C::joint_key(form, self.joint)
    }

    /// Another owner takes the key over.
    pub(crate) fn update(&mut self) {
        self.epoch += 1;
        let new = secret(self.seed, "owner", self.epoch);
        let random = (1..u64::from(self.federation().threshold()))
            .map(|k| secret(self.seed, "update", self.epoch * 100 + k))
            .collect();
        let f = update::polynomial(self.federation(), &self.owner, &new, random).unwrap();
        let commitments = f.commitments();
        for share in &mut self.shares {
            let value = f.share(share.member()).unwrap();
            *share = update::updated_share(&self.key, share, &commitments, &value).unwrap();
        }
        self.key = update::updated_key(&self.key, &commitments).unwrap();
        self.owner = new;
    }

    pub(crate) fn session(&self, set: &Set) -> Session<C> {
        let nonces = set.members().iter().map(|m| self.chain(*m).published().unwrap()).collect();
        Session::new(set.clone(), nonces).unwrap()
    }

    pub(crate) fn chain(&self, member: Member) -> &NonceChain<C> {
        &self.chains[usize::from(member.number() - 1)]
    }

    /// The answers of the set's members with these shares, unchecked.
    pub(crate) fn answers(
        &mut self,
        session: &Session<C>,
        shares: &[Share<C>],
        challenge: &Scalar<C>,
    ) -> Vec<Scalar<C>> {
        let members = session.set().members().to_vec();
        let answer = |member: Member| {
            let position = usize::from(member.number() - 1);
            let nonce = self.chains[position].take().unwrap();
            partial(&shares[position], nonce, session, challenge).unwrap()
        };
        members.into_iter().map(answer).collect()
    }

    pub(crate) fn blinding(&self, session: &Session<C>) -> Blinding<C> {
        let first = session.set().members()[0];
        let number = self.epoch * 1000 + self.chain(first).index();
        Blinding::new(secret(self.seed, "r2", number), secret(self.seed, "b", number))
    }

    pub(crate) fn sign(&mut self, set: &Set, form: Form, message: &[u8]) -> Signed<C> {
        let session = self.session(set);
        let blinding = self.blinding(&session);
        let key = self.joint_key(form);
        let request = Request::blind(&key, session.nonce(), &blinding, message).unwrap();
        let challenge = *request.challenge();
        let shares = self.shares.clone();
        let answers = self.answers(&session, &shares, &challenge);
        let sum = aggregate(&self.key, &session, &challenge, &answers).unwrap();
        let signature = request.finish(self.key.server_key(), &self.owner, &sum).unwrap();
        Signed { session, blinding, challenge, sum, signature }
    }
}

/// The sum of answers that nobody checked.
pub(crate) fn unchecked_sum<C: Curve>(answers: &[Scalar<C>]) -> Scalar<C> {
    let raw = |scalar: &Scalar<C>| C::scalar_from_bytes(&scalar.to_bytes()).unwrap();
    let sum = answers.iter().map(raw).reduce(|a, b| C::add_scalars(&a, &b)).unwrap();
    Scalar::from_bytes(&C::scalar_to_bytes(&sum)).unwrap()
}

/// N and T within the limits.
pub(crate) fn federations() -> impl Strategy<Value = Federation> {
    (2_u8..=15).prop_flat_map(|members| {
        let least = members.saturating_sub(5).max(2);
        (least..=members).prop_map(move |t| Federation::new(members, t).unwrap())
    })
}

/// A set of the federation, from any number.
pub(crate) fn set_of(federation: Federation, choice: u64) -> Set {
    let mut left: Vec<Member> = federation.all().collect();
    let mut state = choice;
    let mut members = Vec::new();
    for _ in 0..federation.threshold() {
        let length = left.len() as u64;
        members.push(left.remove(usize::try_from(state % length).unwrap()));
        state /= length;
    }
    Set::new(federation, &members).unwrap()
}

/// Asserts a refusal.
pub(crate) fn refused<T: std::fmt::Debug>(result: Result<T, CosignerError>, with: CosignerError) {
    assert_eq!(result.unwrap_err(), with);
}
