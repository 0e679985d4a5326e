#![allow(clippy::arithmetic_side_effects, clippy::unwrap_used, reason = "a panic is a failed test")]

use paralith_sdk::testing::Chain;
use paralith_sdk::{JsonValue, Result, Value, json};

use crate::{Kept, REPLY_BYTES, SECRET_BYTES, SecretKeeper, TRIES};

fn value(result: Result<Vec<u8>>) -> JsonValue {
    std::str::from_utf8(&result.unwrap()).unwrap().parse().unwrap()
}

fn put(chain: &mut Chain, password: &str, secret: &str) -> JsonValue {
    let args = json!({ "name": "safe", "password": password, "secret": secret });
    sized(chain.sender("alice").call("put", &args))
}

/// Every result has one length.
fn sized(result: Result<Vec<u8>>) -> JsonValue {
    assert_eq!(result.as_ref().map(Vec::len), Ok(REPLY_BYTES));
    value(result)
}

fn reveal(chain: &mut Chain, password: &str) -> JsonValue {
    let args = json!({ "name": "safe", "password": password });
    sized(chain.sender("bob").call("reveal", &args))
}

#[test]
fn the_password_opens_and_replaces_the_secret() {
    let mut chain = Chain::confidential::<SecretKeeper>();
    assert_eq!(reveal(&mut chain, "open"), json!({}));
    assert_eq!(put(&mut chain, "open", "sesame"), json!({ "stored": true }));
    assert_eq!(reveal(&mut chain, "shut"), json!({}));
    assert_eq!(reveal(&mut chain, "open"), json!({ "secret": "sesame" }));
    assert_eq!(put(&mut chain, "shut", "mine"), json!({ "stored": false }));
    assert_eq!(put(&mut chain, "open", "street"), json!({ "stored": true }));
    assert_eq!(reveal(&mut chain, "open"), json!({ "secret": "street" }));
    let long = "x".repeat(SECRET_BYTES + 1);
    let args = json!({ "name": "safe", "password": "open", "secret": long });
    let error = chain.sender("alice").call("put", &args).unwrap_err();
    assert_eq!((error.module.as_str(), error.code), ("secret-keeper", 1));
}

#[test]
fn the_longest_secret_fits_a_result_in_its_longest_form() {
    let mut chain = Chain::confidential::<SecretKeeper>();
    let secret = "\u{1}".repeat(SECRET_BYTES);
    put(&mut chain, "open", &secret);
    assert_eq!(reveal(&mut chain, "open"), json!({ "secret": secret }));
}

#[test]
fn guessing_locks_the_secret() {
    let mut chain = Chain::confidential::<SecretKeeper>();
    put(&mut chain, "open", "sesame");
    for guess in 1..TRIES {
        assert_eq!(reveal(&mut chain, &format!("guess {guess}")), json!({}));
    }
    assert_eq!(reveal(&mut chain, "open"), json!({ "secret": "sesame" }));
    for guess in 0..TRIES {
        put(&mut chain, &format!("guess {guess}"), "mine");
    }
    assert_eq!(reveal(&mut chain, "open"), json!({}));
    assert_eq!(put(&mut chain, "open", "mine"), json!({ "stored": false }));
}

/// What a host sees of a call: entries with their lengths, how often the state is touched, events.
fn shape(chain: &mut Chain, act: impl FnOnce(&mut Chain)) -> (Vec<(Vec<u8>, usize)>, u64, usize) {
    let operations = chain.state_operations();
    act(chain);
    let entries = chain.entries().into_iter().filter(|(key, _)| !key.starts_with(b"\0\0nonce/"));
    let entries = entries.map(|(key, value)| (key, value.len())).collect();
    (entries, chain.state_operations() - operations, chain.events().len())
}

#[test]
fn places_and_sizes_do_not_depend_on_the_outcome() {
    let with = |secret: &str| {
        let mut chain = Chain::confidential::<SecretKeeper>();
        put(&mut chain, "open", secret);
        chain
    };
    let right = shape(&mut with("sesame"), |chain| drop(reveal(chain, "open")));
    let wrong = shape(&mut with("sesame"), |chain| drop(reveal(chain, "shut")));
    let long = shape(&mut with(&"x".repeat(SECRET_BYTES)), |chain| drop(reveal(chain, "open")));
    let none = shape(&mut Chain::confidential::<SecretKeeper>(), |c| drop(reveal(c, "open")));
    assert_eq!((&right, &right, &right), (&wrong, &long, &none));
    let replaced = shape(&mut with("sesame"), |chain| drop(put(chain, "open", "a")));
    let refused = shape(&mut with("sesame"), |chain| drop(put(chain, "shut", "b")));
    let fresh = shape(&mut Chain::confidential::<SecretKeeper>(), |c| drop(put(c, "open", "a")));
    assert_eq!((&replaced, &replaced), (&refused, &fresh));
    assert_eq!((right.2, replaced.2), (0, 0));
}

#[test]
fn a_secret_has_one_form_and_one_size() {
    for secret in [Vec::new(), vec![7; 3], vec![7; SECRET_BYTES]] {
        let kept = Kept { exists: true, wrong: 2, password: [1; 32], salt: [2; 32], secret };
        let bytes = kept.to_bytes();
        assert_eq!((bytes.len(), Kept::from_bytes(&bytes)), (Kept::LEN, Some(kept)));
        let mut other = bytes.clone();
        other[0] = 2;
        assert_eq!(Kept::from_bytes(&other), None);
    }
}
