//! Tests of policies and certificates.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod certificate;
mod disjoint;
mod golden;
mod members;
mod proto;
mod text;
mod tree;

use paralith_policy::Policy;
use proptest::prelude::*;

/// Names of members that the tests use.
const NAMES: [&str; 6] = ["a", "b-2", "any", "of", "org/é", "all"];

fn at_least(weight: u64, of: &[(u32, Policy)]) -> Policy {
    Policy::AtLeast { weight, of: of.to_vec() }
}

/// Policies over six members that often, but not always, pass the check.
fn policies() -> impl Strategy<Value = Policy> {
    let member = (0_u32..6).prop_map(Policy::Member);
    member.prop_recursive(3, 40, 6, |child| {
        let children = prop::collection::vec((1_u32..4, child), 1..6);
        (children, any::<prop::sample::Index>()).prop_map(|(of, pick)| {
            let sum: u64 = of.iter().map(|(weight, _)| u64::from(*weight)).sum();
            Policy::AtLeast { weight: 1 + pick.index(sum as usize) as u64, of }
        })
    })
}

/// Policies over six members that pass the check.
fn valid_policies() -> impl Strategy<Value = Policy> {
    policies().prop_filter("valid", |policy| policy.check(6).is_ok())
}
