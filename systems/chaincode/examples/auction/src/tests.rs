#![allow(clippy::arithmetic_side_effects, clippy::unwrap_used, reason = "a panic is a failed test")]

use std::collections::BTreeMap;

use paralith_sdk::testing::{Chain, address};
use paralith_sdk::{JsonValue, Result, Value, json};

use crate::{AUCTIONS, Auction, REPLY_BYTES, State};

const UNTIL: u64 = 20;

fn start() -> Chain {
    let mut chain = Chain::confidential::<Auction>();
    let opened = chain.sender("seller").call("open", &json!({ "name": "house", "until": UNTIL }));
    assert_eq!(value(opened), json!({ "opened": true }));
    chain
}

fn value(result: Result<Vec<u8>>) -> JsonValue {
    std::str::from_utf8(&result.unwrap()).unwrap().parse().unwrap()
}

fn bid(chain: &mut Chain, who: &str, amount: &str) -> JsonValue {
    let args = json!({ "name": "house", "amount": amount });
    value(chain.sender(who).call("bid", &args))
}

fn result(chain: &Chain) -> JsonValue {
    value(chain.query("result", &json!({ "name": "house" })))
}

#[test]
fn the_highest_bid_wins_and_is_told_after_the_close() {
    let mut chain = start();
    assert_eq!(bid(&mut chain, "alice", "5"), json!({ "accepted": true }));
    assert_eq!(bid(&mut chain, "bob", "9")["accepted"], true);
    assert_eq!(bid(&mut chain, "carol", "9")["accepted"], false);
    let close = |chain: &mut Chain| {
        value(chain.sender("anybody").call("close", &json!({ "name": "house" })))
    };
    assert_eq!(close(&mut chain), json!({ "closed": false }));
    assert_eq!(result(&chain), json!({ "closed": false }));
    chain.advance_to(UNTIL);
    assert_eq!(bid(&mut chain, "carol", "99")["reason"], "the auction is over");
    let told = json!({ "closed": true, "winner": address("bob"), "amount": "9" });
    assert_eq!(close(&mut chain), told);
    assert_eq!(result(&chain), told);
    let again = chain.sender("seller").call("open", &json!({ "name": "house", "until": 99 }));
    assert_eq!(value(again), json!({ "opened": false }));
    assert_eq!(result(&chain), told);
}

/// What a host sees of a call: the entries that it writes, with their lengths, how often it touches the
/// state, and its events. The length of its result is one for all.
fn shape(
    chain: &mut Chain,
    who: &str,
    name: &str,
    amount: &str,
) -> (Vec<(Vec<u8>, usize)>, u64, usize) {
    let operations = chain.state_operations();
    let events = chain.events().len();
    let args = json!({ "name": name, "amount": amount });
    let result = chain.sender(who).call("bid", &args).unwrap();
    assert_eq!(result.len(), REPLY_BYTES);
    let own = |entries: BTreeMap<Vec<u8>, Vec<u8>>| {
        let entries = entries.into_iter().filter(|(key, _)| !key.starts_with(b"\0\0nonce/"));
        entries.map(|(key, value)| (key, value.len())).collect::<Vec<_>>()
    };
    let after = own(chain.entries());
    (after, chain.state_operations() - operations, chain.events().len() - events)
}

#[test]
fn places_and_sizes_do_not_depend_on_the_outcome() {
    let wins = shape(&mut start(), "alice", "house", "5");
    let mut chain = start();
    bid(&mut chain, "bob", "340282366920938463463374607431768211455");
    let loses = shape(&mut chain, "alice", "house", "5");
    let mut chain = start();
    bid(&mut chain, "bob", "5");
    let equal = shape(&mut chain, "alice", "house", "5");
    let mut chain = start();
    bid(&mut chain, "alice", "4");
    let raises = shape(&mut chain, "alice", "house", "5");
    let zero = shape(&mut start(), "alice", "house", "0");
    let mut chain = start();
    chain.advance_to(UNTIL + 1);
    let late = shape(&mut chain, "alice", "house", "5");
    for (name, other) in [("loses", loses), ("equal", equal), ("raises", raises), ("zero", zero)] {
        assert_eq!(wins, other, "{name}");
    }
    // The host's own entry for timers aside: time passed.
    assert_eq!((wins.1, wins.2), (late.1, late.2));
    assert_eq!(wins.2, 0);
}

#[test]
fn every_result_has_one_length_also_that_of_the_longest_winner() {
    let most = "340282366920938463463374607431768211455";
    for amount in ["0", "1", most] {
        let mut chain = start();
        bid(&mut chain, "alice", amount);
        let close = json!({ "name": "house" });
        let early = chain.sender("bob").call("close", &close).unwrap();
        chain.advance_to(UNTIL);
        let closed = chain.sender("bob").call("close", &close).unwrap();
        assert_eq!((early.len(), closed.len()), (REPLY_BYTES, REPLY_BYTES), "{amount}");
    }
}

#[test]
fn a_bid_on_no_auction_writes_one_entry_of_the_same_size() {
    let mut chain = start();
    let lengths = |chain: &Chain| {
        let mut found = chain.entries();
        found.retain(|key, _| key.starts_with(b"\0\x08auctions"));
        found.values().map(Vec::len).collect::<Vec<_>>()
    };
    assert_eq!(lengths(&chain), [46]);
    let args = json!({ "name": "boat", "amount": "5" });
    assert_eq!(value(chain.sender("alice").call("bid", &args))["accepted"], false);
    assert_eq!(lengths(&chain), [46, 46]);
    // It is no auction: it can be opened.
    let opened = chain.sender("seller").call("open", &json!({ "name": "boat", "until": UNTIL }));
    assert_eq!(value(opened), json!({ "opened": true }));
}

#[test]
fn an_auction_is_frozen_in_the_state() {
    let bytes = State::NONE.to_bytes();
    assert_eq!((bytes.len(), State::from_bytes(&bytes)), (46, Some(State::NONE)));
    assert_eq!(State::from_bytes(&[&bytes[..], &[0]].concat()), None);
    assert_eq!(State::from_bytes(&[3; 46]), None);
    assert_eq!(AUCTIONS.state_key(&[1; 32]).len(), 2 + 8 + 2 + 1 + 32);
}
