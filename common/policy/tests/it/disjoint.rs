//! Whether two disjoint sets can both decide.

use paralith_policy::{DISJOINT_STEPS, Disjoint, Members, Policy};
use proptest::prelude::*;

use crate::{at_least, valid_policies};

fn found(policy: &Policy) -> bool {
    match policy.find_disjoint(DISJOINT_STEPS) {
        Disjoint::Found(left, right) => {
            assert!(left.is_disjoint(&right));
            for set in [left, right] {
                assert!(policy.satisfied(&set));
                for member in set.iter() {
                    let mut less = set.clone();
                    less.remove(member);
                    assert!(!policy.satisfied(&less), "{member} can be left out");
                }
            }
            true
        }
        Disjoint::Impossible => false,
        Disjoint::Unknown => panic!("no answer for {policy:?}"),
    }
}

#[test]
fn a_majority_excludes_another_and_half_does_not() {
    assert!(found(&Policy::threshold(2, 4)));
    assert!(!found(&Policy::threshold(3, 4)));
    assert!(!found(&Policy::Member(0)));
    assert!(found(&Policy::threshold(1, 2)));
    // Also among hundreds, where not all sets can be tried.
    assert!(found(&Policy::threshold(200, 400)));
    assert!(!found(&Policy::threshold(201, 400)));
}

#[test]
fn one_member_in_two_branches_is_on_one_side() {
    let [a, b, c] = [0, 1, 2].map(Policy::Member);
    let with_a = |other: &Policy| at_least(2, &[(1, a.clone()), (1, other.clone())]);
    assert!(!found(&at_least(1, &[(1, with_a(&b)), (1, with_a(&c))])));
    assert!(found(&at_least(1, &[(1, a), (1, b)])));
}

#[test]
fn the_search_ends_when_its_steps_are_used_up() {
    // Weights 2, 4, 6, …: whether they split into two equal halves minus one cannot be seen early.
    let of: Vec<_> = (0..60).map(|member| (2 * member + 2, Policy::Member(member))).collect();
    let sum: u64 = of.iter().map(|(weight, _)| u64::from(*weight)).sum();
    let policy = at_least(sum / 2, &of);
    assert_eq!(policy.find_disjoint(0), Disjoint::Unknown);
    assert_eq!(policy.find_disjoint(5), Disjoint::Unknown);
}

proptest! {
    #[test]
    fn all_pairs_of_sets_give_the_same_answer(policy in valid_policies()) {
        let satisfying: Vec<u64> =
            (0..64).filter(|set| policy.satisfied(&Members::from_bits(*set))).collect();
        let possible = satisfying.iter().any(|left| satisfying.iter().any(|right| left & right == 0));
        prop_assert_eq!(found(&policy), possible);
    }
}
