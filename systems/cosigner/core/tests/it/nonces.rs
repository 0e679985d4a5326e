//! A member's nonces: each serves once, and none comes back.

use paralith_cosigner_core::nonce::NonceChain;
use paralith_cosigner_core::sign::{Session, partial};
use paralith_cosigner_core::{CosignerError, Curve, Ed25519, Federation, Point, Scalar, Secp256k1};
use paralith_crypto::Zeroizing;
use proptest::prelude::*;

use crate::lab::{Form, Lab, Verifies, refused, secret, set_of};

fn chain<C: Curve>(seed: u8, name: u64) -> NonceChain<C> {
    NonceChain::start(secret::<C>(1, "name", name).public(), Zeroizing::new([seed; 32]))
}

fn nonces_never_repeat<C: Curve>() {
    let mut seen: Vec<Vec<u8>> = Vec::new();
    let mut seeds = Vec::new();
    for mut chain in [chain::<C>(1, 1), chain(2, 1), chain(1, 2)] {
        for index in 0..20 {
            assert_eq!(chain.index(), index);
            seeds.push((seen.len() / 20, **chain.seed()));
            let published = chain.published().unwrap();
            assert_eq!(chain.published().unwrap(), published, "published twice, it is the same");
            seen.push(published.to_bytes().as_ref().to_vec());
            if index % 3 == 0 {
                chain.drop_unused().unwrap();
            } else {
                let nonce = chain.take().unwrap();
                assert_eq!((*nonce.public(), nonce.index()), (published, index));
            }
        }
    }
    let count = seen.len();
    seen.sort();
    seen.dedup();
    seeds.sort_unstable();
    seeds.dedup();
    assert!(seen.len() == count && seeds.len() == count);
}

#[test]
fn nonces_never_repeat_on_both_curves() {
    nonces_never_repeat::<Secp256k1>();
    nonces_never_repeat::<Ed25519>();
}

#[test]
fn a_chain_goes_on_where_it_was_kept() {
    let mut chain = chain::<Secp256k1>(1, 1);
    chain.drop_unused().unwrap();
    let name = secret::<Secp256k1>(1, "name", 1).public();
    let mut kept = NonceChain::resume(name, chain.seed().clone(), chain.index());
    for _ in 0..3 {
        assert_eq!(kept.take().unwrap().public(), chain.take().unwrap().public());
    }
    let mut last = NonceChain::resume(name, chain.seed().clone(), u64::MAX);
    refused(last.take(), CosignerError::Degenerate);
}

fn a_nonce_serves_in_its_own_session_only<C: Verifies>(choice: u64) {
    let federation = Federation::new(4, 2).unwrap();
    let mut lab = Lab::<C>::new(federation, 0, choice);
    let set = set_of(federation, choice);
    let session = lab.session(&set);
    let challenge = Scalar::from_bytes(&secret::<C>(1, "c", 0).to_bytes()).unwrap();
    let first = set.members()[0];
    let position = usize::from(first.number() - 1);
    let refusal = CosignerError::NotInSession { member: first };

    // The one after it, whose point the session does not have.
    lab.chains[position].drop_unused().unwrap();
    let nonce = lab.chains[position].take().unwrap();
    refused(partial(&lab.shares[position], nonce, &session, &challenge), refusal);
    // A member outside of the set.
    let outside = federation.all().find(|member| !set.has(*member)).unwrap();
    let position = usize::from(outside.number() - 1);
    let nonce = lab.chains[position].take().unwrap();
    let refusal = CosignerError::NotInSession { member: outside };
    refused(partial(&lab.shares[position], nonce, &session, &challenge), refusal);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn a_nonce_serves_in_its_own_session_only_on_both_curves(choice: u64) {
        a_nonce_serves_in_its_own_session_only::<Secp256k1>(choice);
        a_nonce_serves_in_its_own_session_only::<Ed25519>(choice);
    }
}

#[test]
fn nonces_that_cancel_open_no_session() {
    let federation = Federation::new(2, 2).unwrap();
    let one = secret::<Secp256k1>(1, "one", 0).public();
    let mut bytes = one.to_bytes();
    bytes[0] ^= 1;
    let minus = Point::from_bytes(&bytes).unwrap();
    let set = set_of(federation, 0);
    refused(Session::new(set.clone(), vec![one, minus]), CosignerError::Degenerate);
    let count = CosignerError::Count { what: "nonces", expected: 2, got: 1 };
    refused(Session::new(set.clone(), vec![one]), count);
    assert!(Session::new(set, vec![one, one]).is_ok());
}

/// Why a nonce may answer one challenge only: two answers show the share.
#[test]
fn two_challenges_under_one_nonce_would_show_the_share() {
    let federation = Federation::new(2, 2).unwrap();
    let mut lab = Lab::<Secp256k1>::new(federation, 0, 1);
    let set = set_of(federation, 0);
    let session = lab.session(&set);
    let name = *lab.key.server_key();
    let mut fork = NonceChain::resume(name, lab.chains[0].seed().clone(), 0);
    let number = |scalar: &[u8; 32]| Secp256k1::scalar_from_bytes(scalar).unwrap();
    let c: Vec<Scalar<_>> = (0..2)
        .map(|n| Scalar::from_bytes(&secret::<Secp256k1>(1, "c", n).to_bytes()).unwrap())
        .collect();
    let chains = [lab.chains[0].take().unwrap(), fork.take().unwrap()];
    let answers: Vec<_> = chains
        .into_iter()
        .zip(&c)
        .map(|(nonce, c)| partial(&lab.shares[0], nonce, &session, c).unwrap())
        .map(|answer| number(&answer.to_bytes()))
        .collect();
    // L of member 1 in {1, 2} is 2.
    let difference = (number(&c[0].to_bytes()) - number(&c[1].to_bytes()))
        * number(&{
            let mut two = [0; 32];
            two[31] = 2;
            two
        });
    let found = (answers[0] - answers[1]) * difference.invert().unwrap();
    assert_eq!(Secp256k1::scalar_to_bytes(&found), *lab.shares[0].secret().to_bytes());
    // The lab still signs, for the control.
    lab.chains = Lab::<Secp256k1>::new(federation, 0, 1).chains;
    lab.sign(&set, Form::Taproot, b"m");
}
