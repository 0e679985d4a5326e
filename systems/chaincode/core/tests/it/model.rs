//! The rule of versions, as a model without ledger: what it commits is serialisable.

use std::collections::BTreeMap;

use paralith_chaincode_core::messages::order::{Refusal, conflict};
use paralith_chaincode_core::messages::state::Position;
use paralith_chaincode_core::messages::{Message, Read, Response, Version, Write};
use paralith_types::Hash;
use proptest::prelude::*;

type State = BTreeMap<u8, (Version, u8)>;

fn index(entry: u8) -> Hash {
    Hash([entry; 32])
}

fn empty() -> Response {
    let bytes = crate::client::respond(
        &crate::lab::proposed(&crate::lab::client(), crate::lab::target(), crate::lab::call("x")),
        paralith_chaincode_core::respond::Accesses::default(),
    );
    Response::decode(&bytes.0).unwrap()
}

/// Reads two entries; writes the first one's successor into the second, or removes the first, or writes
/// both unchanged.
fn execute(kind: u8, a: u8, b: u8, get: impl Fn(u8) -> Option<u8>) -> BTreeMap<u8, Option<u8>> {
    match kind % 3 {
        0 => BTreeMap::from([(b, Some(get(a).map_or(1, |value| value.wrapping_add(1))))]),
        1 => BTreeMap::from([(a, None), (b, get(a))]),
        _ => BTreeMap::from([(a, get(a)), (b, get(b))]),
    }
}

proptest! {
    #[test]
    fn what_is_committed_equals_a_serial_order(
        steps in proptest::collection::vec((0_u8..3, 0_u8..3, 0_u8..3, 0_usize..5, any::<bool>()), 1..60),
    ) {
        let template = empty();
        let (mut state, mut serial) = (State::new(), BTreeMap::<u8, u8>::new());
        let mut past = vec![state.clone()];
        let (mut position, mut round) = (None, 1);
        for (kind, a, b, ago, next_round) in steps {
            round += u64::from(next_round);
            let snapshot = past[past.len().saturating_sub(1 + ago)].clone();
            let mut reads = vec![a, b];
            reads.sort_unstable();
            reads.dedup();
            let read = |entry: &u8| Read {
                index: index(*entry),
                version: snapshot.get(entry).map(|(version, _)| *version),
            };
            let writes = execute(kind, a, b, |entry| snapshot.get(&entry).map(|(_, v)| *v));
            let write = |(entry, value): (u8, Option<u8>)| Write {
                index: index(entry),
                value: value.map(|value| vec![value]),
            };
            let response = Response {
                reads: reads.iter().map(read).collect(),
                writes: writes.clone().into_iter().map(write).collect(),
                ..template.clone()
            };
            let present = |index: &Hash| Ok(state.get(&index.0[0]).map(|(version, _)| *version));
            let refused: Result<(), Refusal> = conflict(&response, present);
            if refused.is_ok() {
                let (version, kept) = Position::take(position, round).unwrap();
                position = Some(kept);
                for (entry, value) in writes {
                    match value {
                        Some(value) => state.insert(entry, (version, value)),
                        None => state.remove(&entry),
                    };
                }
                let now = serial.clone();
                for (entry, value) in execute(kind, a, b, |entry| now.get(&entry).copied()) {
                    match value {
                        Some(value) => serial.insert(entry, value),
                        None => serial.remove(&entry),
                    };
                }
                past.push(state.clone());
            } else {
                // Only a call on an older state is refused.
                prop_assert!(ago > 0);
            }
            let values: BTreeMap<u8, u8> = state.iter().map(|(e, (_, v))| (*e, *v)).collect();
            prop_assert_eq!(&values, &serial);
        }
    }
}
