//! Passing a key on, and handing it out.

use paralith_cosigner_core::owner::Request;
use paralith_cosigner_core::release::{joint_secret, server_secret};
use paralith_cosigner_core::sharing::{Commitments, Polynomial};
use paralith_cosigner_core::sign::aggregate;
use paralith_cosigner_core::{
    CosignerError, Curve, Ed25519, Federation, Scalar, Secp256k1, Secret, Share, update,
};
use proptest::prelude::*;

use crate::lab::{
    Form, Lab, Verifies, federations, polynomial, refused, secret, set_of, unchecked_sum,
};

/// Members of two epochs sign together.
fn shares_of_two_epochs_do_not_combine<C: Verifies>(
    federation: Federation,
    choice: u64,
    stay: u16,
) {
    let mut lab = Lab::<C>::new(federation, 0, choice);
    let (old_key, old_shares, old_owner) = (lab.key.clone(), lab.shares.clone(), lab.owner.clone());
    lab.update();
    let set = set_of(federation, choice);
    // One of the set at least keeps its old share, one at least has the new one.
    let stays = |position: usize| {
        position == 0 || position + 1 < set.members().len() && stay >> position & 1 == 1
    };
    let mut shares = lab.shares.clone();
    for (position, member) in set.members().iter().enumerate() {
        if stays(position) {
            let at = usize::from(member.number() - 1);
            shares[at] = old_shares[at].clone();
        }
    }
    let session = lab.session(&set);
    let key = lab.joint_key(Form::Plain);
    let request = Request::blind(&key, session.nonce(), &lab.blinding(&session), b"m").unwrap();
    let answers = lab.answers(&session, &shares, request.challenge());
    let member = set.members()[0];
    let result = aggregate(&lab.key, &session, request.challenge(), &answers);
    refused(result, CosignerError::Partial { member });
    let sum = unchecked_sum(&answers);
    for (key, owner) in [(&lab.key, &lab.owner), (&old_key, &old_owner)] {
        refused(request.finish(key.server_key(), owner, &sum), CosignerError::Answer);
    }
}

/// The old owner has T old shares, or fewer; the first has teeth.
fn an_old_owner_needs_t_old_shares<C: Verifies>(federation: Federation, choice: u64) {
    let mut lab = Lab::<C>::new(federation, 0, choice);
    let (old_key, old_shares, old_owner) = (lab.key.clone(), lab.shares.clone(), lab.owner.clone());
    lab.update();
    refused(
        joint_secret(
            &server_secret(&lab.key, &new_shares(&lab, choice)).unwrap(),
            &old_owner,
            &lab.joint,
        ),
        CosignerError::JointKey,
    );
    let set = set_of(federation, choice);
    let taken: Vec<Share<C>> =
        set.members().iter().map(|m| old_shares[usize::from(m.number() - 1)].clone()).collect();
    let stolen = server_secret(&old_key, &taken).unwrap();
    joint_secret(&stolen, &old_owner, &lab.joint).unwrap();
    let refusal = CosignerError::Set { threshold: federation.threshold() };
    refused(server_secret(&old_key, &taken[1..]), refusal);
    refused(server_secret(&lab.key, &taken), CosignerError::Released { member: set.members()[0] });
}

fn new_shares<C: Verifies>(lab: &Lab<C>, choice: u64) -> Vec<Share<C>> {
    let set = set_of(lab.federation(), choice);
    set.members().iter().map(|m| lab.shares[usize::from(m.number() - 1)].clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn shares_of_two_epochs_do_not_combine_on_both_curves(
        federation in federations(), choice: u64, stay: u16,
    ) {
        shares_of_two_epochs_do_not_combine::<Secp256k1>(federation, choice, stay);
        shares_of_two_epochs_do_not_combine::<Ed25519>(federation, choice, stay);
    }

    #[test]
    fn an_old_owner_needs_t_old_shares_on_both_curves(federation in federations(), choice: u64) {
        an_old_owner_needs_t_old_shares::<Secp256k1>(federation, choice);
        an_old_owner_needs_t_old_shares::<Ed25519>(federation, choice);
    }
}

fn a_wrong_value_is_refused<C: Verifies>(seed: u64, at: u8, bit: u8) {
    let federation = Federation::new(4, 3).unwrap();
    let lab = Lab::<C>::new(federation, 0, seed);
    let f: Polynomial<C> = polynomial(federation, seed, 50);
    let commitments = f.commitments();
    let share = &lab.shares[usize::from(at) % 4];
    let right = f.share(share.member()).unwrap();
    let updated = update::updated_share(&lab.key, share, &commitments, &right).unwrap();
    assert!(update::updated_key(&lab.key, &commitments).unwrap().has(&updated));

    let mut bytes = *right.to_bytes();
    bytes[usize::from(bit / 8)] ^= 1 << (bit % 8);
    if let Ok(wrong) = Secret::from_bytes(&bytes) {
        let result = update::updated_share(&lab.key, share, &commitments, &wrong);
        refused(result, CosignerError::ShareDiffers);
    }
    let other: Polynomial<C> = polynomial(federation, seed, 51);
    let result = update::updated_share(&lab.key, share, &other.commitments(), &right);
    refused(result, CosignerError::ShareDiffers);
    // A share that is not of the key.
    let stray = Share::new(share.member(), right.clone());
    let result = update::updated_share(&lab.key, &stray, &commitments, &right);
    refused(result, CosignerError::ShareDiffers);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn a_wrong_value_is_refused_on_both_curves(seed: u64, at: u8, bit: u8) {
        a_wrong_value_is_refused::<Secp256k1>(seed, at, bit);
        a_wrong_value_is_refused::<Ed25519>(seed, at, bit);
    }
}

#[test]
fn an_update_keeps_the_threshold() {
    let lab = Lab::<Ed25519>::new(Federation::new(5, 3).unwrap(), 0, 1);
    for threshold in [2, 4] {
        let other = Federation::new(5, threshold).unwrap();
        let f: Polynomial<Ed25519> = polynomial(other, 1, 1);
        let got = usize::from(threshold);
        let refusal = CosignerError::Count { what: "commitments", expected: 3, got };
        refused(update::updated_key(&lab.key, &f.commitments()), refusal.clone());
        let (share, value) = (&lab.shares[0], f.share(lab.shares[0].member()).unwrap());
        let result = update::updated_share(&lab.key, share, &f.commitments(), &value);
        refused(result, refusal);
        let points: Vec<_> = f.commitments().points().copied().collect();
        refused(
            Commitments::new(lab.federation(), points.clone()),
            CosignerError::Count { what: "commitments", expected: 3, got },
        );
        let encoded: Vec<[u8; 32]> = points.iter().map(|point| point.to_bytes()).collect();
        assert!(Commitments::<Ed25519>::from_bytes(lab.federation(), &encoded).is_err());
        assert_eq!(Commitments::from_bytes(other, &encoded).unwrap(), f.commitments());
    }
}

#[test]
fn an_update_that_cancels_is_drawn_again() {
    let federation = Federation::new(3, 2).unwrap();
    let lab = Lab::<Secp256k1>::new(federation, 0, 1);
    let random = vec![secret(1, "update", 0)];
    let same = update::polynomial(federation, &lab.owner, &lab.owner, random);
    refused(same, CosignerError::Degenerate);
    let new = secret(1, "new", 0);
    let count = CosignerError::Count { what: "coefficients", expected: 2, got: 1 };
    refused(update::polynomial(federation, &lab.owner, &new, vec![]), count);

    // D_0 = -S: the server key would be the identity.
    let minus = |point: &[u8; 33]| {
        let mut bytes = *point;
        bytes[0] ^= 1;
        paralith_cosigner_core::Point::from_bytes(&bytes).unwrap()
    };
    let points = vec![minus(&lab.key.server_key().to_bytes()), new.public()];
    let commitments = Commitments::new(federation, points).unwrap();
    refused(update::updated_key(&lab.key, &commitments), CosignerError::Degenerate);
}

fn a_released_key_signs_alone<C: Verifies>(
    form: Form,
    sign: impl Fn(&Secret<C>, &[u8]) -> [u8; 64],
) {
    let federation = Federation::new(5, 3).unwrap();
    let mut lab = Lab::<C>::new(federation, 0, 4);
    lab.update();
    let shares = new_shares(&lab, 9);
    let server = server_secret(&lab.key, &shares).unwrap();
    assert_eq!(server.public(), *lab.key.server_key());
    let whole = joint_secret(&server, &lab.owner, &lab.joint).unwrap();
    assert_eq!(whole.public(), lab.joint);
    let signature = sign(&whole, b"a sweep");
    assert!(lab.joint_key(form).verifies(b"a sweep", &signature));

    let member = shares[1].member();
    let mut spoiled = shares.clone();
    spoiled[1] = Share::new(member, shares[0].secret().clone());
    refused(server_secret(&lab.key, &spoiled), CosignerError::Released { member });
    let twice = [shares[0].clone(), shares[1].clone(), shares[2].clone(), shares[2].clone()];
    refused(server_secret(&lab.key, &twice), CosignerError::Set { threshold: 3 });
}

#[test]
fn a_released_key_signs_alone_on_both_curves() {
    a_released_key_signs_alone::<Secp256k1>(Form::Plain, |secret, message| {
        let key = k256::schnorr::SigningKey::from_bytes(&(*secret.to_bytes()).into()).unwrap();
        key.sign_raw(message, &[7; 32]).unwrap().to_bytes()
    });
    // RFC 8032 with a random nonce in the place of the hash of a prefix: p is a scalar and no seed.
    a_released_key_signs_alone::<Ed25519>(Form::Plain, |whole, message| {
        let nonce: Secret<Ed25519> = secret(4, "sweep", 0);
        let number =
            |secret: &Secret<Ed25519>| Ed25519::scalar_from_bytes(&secret.to_bytes()).unwrap();
        let (r, key) = (nonce.public().signed_form(), whole.public().signed_form());
        let answer = number(&nonce) + Ed25519::challenge(&r, &key, message) * number(whole);
        let answer: Scalar<Ed25519> = Scalar::from_bytes(&answer.to_bytes()).unwrap();
        let signature: [u8; 64] = [r, answer.to_bytes()].concat().try_into().unwrap();
        assert!(Ed25519::verifies(&key, message, &signature));
        signature
    });
}
