use paralith_sdk::testing::{Chain, HOST_MODULE, NOT_ASKED, address};
use paralith_sdk::{JsonValue, Result, json};

use super::*;

const HANDLE: [u8; 8] = [0; 8];

fn started(closes_round: Option<u64>) -> Chain {
    let mut chain = Chain::confidential::<Ballots>();
    let args = json!({"question": "Tea?", "options": ["yes", "no", "maybe"], "closes_round": closes_round});
    assert_eq!(chain.sender("alice").call("create", &args), Ok(br#"{"ballot":0}"#.to_vec()));
    chain
}

fn cast(chain: &mut Chain, who: &str, option: u64) -> Result<Vec<u8>> {
    chain.sender(who).call("vote", &json!({"ballot": 0, "option": option}))
}

fn shut(chain: &mut Chain, who: &str) -> Result<Vec<u8>> {
    chain.sender(who).call("close", &json!({"ballot": 0}))
}

fn code(result: Result<Vec<u8>>) -> (String, u32) {
    let error = result.unwrap_err();
    (error.module, error.code)
}

fn ours(code: u32) -> (String, u32) {
    ("ballot".to_string(), code)
}

fn parsed(result: Result<Vec<u8>>) -> JsonValue {
    String::from_utf8(result.unwrap()).unwrap().parse().unwrap()
}

#[test]
fn the_tally_is_revealed_once_the_closing_round_is_final() {
    let mut chain = started(None);
    for (who, option) in [("alice", 0), ("bob", 2), ("carol", 0)] {
        assert_eq!(cast(&mut chain, who, option), Ok(b"{}".to_vec()));
        chain.next_round();
    }
    assert_eq!(code(chain.reveal(&HANDLE)), (HOST_MODULE.to_string(), NOT_ASKED));
    let closed = shut(&mut chain, "alice");
    assert_eq!(closed, Ok(br#"{"handle":"0000000000000000"}"#.to_vec()), "without the tally");
    assert_eq!(code(chain.reveal(&HANDLE)), (HOST_MODULE.to_string(), NOT_ASKED));
    chain.next_round();
    let tally = json!([
        {"option": "yes", "votes": 2}, {"option": "no", "votes": 0}, {"option": "maybe", "votes": 1},
    ]);
    assert_eq!(parsed(chain.reveal(&HANDLE)), tally);
    assert_eq!(parsed(chain.query("status", &json!({"ballot": 0})))["tally"], tally);
}

#[test]
fn an_open_ballot_looks_the_same_whoever_voted_for_what() {
    let status = |votes: &[(&str, u64)]| {
        let mut chain = started(None);
        for (who, option) in votes {
            cast(&mut chain, who, *option).unwrap();
        }
        parsed(chain.query("status", &json!({"ballot": 0})))
    };
    let untouched = status(&[]);
    assert_eq!(untouched["tally"], JsonValue::Null);
    assert_eq!(untouched["creator"], json!(address("alice")));
    assert_eq!(status(&[("bob", 1), ("carol", 0)]), untouched);
}

#[test]
fn a_vote_writes_the_same_keys_and_lengths_whatever_it_says() {
    let written = |option: u64| {
        let mut chain = started(None);
        cast(&mut chain, "bob", option).unwrap();
        let voted = key(b"voted", 0, address("bob").as_bytes());
        let counts = chain.stored(&key(b"counts", 0, &[])).unwrap();
        (chain.stored(&voted), counts.len())
    };
    assert_eq!(written(0), (Some(vec![1]), 256));
    assert_eq!(written(0), written(2));
}

#[test]
fn an_address_votes_once() {
    let mut chain = started(None);
    cast(&mut chain, "bob", 1).unwrap();
    for option in [0, 1] {
        assert_eq!(code(cast(&mut chain, "bob", option)), ours(VOTED));
    }
    shut(&mut chain, "alice").unwrap();
    chain.next_round();
    let votes: Vec<u64> = parsed(chain.reveal(&HANDLE))
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["votes"].as_u64().unwrap())
        .collect();
    assert_eq!(votes, [0, 1, 0]);
}

#[test]
fn a_closed_ballot_takes_no_votes_and_closes_once() {
    let mut chain = started(None);
    assert_eq!(code(shut(&mut chain, "bob")), ours(NOT_CREATOR));
    shut(&mut chain, "alice").unwrap();
    assert_eq!(code(cast(&mut chain, "bob", 1)), ours(OVER));
    assert_eq!(code(shut(&mut chain, "alice")), ours(CLOSED));
}

#[test]
fn after_its_last_round_anybody_closes_it() {
    let mut chain = started(Some(2));
    chain.next_round();
    cast(&mut chain, "bob", 1).unwrap();
    assert_eq!(code(shut(&mut chain, "bob")), ours(NOT_CREATOR));
    chain.next_round();
    assert_eq!(code(cast(&mut chain, "carol", 1)), ours(OVER));
    shut(&mut chain, "bob").unwrap();
    chain.next_round();
    assert_eq!(parsed(chain.reveal(&HANDLE))[1]["votes"], json!(1));
}

#[test]
fn a_failed_close_asks_for_no_reveal() {
    let mut chain = started(None);
    cast(&mut chain, "bob", 1).unwrap();
    assert!(shut(&mut chain, "bob").is_err());
    chain.next_round();
    assert_eq!(code(chain.reveal(&HANDLE)), (HOST_MODULE.to_string(), NOT_ASKED));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let mut chain = started(None);
    let refused = [
        ("create", json!({"question": "", "options": ["a", "b"]}), ours(BAD_QUESTION)),
        (
            "create",
            json!({"question": "q".repeat(1025), "options": ["a", "b"]}),
            ours(BAD_QUESTION),
        ),
        ("create", json!({"question": "q", "options": ["a"]}), ours(BAD_OPTIONS)),
        ("create", json!({"question": "q", "options": vec!["a"; 33]}), ours(BAD_OPTIONS)),
        ("create", json!({"question": "q", "options": ["a", ""]}), ours(BAD_OPTIONS)),
        ("create", json!({"question": "q", "options": ["a", "b"], "closes_round": 0}), ours(OVER)),
        ("vote", json!({"ballot": 1, "option": 0}), ours(NO_SUCH_BALLOT)),
        ("vote", json!({"ballot": 0, "option": 3}), ours(NO_SUCH_OPTION)),
        ("vote", json!({"ballot": 0, "option": -1}), ("sdk".to_string(), 4)),
        ("close", json!({"ballot": 7}), ours(NO_SUCH_BALLOT)),
        ("open", json!({}), ("sdk".to_string(), 3)),
    ];
    for (method, args, expected) in refused {
        assert_eq!(code(chain.sender("alice").call(method, &args)), expected, "{method} {args}");
    }
    assert_eq!(chain.query("ballots", &json!({})), Ok(br#"{"ballots":1}"#.to_vec()));
}

#[test]
fn a_vote_in_the_clear_is_refused() {
    let mut chain = started(None);
    let vote = json!({"ballot": 0, "option": 1});
    assert_eq!(code(chain.sender("bob").plain().call("vote", &vote)), ours(PLAIN));
    assert!(chain.sender("bob").call("vote", &vote).is_ok());
}
