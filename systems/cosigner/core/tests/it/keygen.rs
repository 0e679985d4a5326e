//! Generation: what dealers can and cannot do.

use paralith_cosigner_core::keygen::{
    Deal, KeySlot, MAX_KEYS, VerifiedDeal, combine, combine_share,
};
use paralith_cosigner_core::sharing::Commitments;
use paralith_cosigner_core::{
    CosignerError, Curve, Ed25519, Federation, Member, Point, Scalar, Secp256k1, Secret,
};
use paralith_types::{ChainContext, RuntimeId};
use proptest::prelude::*;

use crate::lab::{CHAIN, Lab, RUNTIME, Verifies, deal, federations, refused, secret, slot};

fn member(number: u64) -> Member {
    Member::new(number).unwrap()
}

fn verified<C: Curve>(federation: Federation, dealers: &[u64]) -> Vec<VerifiedDeal<C>> {
    let verify = |dealer: &u64| {
        let (deal, _) = deal::<C>(federation, 1, member(*dealer));
        deal.verify(federation, &slot(), member(*dealer)).unwrap()
    };
    dealers.iter().map(verify).collect()
}

fn shares_fit<C: Verifies>(federation: Federation, dealers: u32, seed: u64) {
    let lab = Lab::<C>::new(federation, dealers, seed);
    for share in &lab.shares {
        assert!(lab.key.has(share));
    }
    assert!(
        !lab.key
            .has(&paralith_cosigner_core::Share::new(member(1), lab.shares[1].secret().clone()))
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn members_hold_the_shares_that_the_commitments_show(
        federation in federations(), dealers: u32, seed: u64,
    ) {
        shares_fit::<Secp256k1>(federation, dealers, seed);
        shares_fit::<Ed25519>(federation, dealers, seed);
    }
}

/// The constant S' - A_1, of which the dealer has no secret: with it S would be S', of which it has.
fn a_rogue_constant_is_refused<C: Curve>() {
    let federation = Federation::new(3, 2).unwrap();
    let (honest, _) = deal::<C>(federation, 1, member(1));
    let wanted: Secret<C> = secret(9, "wanted", 0);
    let minus = C::element_from_bytes(honest.commitments.constant().to_bytes().as_ref()).unwrap();
    let minus = C::element_to_bytes(&C::negate(&minus));
    let minus = Point::<C>::from_bytes(minus.as_ref()).unwrap();
    let rogue = wanted.public().add(&minus).unwrap();
    let other: Secret<C> = secret(9, "other", 0);
    let commitments = Commitments::new(federation, vec![rogue, other.public()]).unwrap();
    assert_eq!(honest.commitments.constant().add(&rogue).unwrap(), wanted.public());

    // With the secret of S', with a proof made for another deal, and with the honest dealer's proof.
    let refusal = CosignerError::Possession { dealer: member(2) };
    let (own, _) = deal::<C>(federation, 9, member(2));
    for (nonce, answer) in [(own.nonce, own.answer), (honest.nonce, honest.answer)] {
        let deal = Deal { commitments: commitments.clone(), nonce, answer };
        refused(deal.verify(federation, &slot(), member(2)), refusal.clone());
    }
    // The honest dealer's whole deal under another dealer's number.
    refused(honest.clone().verify(federation, &slot(), member(2)), refusal);
    honest.verify(federation, &slot(), member(1)).unwrap();
}

#[test]
fn a_rogue_constant_is_refused_on_both_curves() {
    a_rogue_constant_is_refused::<Secp256k1>();
    a_rogue_constant_is_refused::<Ed25519>();
}

#[test]
fn a_proof_of_possession_is_of_one_place() {
    let federation = Federation::new(3, 2).unwrap();
    let (deal, _) = deal::<Secp256k1>(federation, 1, member(1));
    let refusal = CosignerError::Possession { dealer: member(1) };
    for other in [
        KeySlot::new(ChainContext([9; 32]), RUNTIME, 5, 0),
        KeySlot::new(CHAIN, RuntimeId([9; 32]), 5, 0),
        KeySlot::new(CHAIN, RUNTIME, 6, 0),
        KeySlot::new(CHAIN, RUNTIME, 5, 1),
    ] {
        refused(deal.clone().verify(federation, &other.unwrap(), member(1)), refusal.clone());
    }
    refused(
        KeySlot::new(CHAIN, RUNTIME, 5, MAX_KEYS),
        CosignerError::NoSuchKey { limit: 16, key: 16 },
    );
    refused(
        deal.clone().verify(federation, &slot(), member(4)),
        CosignerError::NoSuchMember { number: 4 },
    );
    // T commitments are of another federation than this one's.
    let larger = Federation::new(4, 3).unwrap();
    let count = CosignerError::Count { what: "commitments", expected: 3, got: 2 };
    refused(deal.verify(larger, &slot(), member(1)), count);
}

fn every_part_of_a_deal_is_bound<C: Curve>() {
    let federation = Federation::new(4, 3).unwrap();
    let (honest, _) = deal::<C>(federation, 1, member(1));
    let other: Secret<C> = secret(2, "other", 0);
    let with = |position: usize| {
        let mut points: Vec<Point<C>> = honest.commitments.points().copied().collect();
        points[position] = other.public();
        let commitments = Commitments::new(federation, points).unwrap();
        Deal { commitments, ..honest.clone() }
    };
    let answer = Scalar::from_bytes(&other.to_bytes()).unwrap();
    for spoiled in [
        with(0),
        with(1),
        with(2),
        Deal { nonce: other.public(), ..honest.clone() },
        Deal { answer, ..honest.clone() },
    ] {
        let refusal = CosignerError::Possession { dealer: member(1) };
        refused(spoiled.verify(federation, &slot(), member(1)), refusal);
    }
}

#[test]
fn every_part_of_a_deal_is_bound_on_both_curves() {
    every_part_of_a_deal_is_bound::<Secp256k1>();
    every_part_of_a_deal_is_bound::<Ed25519>();
}

fn a_wrong_share_is_refused<C: Curve>() {
    let federation = Federation::new(3, 2).unwrap();
    let deals = verified::<C>(federation, &[1, 2, 3]);
    let share = |dealer, of| deal::<C>(federation, 1, member(dealer)).1.share(member(of)).unwrap();
    let right = [share(1, 2), share(2, 2), share(3, 2)];
    let whole = combine_share(member(2), &deals, &right).unwrap();
    assert!(combine(&deals).unwrap().has(&whole));

    // Another member's share, another dealer's, one of no polynomial.
    for wrong in [share(2, 1), share(1, 2), secret(7, "wrong", 0)] {
        refused(deals[1].check(member(2), &wrong), CosignerError::ShareDiffers);
        let delivered = [right[0].clone(), wrong, right[2].clone()];
        refused(combine_share(member(2), &deals, &delivered), CosignerError::ShareDiffers);
    }
    let count = CosignerError::Count { what: "delivered shares", expected: 3, got: 2 };
    refused(combine_share(member(2), &deals, &right[..2]), count);
    refused(combine_share(member(4), &deals, &right), CosignerError::NoSuchMember { number: 4 });
}

#[test]
fn a_wrong_share_is_refused_on_both_curves() {
    a_wrong_share_is_refused::<Secp256k1>();
    a_wrong_share_is_refused::<Ed25519>();
}

#[test]
fn deals_are_of_t_dealers_and_one_key() {
    let federation = Federation::new(5, 3).unwrap();
    let refusal = CosignerError::Dealers { threshold: 3 };
    combine(&verified::<Secp256k1>(federation, &[1, 4, 5])).unwrap();
    for dealers in [&[1, 4][..], &[1, 4, 4], &[4, 1, 5]] {
        refused(combine(&verified::<Secp256k1>(federation, dealers)), refusal.clone());
    }
    refused(combine::<Secp256k1>(&[]), CosignerError::Dealers { threshold: 0 });

    let elsewhere = KeySlot::new(CHAIN, RUNTIME, 5, 1).unwrap();
    let (_, polynomial) = deal::<Secp256k1>(federation, 1, member(5));
    let other = Deal::make(&elsewhere, member(5), &polynomial, secret(1, "n", 0)).unwrap();
    let mut mixed = verified::<Secp256k1>(federation, &[1, 4]);
    mixed.push(other.verify(federation, &elsewhere, member(5)).unwrap());
    refused(combine(&mixed), refusal);
}

#[test]
fn sets_of_dealers_make_different_keys() {
    let federation = Federation::new(4, 2).unwrap();
    let key =
        |dealers: &[u64]| *combine(&verified::<Ed25519>(federation, dealers)).unwrap().server_key();
    assert!(key(&[1, 2]) != key(&[1, 3]) && key(&[1, 2]) != key(&[1, 2, 3]));
}
