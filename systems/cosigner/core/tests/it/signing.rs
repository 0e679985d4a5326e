//! Any T members sign, and what they give is an ordinary signature.

use k256::elliptic_curve::group::Group;
use k256::elliptic_curve::point::AffineCoordinates;
use k256::elliptic_curve::sec1::FromSec1Point;
use k256::{AffinePoint, ProjectivePoint, Sec1Point};
use paralith_cosigner_core::owner::{Blinding, Request};
use paralith_cosigner_core::sign::{Session, aggregate, verify_partial};
use paralith_cosigner_core::{
    CosignerError, Curve, Ed25519, Federation, Member, Point, Scalar, Secp256k1, Secret, Set,
};
use proptest::prelude::*;

use crate::lab::{Form, Lab, Verifies, federations, refused, secret, set_of, unchecked_sum};

fn signs<C: Verifies>(lab: &mut Lab<C>, choice: u64, message: &[u8]) {
    let set = set_of(lab.federation(), choice);
    for form in C::FORMS {
        let signature = lab.sign(&set, *form, message).signature;
        let key = lab.joint_key(*form);
        assert!(C::verifies(&key.verifying_key(), message, &signature), "{form:?} {choice}");
        assert!(key.verifies(message, &signature));
    }
}

fn signs_after_updates<C: Verifies>(
    federation: Federation,
    seed: u64,
    choices: &[u64],
    message: &[u8],
) {
    let mut lab = Lab::<C>::new(federation, seed as u32, seed);
    let joint = lab.joint;
    for (number, choice) in choices.iter().enumerate() {
        if number > 0 {
            lab.update();
        }
        assert_eq!(lab.key.server_key().add(&lab.owner.public()).unwrap(), joint);
        signs(&mut lab, *choice, message);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_set_signs_after_any_number_of_updates(
        federation in federations(),
        seed: u64,
        choices in proptest::collection::vec(any::<u64>(), 1..4),
        message in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        signs_after_updates::<Secp256k1>(federation, seed, &choices, &message);
        signs_after_updates::<Ed25519>(federation, seed, &choices, &message);
    }
}

fn every_set_signs<C: Verifies>(members: u8, threshold: u8) {
    let federation = Federation::for_development(members, threshold).unwrap();
    let mut lab = Lab::<C>::new(federation, u32::MAX, 3);
    let mut sets = 0;
    for bitmap in 0..1_u32 << members {
        let Ok(set) = Set::from_bitmap(federation, bitmap) else { continue };
        sets += 1;
        let signed = lab.sign(&set, Form::Plain, b"one of all sets");
        let key = lab.joint_key(Form::Plain).verifying_key();
        assert!(C::verifies(&key, b"one of all sets", &signed.signature));
    }
    assert!(sets > 0);
}

#[test]
fn every_set_of_a_federation_signs() {
    for (members, threshold) in [(1, 1), (3, 1), (3, 2), (5, 3)] {
        every_set_signs::<Secp256k1>(members, threshold);
        every_set_signs::<Ed25519>(members, threshold);
    }
}

fn affine(bytes: &[u8]) -> AffinePoint {
    AffinePoint::from_sec1_point(&Sec1Point::from_bytes(bytes).unwrap()).unwrap()
}

/// x(Q) and the sign of Q, by another way than the crate's: lift x(P), add the tweak.
fn tweaked(joint: &[u8; 33]) -> ([u8; 32], bool) {
    use k256::schnorr::VerifyingKey;
    let x: [u8; 32] = joint[1..].try_into().unwrap();
    let lifted = ProjectivePoint::from(*VerifyingKey::from_bytes(&x.into()).unwrap().as_affine());
    let tag = paralith_crypto::sha256(b"TapTweak");
    let tweak = paralith_crypto::sha256(&[&tag[..], &tag, &x].concat());
    let tweak = Secp256k1::scalar_from_bytes(&tweak).unwrap();
    let key = (lifted + ProjectivePoint::generator() * tweak).to_affine();
    (key.x().into(), key.y_is_odd().into())
}

/// All eight signs of P, Q and R0 appear, and the signature is valid for each.
#[test]
fn signatures_are_valid_for_all_signs() {
    let federation = Federation::new(3, 2).unwrap();
    let mut seen = [0; 8];
    for seed in 0.. {
        let mut lab = Lab::<Secp256k1>::new(federation, 0b111, seed);
        let joint = lab.joint.to_bytes();
        let (key, odd) = tweaked(&joint);
        assert_eq!(lab.joint_key(Form::Taproot).verifying_key(), key);
        let set = set_of(federation, seed);
        let signed = lab.sign(&set, Form::Taproot, b"a spend");
        assert!(Secp256k1::verifies(&key, b"a spend", &signed.signature));

        let (r2, b) = signed.blinding.to_bytes();
        let number = |bytes: &[u8; 32]| Secp256k1::scalar_from_bytes(bytes).unwrap();
        let blinded = ProjectivePoint::from(affine(&signed.session.nonce().to_bytes()))
            + ProjectivePoint::generator() * number(&r2)
            + ProjectivePoint::from(affine(&joint)) * number(&b);
        let negative = bool::from(blinded.to_affine().y_is_odd());
        seen[usize::from(joint[0] == 3) << 2 | usize::from(odd) << 1 | usize::from(negative)] += 1;
        if seen.iter().all(|count| *count > 0) {
            break;
        }
        assert!(seed < 500, "{seen:?}");
    }
}

#[test]
fn bip86_gives_the_output_key_of_its_first_test_vector() {
    let internal = "02cc8a4bc64d897bddc5fbc2f670f7a8ba0b386779106cf1223c6fc5d7cd6fc115";
    let output = "a60869f0dbcf1dc659c9cecbaf8050135ea9e8cdc487053f1dc6880949dc684c";
    let joint = Point::from_bytes(&hex::decode(internal).unwrap()).unwrap();
    let key = Secp256k1::joint_key(Form::Taproot, joint);
    assert_eq!(hex::encode(key.verifying_key()), output);
}

fn fewer_than_t_do_not_sign<C: Verifies>(federation: Federation, choice: u64) {
    let mut lab = Lab::<C>::new(federation, 0, choice);
    let threshold = federation.threshold() - 1;
    let Ok(smaller) = Federation::for_development(federation.members(), threshold) else { return };
    // All that T - 1 members can do: sign as if they were enough.
    let set = set_of(smaller, choice);
    let session = lab.session(&set);
    let key = lab.joint_key(Form::Plain);
    let request = Request::blind(&key, session.nonce(), &lab.blinding(&session), b"m").unwrap();
    let shares = lab.shares.clone();
    let answers = lab.answers(&session, &shares, request.challenge());
    let sum = unchecked_sum(&answers);
    refused(request.finish(lab.key.server_key(), &lab.owner, &sum), CosignerError::Answer);
    refused(
        aggregate(&lab.key, &session, request.challenge(), &answers),
        CosignerError::Set { threshold: federation.threshold() },
    );
    let members: Vec<Member> = set.members().to_vec();
    refused(
        Set::new(federation, &members),
        CosignerError::Set { threshold: federation.threshold() },
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn fewer_than_t_do_not_sign_on_both_curves(federation in federations(), choice: u64) {
        fewer_than_t_do_not_sign::<Secp256k1>(federation, choice);
        fewer_than_t_do_not_sign::<Ed25519>(federation, choice);
    }
}

fn a_wrong_partial_names_its_member<C: Verifies>(choice: u64, at: u8, bit: u8) {
    let federation = Federation::new(5, 3).unwrap();
    let mut lab = Lab::<C>::new(federation, 0, choice);
    let set = set_of(federation, choice);
    let session = lab.session(&set);
    let challenge = Scalar::from_bytes(&secret::<C>(choice, "c", 0).to_bytes()).unwrap();
    let shares = lab.shares.clone();
    let right = lab.answers(&session, &shares, &challenge);
    aggregate(&lab.key, &session, &challenge, &right).unwrap();

    let at = usize::from(at) % right.len();
    let mut bytes = right[at].to_bytes();
    bytes[usize::from(bit / 8)] ^= 1 << (bit % 8);
    let member = set.members()[at];
    if let Ok(changed) = Scalar::from_bytes(&bytes) {
        let mut wrong = right.clone();
        wrong[at] = changed;
        let result = aggregate(&lab.key, &session, &challenge, &wrong);
        refused(result, CosignerError::Partial { member });
    }
    // The answer to another challenge, and one that is another member's.
    let other = Scalar::from_bytes(&secret::<C>(choice, "c", 1).to_bytes()).unwrap();
    let result = verify_partial(&lab.key, &session, &other, member, &right[at]);
    refused(result, CosignerError::Partial { member });
    let next = set.members()[(at + 1) % right.len()];
    let result = verify_partial(&lab.key, &session, &challenge, next, &right[at]);
    refused(result, CosignerError::Partial { member: next });
    let outside = federation.all().find(|member| !set.has(*member)).unwrap();
    let result = verify_partial(&lab.key, &session, &challenge, outside, &right[at]);
    refused(result, CosignerError::NotInSession { member: outside });
    let count = CosignerError::Count { what: "answers", expected: 3, got: 2 };
    refused(aggregate(&lab.key, &session, &challenge, &right[..2]), count);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn a_wrong_partial_names_its_member_on_both_curves(choice: u64, at: u8, bit: u8) {
        a_wrong_partial_names_its_member::<Secp256k1>(choice, at, bit);
        a_wrong_partial_names_its_member::<Ed25519>(choice, at, bit);
    }
}

fn only_the_owner_finishes<C: Verifies>() {
    let federation = Federation::new(3, 2).unwrap();
    let mut lab = Lab::<C>::new(federation, 0, 8);
    let set = set_of(federation, 1);
    for form in C::FORMS {
        let session = lab.session(&set);
        let key = lab.joint_key(*form);
        let blinding = lab.blinding(&session);
        let request = Request::blind(&key, session.nonce(), &blinding, b"m").unwrap();
        let shares = lab.shares.clone();
        let answers = lab.answers(&session, &shares, request.challenge());
        let sum = aggregate(&lab.key, &session, request.challenge(), &answers).unwrap();
        let server_key = *lab.key.server_key();

        let stranger = secret(1, "stranger", 0);
        refused(request.finish(&server_key, &stranger, &sum), CosignerError::JointKey);
        refused(request.finish(&lab.joint, &lab.owner, &sum), CosignerError::JointKey);
        let other = Scalar::from_bytes(&stranger.to_bytes()).unwrap();
        refused(request.finish(&server_key, &lab.owner, &other), CosignerError::Answer);
        refused(request.finish(&server_key, &lab.owner, &answers[0]), CosignerError::Answer);
        request.finish(&server_key, &lab.owner, &sum).unwrap();
    }
}

#[test]
fn only_the_owner_finishes_on_both_curves() {
    only_the_owner_finishes::<Secp256k1>();
    only_the_owner_finishes::<Ed25519>();
}

fn a_session_without_blinding_gives_its_own_nonce<C: Verifies>(seed: u64) {
    let federation = Federation::new(3, 2).unwrap();
    let mut lab = Lab::<C>::new(federation, 0, seed);
    let set = set_of(federation, seed);
    for form in C::FORMS {
        let session = lab.session(&set);
        let key = lab.joint_key(*form);
        let request = Request::plain(&key, session.nonce(), b"seen").unwrap();
        let shares = lab.shares.clone();
        let answers = lab.answers(&session, &shares, request.challenge());
        let sum = aggregate(&lab.key, &session, request.challenge(), &answers).unwrap();
        let signature = request.finish(lab.key.server_key(), &lab.owner, &sum).unwrap();
        assert!(C::verifies(&key.verifying_key(), b"seen", &signature));
        assert_eq!(signature[..32], session.nonce().signed_form());
        let blind =
            Request::blind(&key, session.nonce(), &lab.blinding(&session), b"seen").unwrap();
        assert!(blind.challenge() != request.challenge());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn a_session_without_blinding_gives_its_own_nonce_on_both_curves(seed: u64) {
        a_session_without_blinding_gives_its_own_nonce::<Secp256k1>(seed);
        a_session_without_blinding_gives_its_own_nonce::<Ed25519>(seed);
    }
}

fn changed_signatures_do_not_verify<C: Verifies>(seed: u64, at: u16, other: &[u8]) {
    let federation = Federation::new(3, 2).unwrap();
    let mut lab = Lab::<C>::new(federation, 0, seed);
    let set = set_of(federation, seed);
    for form in C::FORMS {
        let signed = lab.sign(&set, *form, b"m");
        let key = lab.joint_key(*form);
        let mut changed = signed.signature;
        changed[usize::from(at / 8) % 64] ^= 1 << (at % 8);
        for (message, signature) in [(b"m".as_slice(), &changed), (other, &signed.signature)] {
            assert!(
                !key.verifies(message, signature) || message == b"m" && changed == signed.signature
            );
            assert!(!C::verifies(&key.verifying_key(), message, signature));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn changed_signatures_do_not_verify_on_both_curves(
        seed: u64, at: u16, other in proptest::collection::vec(any::<u8>(), 2..20),
    ) {
        changed_signatures_do_not_verify::<Secp256k1>(seed, at, &other);
        changed_signatures_do_not_verify::<Ed25519>(seed, at, &other);
    }
}

/// The signature of one who has the secret, with a nonce of either sign.
fn with_nonce<C: Curve>(secret: &C::Scalar, key: &[u8; 32], nonce: &C::Scalar) -> [u8; 64] {
    let r = C::signed_form(&C::multiply_generator(nonce));
    let product = C::multiply_scalars(&C::challenge(&r, key, b"m"), secret);
    let s = C::add_scalars(nonce, &product);
    [r, C::scalar_to_bytes(&s)].concat().try_into().unwrap()
}

#[test]
fn a_signature_has_a_nonce_of_even_y_that_is_not_the_identity() {
    let raw = |purpose: &str, number| {
        let secret = secret::<Secp256k1>(6, purpose, number);
        Secp256k1::scalar_from_bytes(&secret.to_bytes()).unwrap()
    };
    let mut seen = [0, 0];
    for number in 0..16 {
        let (mut secret, nonce) = (raw("secret", number), raw("nonce", number));
        if Secp256k1::is_negative(&Secp256k1::multiply_generator(&secret)) {
            secret = -secret;
        }
        let point = Secp256k1::element_to_bytes(&Secp256k1::multiply_generator(&secret));
        let key = Secp256k1::joint_key(Form::Plain, Point::from_bytes(&point).unwrap());
        let bytes = key.verifying_key();
        let negative = Secp256k1::is_negative(&Secp256k1::multiply_generator(&nonce));
        let signature = with_nonce::<Secp256k1>(&secret, &bytes, &nonce);
        assert_eq!(key.verifies(b"m", &signature), !negative);
        assert_eq!(Secp256k1::verifies(&bytes, b"m", &signature), !negative);
        seen[usize::from(negative)] += 1;
        let without = with_nonce::<Secp256k1>(&secret, &bytes, &Secp256k1::scalar_from_u64(0));
        assert!(!key.verifies(b"m", &without) && !Secp256k1::verifies(&bytes, b"m", &without));
    }
    assert!(seen[0] > 0 && seen[1] > 0, "{seen:?}");

    let secret: Secret<Ed25519> = secret(6, "secret", 0);
    let key = Ed25519::joint_key(Form::Plain, secret.public());
    let secret = Ed25519::scalar_from_bytes(&secret.to_bytes()).unwrap();
    let without =
        with_nonce::<Ed25519>(&secret, &key.verifying_key(), &Ed25519::scalar_from_u64(0));
    assert!(!key.verifies(b"m", &without));
}

/// What a member sees of two sessions with one message is as different as with two messages.
#[test]
fn a_challenge_depends_on_the_blinding() {
    let federation = Federation::new(3, 2).unwrap();
    let lab = Lab::<Secp256k1>::new(federation, 0, 8);
    let session: Session<Secp256k1> = lab.session(&set_of(federation, 1));
    let key = lab.joint_key(Form::Taproot);
    let challenge = |r2: u64, b: u64| {
        let blinding = Blinding::new(secret(1, "r2", r2), secret(1, "b", b));
        *Request::blind(&key, session.nonce(), &blinding, b"m").unwrap().challenge()
    };
    assert!(challenge(1, 1) != challenge(1, 2) && challenge(1, 1) != challenge(2, 1));
}
