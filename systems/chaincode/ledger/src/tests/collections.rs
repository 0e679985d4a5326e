//! t07: which collections of the SDK make calls meet. What calls write is taken from runs of the SDK; what
//! they read are the entries that its documentation names.

use std::collections::BTreeMap;

use paralith_chaincode_messages::Response;
use paralith_sdk::testing::Chain;
use paralith_sdk::{Call, Context, Map, Result, Runtime, Table, Value, unknown_method};

use super::lab::{Lab, code};

const MAP: Map<u64, u64> = Map::new("map");
const TABLE: Table<u64, u64> = Table::new("table");

/// The runtime.
struct Collections;

impl Runtime for Collections {
    const NAME: &'static str = "collections";

    fn execute(ctx: &mut Context, call: &Call) -> Result<Vec<u8>> {
        let key = u64::from_bytes(&call.args).unwrap_or_default();
        match call.method.as_str() {
            "map" => MAP.insert(ctx, &key, &1).map(|()| Vec::new()),
            "table" => {
                TABLE.insert(ctx, &key, &1);
                Ok(Vec::new())
            }
            "walk" => Ok((MAP.iter(ctx).count() as u64).to_bytes()),
            _ => unknown_method(call),
        }
    }
}

/// A chain on which the calls run one after another, and the numbers that stand for entries in the ledger.
struct Runs {
    chain: Chain,
    places: BTreeMap<Vec<u8>, u8>,
}

impl Runs {
    fn new() -> Self {
        Self { chain: Chain::new::<Collections>(), places: BTreeMap::new() }
    }

    fn run(&mut self, method: &str, key: u64) -> Vec<u8> {
        let output = self.chain.sender("alice").call_raw(method, &key.to_bytes()).unwrap();
        self.chain.next_round();
        output
    }

    fn entries(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let mut entries = self.chain.entries();
        entries.retain(|key, _| !key.starts_with(b"\0\0nonce/"));
        entries
    }

    /// The entries that an insert writes.
    fn inserted(&mut self, method: &str, key: u64) -> Vec<u8> {
        let before = self.entries();
        self.run(method, key);
        let after = self.entries();
        let written = after.into_iter().filter(|(key, value)| before.get(key) != Some(value));
        let written: Vec<Vec<u8>> = written.map(|(key, _)| key).collect();
        self.numbers(written)
    }

    /// Their numbers in order.
    fn numbers(&mut self, keys: Vec<Vec<u8>>) -> Vec<u8> {
        let number = |key| {
            let next = u8::try_from(self.places.len()).unwrap();
            *self.places.entry(key).or_insert(next)
        };
        let mut numbers: Vec<u8> = keys.into_iter().map(number).collect();
        numbers.sort_unstable();
        numbers
    }
}

fn call(lab: &mut Lab, reads: &[u8], writes: &[u8]) -> Response {
    let writes: Vec<_> = writes.iter().map(|number| (*number, Some(&b"x"[..]))).collect();
    lab.call(reads, &writes)
}

/// What walking a map of so many entries with the keys 0, 1, … reads, and that it ends there.
fn walked(entries: u64) -> Vec<Vec<u8>> {
    let positions = (0..=entries).map(|position| MAP.position_key(position));
    positions.chain((0..entries).map(|key| MAP.state_key(&key))).collect()
}

#[test]
fn an_insert_into_a_map_conflicts_with_a_walk_over_it() {
    let (mut runs, mut lab) = (Runs::new(), Lab::new());
    let first = runs.inserted("map", 0);
    let first = call(&mut lab, &[], &first);
    lab.commit(&first).unwrap();
    assert_eq!(runs.run("walk", 0), 1_u64.to_bytes());
    let walk = runs.numbers(walked(1));
    let (meets, before) = (call(&mut lab, &walk, &[200]), call(&mut lab, &walk, &[201]));
    lab.commit(&before).unwrap();
    let read = runs.numbers(vec![MAP.state_key(&1), MAP.len_key()]);
    let written = runs.inserted("map", 1);
    let insert = call(&mut lab, &read, &written);
    // Two inserts meet, too: each writes the length.
    let read = runs.numbers(vec![MAP.state_key(&2), MAP.len_key()]);
    let other = call(&mut lab, &read, &written);
    lab.commit(&insert).unwrap();
    assert_eq!(code(lab.commit(&meets)), 15, "the walk missed an entry");
    assert_eq!(code(lab.commit(&other)), 15);
    assert_eq!(runs.run("walk", 0), 2_u64.to_bytes());
    // A walk over the map as it is now meets nobody.
    let walk = runs.numbers(walked(2));
    let again = call(&mut lab, &walk, &[200]);
    lab.commit(&again).unwrap();
}

#[test]
fn a_hundred_inserts_into_a_table_on_one_state_do_not_conflict() {
    let (mut runs, mut lab) = (Runs::new(), Lab::new());
    let calls: Vec<Response> = (0..100)
        .map(|key| {
            let written = runs.inserted("table", key);
            assert_eq!(written.len(), 1, "a table has no length");
            call(&mut lab, &written, &written)
        })
        .collect();
    for insert in &calls {
        lab.commit(insert).unwrap();
    }
    assert_eq!(runs.places.len(), 100);
}

#[test]
fn of_two_calls_that_each_read_what_the_other_writes_one_conflicts() {
    let mut lab = Lab::new();
    let both = call(&mut lab, &[], &[1, 2]);
    lab.commit(&both).unwrap();
    for swapped in [false, true] {
        let mut two = [call(&mut lab, &[1], &[2]), call(&mut lab, &[2], &[1])];
        if swapped {
            two.reverse();
        }
        lab.commit(&two[0]).unwrap();
        assert_eq!(code(lab.commit(&two[1])), 15);
    }
}
