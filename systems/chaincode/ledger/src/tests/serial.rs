//! Whatever calls are executed on whatever earlier states and committed in whatever order: what is
//! committed has the effect of executing the same calls one after another, on the present state.

use std::collections::BTreeMap;

use paralith_chaincode_messages::{Read, Response, Version, Write};
use proptest::prelude::*;

use super::lab::{Lab, index};

/// A call on three entries: it reads some, and writes to each of some what depends on all that it has
/// read, or removes it, or writes what is there.
#[derive(Debug, Clone)]
struct Call {
    reads: Vec<u8>,
    writes: Vec<(u8, Effect)>,
}

#[derive(Debug, Clone, Copy)]
enum Effect {
    Sum(u8),
    Remove,
    Keep,
}

type Values = BTreeMap<u8, u8>;
type Versions = BTreeMap<u8, (Version, u8)>;

impl Call {
    /// What it writes on a state. A value that is kept must be read.
    fn execute(&self, read: impl Fn(u8) -> Option<u8>) -> BTreeMap<u8, Option<u8>> {
        let sum = self.reads.iter().fold(0_u8, |sum, entry| {
            sum.wrapping_mul(31).wrapping_add(read(*entry).map_or(7, |value| value.wrapping_add(1)))
        });
        let effect = |(entry, effect): &(u8, Effect)| {
            let value = match effect {
                Effect::Sum(salt) => Some(sum.wrapping_add(*salt)),
                Effect::Remove => None,
                Effect::Keep => read(*entry),
            };
            (*entry, value)
        };
        self.writes.iter().map(effect).collect()
    }

    fn all_reads(&self) -> Vec<u8> {
        let kept = self.writes.iter().filter(|(_, effect)| matches!(effect, Effect::Keep));
        let mut reads: Vec<u8> =
            self.reads.iter().copied().chain(kept.map(|(entry, _)| *entry)).collect();
        reads.sort_unstable();
        reads.dedup();
        reads
    }
}

fn call() -> impl Strategy<Value = Call> {
    let effect =
        prop_oneof![any::<u8>().prop_map(Effect::Sum), Just(Effect::Remove), Just(Effect::Keep)];
    let reads = proptest::collection::vec(0_u8..3, 0..3);
    let writes = proptest::collection::vec((0_u8..3, effect), 0..3);
    (reads, writes).prop_map(|(reads, writes)| Call { reads, writes })
}

/// What happens next: a call is executed on a state of so many commits ago; one that was endorsed is
/// submitted, perhaps again; a round ends.
#[derive(Debug, Clone)]
enum Step {
    Endorse(Call, usize),
    Submit(usize),
    NextRound,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (call(), 0_usize..4).prop_map(|(call, ago)| Step::Endorse(call, ago)),
        5 => (0_usize..12).prop_map(Step::Submit),
        1 => Just(Step::NextRound),
    ]
}

fn versions(lab: &Lab) -> Versions {
    (0..3)
        .filter_map(|entry| Some((entry, (lab.version(entry)?, lab.value(entry)?.pop()?))))
        .collect()
}

fn respond(lab: &mut Lab, call: &Call, state: &Versions) -> Response {
    let mut response = lab.response();
    let reads = call.all_reads().into_iter().map(|entry| Read {
        index: index(entry),
        version: state.get(&entry).map(|(version, _)| *version),
    });
    response.reads = reads.collect();
    let writes = call.execute(|entry| state.get(&entry).map(|(_, value)| *value));
    response.writes = writes
        .into_iter()
        .map(|(entry, value)| Write { index: index(entry), value: value.map(|value| vec![value]) })
        .collect();
    response
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn commits_are_serialisable_and_each_call_counts_once(
        steps in proptest::collection::vec(step(), 1..40),
    ) {
        let mut lab = Lab::new();
        lab.change_terms(|terms| terms.endorsement = paralith_policy::Policy::threshold(1, 3));
        let mut past = vec![Versions::new()];
        let mut endorsed: Vec<(Call, Response, bool)> = Vec::new();
        let mut model = Values::new();
        for step in steps {
            match step {
                Step::NextRound => lab.chain.next_round(),
                Step::Endorse(call, ago) => {
                    let state = past[past.len().saturating_sub(1 + ago)].clone();
                    let response = respond(&mut lab, &call, &state);
                    endorsed.push((call, response, false));
                }
                Step::Submit(number) => {
                    let count = endorsed.len();
                    let Some((call, response, committed)) = endorsed.get_mut(number % count.max(1))
                    else { continue };
                    match lab.commit_by(response, &["rak of org-0"]) {
                        Ok(()) => {
                            prop_assert!(!*committed, "committed twice");
                            *committed = true;
                            let writes = call.execute(|entry| model.get(&entry).copied());
                            for (entry, value) in writes {
                                match value {
                                    Some(value) => model.insert(entry, value),
                                    None => model.remove(&entry),
                                };
                            }
                            past.push(versions(&lab));
                        }
                        Err(error) => {
                            let expected: &[u32] =
                                if *committed { &[9, 6, 8] } else { &[15, 6, 8] };
                            prop_assert!(expected.contains(&error.code), "{error}");
                        }
                    }
                }
            }
            let state = versions(&lab).into_iter().map(|(entry, (_, value))| (entry, value));
            prop_assert_eq!(state.collect::<Values>(), model.clone());
        }
    }
}
