//! Fees: taken also if the call fails, never more than there is.

use paralith_chaincode_messages::Message;
use paralith_sdk::testing::address;
use paralith_sdk::{Amount, json};

use super::lab::{Lab, RETENTION, code};

fn lab() -> Lab {
    let fees = json!({ "base": "1", "byte": "2", "endorsement": "300", "write": "5000" });
    let collector = address("collector");
    let argument = json!({ "retention_blocks": RETENTION, "collector": collector, "fees": fees });
    Lab::with(&argument)
}

fn balance(lab: &mut Lab) -> String {
    let answer = lab.chain.sender("anybody").query("balance", &json!({})).unwrap();
    String::from_utf8(answer).unwrap()
}

#[test]
fn the_submitter_pays_for_bytes_endorsements_and_writes() {
    let mut lab = lab();
    lab.chain.deposit(address("anybody"), Amount(100_000));
    lab.chain.next_round();
    let response = lab.call(&[], &[(1, Some(b"a")), (2, None)]);
    let bytes = lab.endorsed(&response, &["rak of org-0", "rak of org-1"]).encode();
    let due = 1 + 2 * bytes.len() as u128 + 2 * 300 + 2 * 5000;
    assert_eq!(code(lab.submit_with_fee(&bytes, due - 1)), 18);
    assert_eq!(lab.value(1), None);
    lab.submit_with_fee(&bytes, due).unwrap();
    // Both fees are gone: the first call failed, and paid.
    let left = 100_000 - due - (due - 1);
    assert_eq!(balance(&mut lab), format!(r#"{{"balance":"{left}"}}"#));
    // A conflict and a replay cost their fee, and nothing else.
    assert_eq!(code(lab.submit_with_fee(&bytes, due)), 9);
    let left = left - due;
    assert_eq!(balance(&mut lab), format!(r#"{{"balance":"{left}"}}"#));
    let to = json!({ "to": address("collector") });
    let error = lab.chain.sender("anybody").call("collect_fees", &to).unwrap_err();
    assert_eq!((error.module.as_str(), error.code), ("ledger", 20));
    let taken = lab.chain.sender("collector").call("collect_fees", &to).unwrap();
    assert_eq!(taken, json!({ "amount": (3 * due - 1).to_string() }).to_string().into_bytes());
}

#[test]
fn who_has_no_deposit_is_refused_before_the_call_and_in_the_pool() {
    let mut lab = lab();
    assert_eq!(code(lab.submit_with_fee(b"", 5)), 18);
    let refused = lab.chain.sender("anybody").fee(Amount(5)).check().unwrap_err();
    assert_eq!((refused.module.as_str(), refused.code), ("ledger", 18));
    let answer = lab.chain.query("fees", &json!({})).unwrap();
    let fees = json!({ "base": "1", "byte": "2", "endorsement": "300", "write": "5000" });
    assert_eq!(answer, fees.to_string().into_bytes());
}

#[test]
fn deposits_can_be_withdrawn() {
    let mut lab = Lab::new();
    lab.chain.deposit(address("anybody"), Amount(10));
    lab.chain.next_round();
    lab.chain.sender("anybody").call("withdraw", &json!({ "amount": "4" })).unwrap();
    lab.chain.next_round();
    assert_eq!((balance(&mut lab), lab.chain.account()), (r#"{"balance":"6"}"#.into(), Amount(6)));
    assert!(lab.chain.sender("anybody").call("withdraw", &json!({ "amount": "7" })).is_err());
}
