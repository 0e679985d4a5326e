//! Policies: encoding, validity, and whom they allow to decide.

use paralith_policy::{MAX_DEPTH, MAX_ENCODED_BYTES, MAX_NODES, Members, Policy, PolicyError, pb};
use paralith_types::Error;
use proptest::prelude::*;

use crate::{at_least, policies, valid_policies};

fn nested(depth: usize) -> Policy {
    (1..depth).fold(Policy::Member(0), |inner, _| at_least(1, &[(1, inner)]))
}

/// The answer by definition: the weight of the children that are satisfied.
fn oracle(policy: &Policy, set: u64) -> bool {
    match policy {
        Policy::Member(member) => set >> member & 1 == 1,
        Policy::AtLeast { weight, of } => {
            let mut sum = 0;
            for (weight, child) in of {
                sum += if oracle(child, set) { u64::from(*weight) } else { 0 };
            }
            sum >= *weight
        }
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let [a, b, c] = [0, 1, 2].map(Policy::Member);
    let ok = |policy: &Policy| policy.check(3);
    assert_eq!(ok(&c), Ok(()));
    assert_eq!(ok(&at_least(2, &[(1, a.clone()), (1, b.clone())])), Ok(()));
    let unknown = Err(PolicyError::NoSuchMember { member: 3, members: 3 });
    assert_eq!(ok(&Policy::Member(3)), unknown);
    assert_eq!(ok(&at_least(1, &[(1, a.clone()), (1, Policy::Member(3))])), unknown);
    assert_eq!(a.check(0), Err(PolicyError::NoSuchMember { member: 0, members: 0 }));
    let huge = Policy::Member(u32::MAX).check(usize::MAX);
    assert!(matches!(huge, Err(PolicyError::NoSuchMember { .. })), "no set has such a member");
    assert_eq!(ok(&at_least(0, &[(1, a.clone())])), Err(PolicyError::ZeroThreshold));
    assert_eq!(ok(&at_least(0, &[])), Err(PolicyError::ZeroThreshold));
    let zero = at_least(1, &[(1, a.clone()), (0, b.clone())]);
    assert_eq!(ok(&zero), Err(PolicyError::ZeroWeight));
    let twice = at_least(2, &[(1, a.clone()), (1, a.clone())]);
    assert_eq!(ok(&twice), Err(PolicyError::Repeated { member: 0 }));
    let empty = at_least(1, &[]);
    assert_eq!(ok(&empty), Err(PolicyError::Unsatisfiable { weight: 1, sum: 0 }));
    // Also where another child would do.
    let beyond = at_least(1, &[(1, a.clone()), (1, at_least(3, &[(1, b.clone()), (1, c)]))]);
    assert_eq!(ok(&beyond), Err(PolicyError::Unsatisfiable { weight: 3, sum: 2 }));
    // Under different thresholds a member may stand twice.
    assert_eq!(ok(&at_least(2, &[(1, a.clone()), (1, at_least(1, &[(1, a), (1, b)]))])), Ok(()));
}

#[test]
fn the_largest_weights_do_not_overflow() {
    let of: Vec<_> = (0..400).map(|member| (u32::MAX, Policy::Member(member))).collect();
    let sum = 400 * u64::from(u32::MAX);
    assert_eq!(at_least(sum, &of).check(400), Ok(()));
    assert!(at_least(sum, &of).satisfied(&Members::first(400)));
    assert!(!at_least(sum, &of).satisfied(&Members::first(399)));
    let more = at_least(u64::MAX, &of).check(400);
    assert_eq!(more, Err(PolicyError::Unsatisfiable { weight: u64::MAX, sum }));
}

#[test]
fn nesting_and_nodes_are_bounded() {
    assert_eq!(nested(MAX_DEPTH).check(1), Ok(()));
    assert_eq!(Policy::decode(&nested(MAX_DEPTH).encode()), Ok(nested(MAX_DEPTH)));
    let deeper = nested(MAX_DEPTH + 1);
    assert_eq!(deeper.check(1), Err(PolicyError::TooDeep { limit: 4 }));
    assert_eq!(Policy::decode(&deeper.encode()), Err(PolicyError::TooDeep { limit: 4 }));
    let most = Policy::threshold(1, MAX_NODES as u32 - 1);
    assert_eq!(most.check(MAX_NODES), Ok(()));
    assert_eq!(Policy::decode(&most.encode()), Ok(most));
    let more = Policy::threshold(1, MAX_NODES as u32);
    assert_eq!(more.check(MAX_NODES), Err(PolicyError::TooManyNodes { limit: 512 }));
    assert_eq!(Policy::decode(&more.encode()), Err(PolicyError::TooManyNodes { limit: 512 }));
}

#[test]
fn the_longest_encoding_is_read_and_nothing_longer() {
    let leaf = (u32::MAX, Policy::Member(u32::MAX));
    let pairs: Vec<_> =
        (0..255).map(|_| (u32::MAX, at_least(u64::MAX, std::slice::from_ref(&leaf)))).collect();
    let largest = at_least(u64::MAX, &pairs);
    assert!(largest.encode().len() <= MAX_ENCODED_BYTES);
    assert_eq!(Policy::decode(&largest.encode()), Ok(largest));
    // Empty children, which would be a hundred times as large once they are read.
    let bomb = vec![0; MAX_ENCODED_BYTES + 1];
    let refused = Policy::decode(&bomb);
    assert_eq!(refused, Err(PolicyError::TooLarge { limit: 16_384, got: 16_385 }));
}

#[test]
fn only_the_canonical_encoding_is_read() {
    let read = |text: &str| Policy::decode(&hex::decode(text).unwrap());
    assert_eq!(read("0801"), Ok(Policy::Member(1)));
    assert_eq!(read("120a08011206080112020800"), Ok(Policy::threshold(1, 1)));
    for (text, why) in [
        ("", "nothing"),
        ("088100", "a number that is written too long"),
        ("08010801", "a field twice"),
        ("08011801", "an unknown field"),
        ("08011200", "both kinds"),
        ("12020800", "a zero that is written"),
        ("120a0801", "cut off"),
        ("120a12060801120208000801", "fields in another order"),
        ("120412020801", "a child without a policy"),
        ("1206120408011200", "a child that is neither a member nor a threshold"),
    ] {
        assert!(read(text).is_err(), "{why}: {text}");
    }
    let kindless = pb::Policy { kind: None };
    assert!(matches!(Policy::from_pb(&kindless), Err(PolicyError::Malformed { .. })));
    assert_eq!(read("088100"), Err(PolicyError::NotCanonical));
    let error = Error::from(PolicyError::NotCanonical);
    assert!(error.is("policy", 3) && !error.retry.is_retryable());
}

#[test]
fn two_of_two_and_one_of_two() {
    let all = Policy::all(vec![Policy::Member(0), Policy::Member(1)]);
    let any = Policy::threshold(1, 2);
    assert_eq!(all, Policy::threshold(2, 2));
    assert!(all.satisfied(&Members::first(2)) && !all.satisfied(&Members::first(1)));
    assert!(any.satisfied(&Members::first(1)) && !any.satisfied(&Members::new()));
    // One of two is against: all is out of reach, any is not.
    let left = Members::from_iter([1]);
    assert!(!all.still_possible(&left) && any.still_possible(&left));
    assert_eq!(any.members(), Members::first(2));
}

proptest! {
    #[test]
    fn the_answer_is_the_one_by_definition(policy in policies()) {
        for set in 0..64 {
            prop_assert_eq!(policy.satisfied(&Members::from_bits(set)), oracle(&policy, set));
        }
    }

    #[test]
    fn more_members_never_turn_a_yes_into_a_no(policy in policies(), set in 0_u64..64) {
        let yes = Members::from_bits(set);
        for more in 0..64 {
            let larger = Members::from_bits(set | more);
            prop_assert!(!policy.satisfied(&yes) || policy.satisfied(&larger));
            prop_assert!(!policy.satisfied(&yes) || policy.still_possible(&larger));
        }
    }

    #[test]
    fn a_valid_policy_needs_somebody_and_is_satisfied_by_all(policy in valid_policies()) {
        prop_assert!(!policy.satisfied(&Members::new()));
        prop_assert!(policy.satisfied(&policy.members()));
        prop_assert!(policy.still_possible(&Members::first(6)));
    }

    #[test]
    fn what_is_encoded_is_decoded(policy in policies()) {
        prop_assert_eq!(Policy::from_pb(&policy.to_pb()), Ok(policy.clone()));
        prop_assert_eq!(Policy::decode(&policy.encode()), Ok(policy));
    }

    #[test]
    fn bytes_are_one_policy_or_none(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        if let Ok(policy) = Policy::decode(&bytes) {
            prop_assert_eq!(policy.encode(), bytes);
        }
    }

    #[test]
    fn no_changed_bit_is_read_as_the_same_policy(policy in policies(), pick: prop::sample::Index) {
        let mut bytes = policy.encode();
        let bit = pick.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(other) = Policy::decode(&bytes) {
            prop_assert_ne!(&other, &policy);
            prop_assert_eq!(other.encode(), bytes);
        }
    }
}
