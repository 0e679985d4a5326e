//! Limits, sets, and the key as it is stored.

use paralith_cosigner_core::{
    CosignerError, Ed25519, Federation, Member, Secp256k1, Set, SharedKey,
};
use proptest::prelude::*;

use crate::lab::{Lab, Verifies, federations, refused, set_of};

#[test]
fn a_federation_is_within_its_limits() {
    for members in 0..=40_u8 {
        for threshold in 0..=40_u8 {
            let within =
                (1..=members).contains(&threshold) && members <= 15 && members - threshold <= 5;
            let result = Federation::new(members, threshold);
            assert_eq!(result.is_ok(), within && threshold >= 2, "{threshold} of {members}");
            let result = Federation::for_development(members, threshold);
            assert_eq!(result.is_ok(), within, "{threshold} of {members}");
        }
    }
}

#[test]
fn a_quorum_leaves_too_few_for_a_signature() {
    for (members, threshold, quorum) in [(3, 2, 2), (5, 3, 3), (4, 3, 3), (6, 2, 5), (7, 2, 6)] {
        assert_eq!(Federation::new(members, threshold).unwrap().quorum(), quorum);
    }
}

#[test]
fn the_first_sets_go_round() {
    let federation = Federation::new(5, 3).unwrap();
    let set = |n| federation.first_set(n).unwrap().bitmap();
    assert_eq!([set(0), set(1), set(3), set(4)], [0b00111, 0b01110, 0b11001, 0b10011]);
    assert_eq!(set(5), set(0));
    assert_eq!(set(u64::MAX), set(u64::MAX % 5));
}

#[test]
fn a_set_is_t_members_each_once() {
    let federation = Federation::new(4, 3).unwrap();
    let member = |number| Member::new(number).unwrap();
    let refusal = CosignerError::Set { threshold: 3 };
    for members in [&[1, 2][..], &[1, 2, 2], &[1, 2, 2, 3], &[1, 2, 3, 4], &[1, 2, 5], &[]] {
        let members: Vec<Member> = members.iter().map(|number| member(*number)).collect();
        refused(Set::new(federation, &members), refusal.clone());
    }
    for bitmap in [0, 0b0011, 0b1111, 0b10011, 0x8000_0003, u32::MAX] {
        refused(Set::from_bitmap(federation, bitmap), refusal.clone());
    }
    for number in [0, 16, 257, u64::MAX] {
        refused(Member::new(number), CosignerError::NoSuchMember { number });
    }
    refused(federation.member(5), CosignerError::NoSuchMember { number: 5 });
    let set = Set::new(federation, &[member(4), member(1), member(2)]).unwrap();
    assert_eq!(set.members(), [member(1), member(2), member(4)]);
    assert!(set.has(member(4)) && !set.has(member(3)));
}

proptest! {
    #[test]
    fn a_set_is_its_bitmap(federation in federations(), choice: u64) {
        let set = set_of(federation, choice);
        prop_assert_eq!(Set::from_bitmap(federation, set.bitmap()).unwrap(), set);
    }
}

fn a_stored_key_is_of_one_polynomial<C: Verifies>() {
    for (members, threshold) in [(3, 2), (6, 3), (4, 4)] {
        let federation = Federation::new(members, threshold).unwrap();
        let lab = Lab::<C>::new(federation, 0, 1);
        let (server_key, shares) = (*lab.key.server_key(), lab.key.shares().to_vec());
        let stored = SharedKey::new(federation, server_key, shares.clone()).unwrap();
        assert_eq!(stored, lab.key);
        for position in 0..shares.len() {
            let mut other = shares.clone();
            other[position] = server_key;
            refused(SharedKey::new(federation, server_key, other), CosignerError::Inconsistent);
        }
        refused(SharedKey::new(federation, lab.joint, shares.clone()), CosignerError::Inconsistent);
        let count = CosignerError::Count {
            what: "public shares",
            expected: shares.len(),
            got: shares.len() - 1,
        };
        refused(SharedKey::new(federation, server_key, shares[1..].to_vec()), count);
    }
}

#[test]
fn a_stored_key_is_of_one_polynomial_on_both_curves() {
    a_stored_key_is_of_one_polynomial::<Secp256k1>();
    a_stored_key_is_of_one_polynomial::<Ed25519>();
}
