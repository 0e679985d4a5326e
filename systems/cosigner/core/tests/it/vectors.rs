//! Everything that is hashed, encoded or computed is what `tests/vectors/cosigner.py` computes from the
//! specification alone. The file is frozen: a change of any byte fails here.

use paralith_cosigner_core::auth::Action;
use paralith_cosigner_core::keygen::{Deal, KeySlot, VerifiedDeal, combine, combine_share};
use paralith_cosigner_core::nonce::NonceChain;
use paralith_cosigner_core::opening::{Opening, Record, open};
use paralith_cosigner_core::owner::{Blinding, Request};
use paralith_cosigner_core::release::{joint_secret, server_secret};
use paralith_cosigner_core::seal::{self, Purpose};
use paralith_cosigner_core::sharing::{Commitments, Polynomial};
use paralith_cosigner_core::sign::{Session, aggregate, partial};
use paralith_cosigner_core::{
    Ed25519, Federation, Member, Point, Scalar, Secp256k1, Secret, Set, Share, SharedKey, digest,
    update,
};
use paralith_crypto::Zeroizing;
use paralith_types::{ChainContext, Hash, RuntimeId};
use serde_json::Value;

use crate::lab::{Form, Verifies};

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn bytes<const N: usize>(value: &Value) -> [u8; N] {
    hex::decode(text(value)).unwrap().try_into().unwrap()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

fn list<T>(value: &Value, read: impl Fn(&Value) -> T) -> Vec<T> {
    value.as_array().unwrap().iter().map(read).collect()
}

fn drawn<C: Verifies>(value: &Value) -> Secret<C> {
    Secret::from_random(&Zeroizing::new(bytes(value))).unwrap()
}

fn point<C: Verifies>(value: &Value) -> Point<C> {
    let point = Point::from_bytes(&hex::decode(text(value)).unwrap()).unwrap();
    assert_eq!(hex::encode(point.to_bytes()), text(value));
    point
}

fn scalar<C: Verifies>(value: &Value) -> Scalar<C> {
    Scalar::from_bytes(&bytes(value)).unwrap()
}

fn member(value: &Value) -> Member {
    Member::new(number(value)).unwrap()
}

/// The deals, and a member's delivered shares; each compared with the file.
fn deals<C: Verifies>(case: &Value, federation: Federation) -> (SharedKey<C>, Vec<Share<C>>) {
    let chain = ChainContext(bytes(&case["chain"]));
    let runtime = RuntimeId(bytes(&case["runtime"]));
    let key = u8::try_from(number(&case["key"])).unwrap();
    let slot = KeySlot::new(chain, runtime, number(&case["batch"]), key).unwrap();
    let made = |deal: &Value| -> (VerifiedDeal<C>, Vec<Secret<C>>) {
        let dealer = member(&deal["dealer"]);
        let coefficients = list(&deal["coefficients"], drawn);
        let polynomial = Polynomial::new(federation, coefficients).unwrap();
        let made = Deal::make(&slot, dealer, &polynomial, drawn(&deal["random_nonce"])).unwrap();
        let points = list(&deal["commitments"], point);
        assert_eq!(made.commitments, Commitments::new(federation, points).unwrap());
        assert_eq!(made.nonce, point(&deal["nonce"]));
        assert_eq!(made.answer, scalar(&deal["answer"]));
        let shares: Vec<Secret<C>> =
            federation.all().map(|member| polynomial.share(member).unwrap()).collect();
        assert_eq!(
            shares,
            list(&deal["shares"], |share| Secret::from_bytes(&bytes(share)).unwrap())
        );
        (made.verify(federation, &slot, dealer).unwrap(), shares)
    };
    let (verified, delivered): (Vec<_>, Vec<_>) = list(&case["deals"], made).into_iter().unzip();
    let share = |member: Member| {
        let position = usize::from(member.number() - 1);
        let to_member: Vec<Secret<C>> = delivered.iter().map(|d| d[position].clone()).collect();
        combine_share(member, &verified, &to_member).unwrap()
    };
    (combine(&verified).unwrap(), federation.all().map(share).collect())
}

fn is_the_key<C: Verifies>(expected: &Value, key: &SharedKey<C>, shares: &[Share<C>]) {
    assert_eq!(*key.server_key(), point(&expected["server_key"]));
    assert_eq!(key.shares(), list(&expected["public_shares"], point));
    let secrets = list(&expected["shares"], |share| Secret::from_bytes(&bytes(share)).unwrap());
    let held: Vec<Secret<C>> = shares.iter().map(|share| share.secret().clone()).collect();
    assert_eq!(held, secrets);
}

/// A case's key as it goes from owner to owner.
struct Run<C: Verifies> {
    key: SharedKey<C>,
    shares: Vec<Share<C>>,
    owner: Secret<C>,
    set: Set,
    chains: Vec<NonceChain<C>>,
}

impl<C: Verifies> Run<C> {
    fn pass_on(&mut self, epoch: &Value) {
        let federation = self.key.federation();
        let new = drawn(&epoch["owner"]);
        if let Some(random) = epoch.get("random") {
            let random = list(random, drawn);
            let f = update::polynomial(federation, &self.owner, &new, random).unwrap();
            let commitments = f.commitments();
            let points = list(&epoch["commitments"], point);
            assert_eq!(commitments, Commitments::new(federation, points).unwrap());
            for (share, value) in self.shares.iter_mut().zip(list(&epoch["values"], bytes)) {
                let value = Secret::from_bytes(&value).unwrap();
                assert_eq!(f.share(share.member()).unwrap(), value);
                *share = update::updated_share(&self.key, share, &commitments, &value).unwrap();
            }
            self.key = update::updated_key(&self.key, &commitments).unwrap();
        }
        self.owner = new;
        is_the_key(&epoch["key"], &self.key, &self.shares);
    }

    fn sign(&mut self, expected: &Value) {
        let form = if text(&expected["form"]) == "taproot" { Form::Taproot } else { Form::Plain };
        let joint: Point<C> = point(&expected["joint"]);
        let key = C::joint_key(form, joint);
        assert_eq!(key.verifying_key(), bytes(&expected["verifying_key"]));
        let published = self.chains.iter().map(|chain| chain.published().unwrap()).collect();
        let session = Session::new(self.set.clone(), published).unwrap();
        assert_eq!(*session.nonce(), point(&expected["session_nonce"]));

        let blinding = Blinding::new(drawn(&expected["r2"]), drawn(&expected["b"]));
        let message = hex::decode(text(&expected["message"])).unwrap();
        let blind = expected["blind"].as_bool().unwrap();
        let request = if blind {
            Request::blind(&key, session.nonce(), &blinding, &message)
        } else {
            Request::plain(&key, session.nonce(), &message)
        };
        let request = request.unwrap();
        let challenge = *request.challenge();
        assert_eq!(challenge, scalar(&expected["challenge"]));
        let mut answers = Vec::new();
        for (chain, member) in self.chains.iter_mut().zip(self.set.members()) {
            let share = &self.shares[usize::from(member.number() - 1)];
            answers.push(partial(share, chain.take().unwrap(), &session, &challenge).unwrap());
        }
        assert_eq!(answers, list(&expected["answers"], scalar));
        let sum = aggregate(&self.key, &session, &challenge, &answers).unwrap();
        assert_eq!(sum, scalar(&expected["sum"]));
        let signature = request.finish(self.key.server_key(), &self.owner, &sum).unwrap();
        assert_eq!(signature, bytes(&expected["signature"]));
        assert!(C::verifies(&key.verifying_key(), &message, &signature));

        let record = Record { nonce: *session.nonce(), challenge };
        let opening = Opening { blinding: &blinding, message: &message };
        let opened = open(&key, &record, &opening);
        assert_eq!(opened.is_ok_and(|opened| opened.nonce == signature[..32]), blind);
    }
}

fn digests<C: Verifies>(case: &Value, key: &Point<C>, first: &SharedKey<C>) {
    let expected = &case["digests"];
    let is =
        |name: &str, hash: Hash| assert_eq!(hex::encode(hash.0), text(&expected[name]), "{name}");
    let (chain, runtime) =
        (&ChainContext(bytes(&case["chain"])), &RuntimeId(bytes(&case["runtime"])));
    let action =
        Action { action: "statechain.sign", chain, runtime, key, seq: 7, body: b"the body" };
    is("auth", action.digest());
    let points = list(&case["deals"][0]["commitments"], point::<C>);
    let commitments = Commitments::hash(&[&Commitments::new(first.federation(), points).unwrap()]);
    is("commitments", commitments);
    let (key, to) = (*key, Member::new(2).unwrap());
    let info = |purpose: Purpose<C>, hash: &Hash| seal::info(chain, runtime, &purpose, to, hash);
    is("deal_info", info(Purpose::Deal { batch: 9 }, &commitments));
    is("update_info", info(Purpose::Update { key, update: 3 }, &commitments));
    is("resend_info", info(Purpose::Resend { key, update: 3 }, &commitments));
    let own = Commitments::hash_points(&first.shares()[..1]);
    is("release_info", info(Purpose::Release { key }, &own));
    is("keygen", digest::keygen(&[b"first deal", b"", b"third"]));
    is("erased", digest::erased(&key, 3));
    is("order", digest::order(b"an order"));
}

fn check<C: Verifies>(case: &Value) {
    let size = |field: &str| u8::try_from(number(&case[field])).unwrap();
    let federation = Federation::for_development(size("members"), size("threshold")).unwrap();
    let (key, shares) = deals::<C>(case, federation);
    let name = *key.server_key();
    digests(case, &name, &key);
    let bitmap = u32::try_from(number(&case["set"])).unwrap();
    let set = Set::from_bitmap(federation, bitmap).unwrap();
    let seeds = list(&case["nonce_seeds"], bytes::<32>);
    let chains = seeds.into_iter().map(|seed| NonceChain::start(name, Zeroizing::new(seed)));
    let epochs = case["epochs"].as_array().unwrap();
    let owner = drawn(&epochs[0]["owner"]);
    let mut run = Run { key, shares, owner, set, chains: chains.collect() };
    for epoch in epochs {
        run.pass_on(epoch);
        for session in epoch["sessions"].as_array().unwrap() {
            run.sign(session);
        }
    }
    let seeds: Vec<[u8; 32]> = run.chains.iter().map(|chain| **chain.seed()).collect();
    assert_eq!(seeds, list(&case["last_seeds"], bytes));

    let members = run.set.members().iter();
    let shares: Vec<_> =
        members.map(|member| run.shares[usize::from(member.number() - 1)].clone()).collect();
    let server = server_secret(&run.key, &shares).unwrap();
    let joint = point(&epochs[0]["sessions"][0]["joint"]);
    let whole = joint_secret(&server, &run.owner, &joint).unwrap();
    assert_eq!(*whole.to_bytes(), bytes(&case["private_key"]));
}

#[test]
fn everything_is_what_python_computes() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../tests/vectors/cosigner.json");
    let cases: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let mut seen = [0, 0];
    for case in cases.as_array().unwrap() {
        if text(&case["curve"]) == "secp256k1" {
            seen[0] += 1;
            check::<Secp256k1>(case);
        } else {
            seen[1] += 1;
            check::<Ed25519>(case);
        }
    }
    assert_eq!(seen, [4, 4]);
}
