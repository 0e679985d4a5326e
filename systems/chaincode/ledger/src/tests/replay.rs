//! A call is committed once, whatever is submitted again, and its record goes in time.

use paralith_chaincode_messages::state::{committed_key, revoked_key};
use paralith_chaincode_messages::{Message, Revoke};
use paralith_sdk::testing::{address, public_key};
use paralith_sdk::{Amount, json};
use paralith_types::Height;

use super::lab::{APPLICATION, Lab, RETENTION, code};
use crate::MAX_REMOVALS;

/// t06
#[test]
fn a_call_is_refused_at_once_and_after_its_entry_changed_and_changed_back() {
    let mut lab = Lab::new();
    let blind = lab.call(&[], &[(1, Some(b"old"))]);
    let reads = lab.call(&[1], &[(2, Some(b"old"))]);
    lab.commit(&reads).unwrap();
    lab.commit(&blind).unwrap();
    assert_eq!(code(lab.commit(&blind)), 9);
    // Changed, removed, and absent again as `reads` has read it.
    for value in [Some(&b"new"[..]), None] {
        let newer = lab.call(&[], &[(1, value)]);
        lab.commit(&newer).unwrap();
        assert_eq!((code(lab.commit(&blind)), code(lab.commit(&reads))), (9, 9));
    }
    // Other endorsements and another submitter make it no other call.
    let again = lab.endorsed(&blind, &["rak of org-1", "rak of org-2"]).encode();
    assert_eq!(lab.chain.sender("mallory").call_raw("commit", &again).unwrap_err().code, 9);
}

/// t06: with an empty read set, also after `t` was pruned.
#[test]
fn a_call_without_reads_is_refused_after_its_record_was_removed() {
    let mut lab = Lab::new();
    let blind = lab.call(&[], &[(1, Some(b"old"))]);
    lab.commit(&blind).unwrap();
    let key = committed_key(&blind.tx_id);
    let last = blind.valid_until.0 + RETENTION;
    for height in lab.chain.height() + 1..=last {
        assert!(lab.chain.stored(&key).is_some(), "height {height}");
        // A round at this height sees the record until it ends.
        lab.chain.advance_to(height);
        let expected = if height < blind.valid_until.0 { 9 } else { 6 };
        let refused = code(lab.commit(&blind));
        // The anchor is within `commit_blocks` for longer than `valid_until` here.
        assert_eq!(refused, expected, "height {height}");
    }
    lab.chain.next_round();
    assert_eq!((lab.chain.stored(&key), code(lab.commit(&blind))), (None, 6));
}

#[test]
fn an_applications_own_quorum_cannot_make_the_ledger_keep_a_record_for_ever() {
    let mut lab = Lab::new();
    let mut response = lab.call(&[], &[(1, Some(b"a"))]);
    let last = response.anchor.0 + 10;
    for far in [last + 1, u64::MAX] {
        response.valid_until = Height(far);
        assert_eq!(code(lab.commit(&response)), 21);
    }
    response.valid_until = Height(last);
    lab.commit(&response).unwrap();
}

/// t06
#[test]
fn ten_thousand_due_records_go_over_several_rounds_and_no_deposit_is_lost() {
    const CALLS: usize = 10_000;
    let mut lab = Lab::new();
    lab.change_terms(|terms| terms.endorsement = paralith_policy::Policy::Member(0));
    let organisation = {
        let mut names = super::lab::ORGANISATIONS;
        names.sort_by_key(|name| public_key(name).0);
        format!("rak of {}", names[0])
    };
    let mut keys = Vec::new();
    for _ in 0..CALLS {
        let response = lab.response();
        lab.commit_by(&response, &[&organisation]).unwrap();
        keys.push(committed_key(&response.tx_id));
    }
    let due = lab.chain.height() + 8 + RETENTION;
    let left = |lab: &Lab| keys.iter().filter(|key| lab.chain.stored(key).is_some()).count();
    lab.chain.advance_to(due);
    assert_eq!(left(&lab), CALLS);
    let mut deposited = 0;
    let mut rounds = 0;
    while left(&lab) > 0 {
        let before = left(&lab);
        lab.chain.deposit(address("alice"), Amount(3));
        deposited += 3;
        lab.chain.next_round();
        rounds += 1;
        assert_eq!(before - left(&lab), before.min(MAX_REMOVALS), "round {rounds}");
        // As long as some are left, the next height wants a round.
        if left(&lab) > 0 {
            assert_eq!(lab.chain.wake_height(), Some(lab.chain.height()));
        }
    }
    assert_eq!(rounds, CALLS.div_ceil(MAX_REMOVALS));
    let balance = lab.chain.sender("alice").query("balance", &json!({})).unwrap();
    assert_eq!(balance, json!({ "balance": deposited.to_string() }).to_string().into_bytes());
}

#[test]
fn a_round_that_fails_forgets_its_commits_and_they_can_come_again() {
    let mut lab = Lab::new();
    lab.chain.next_round();
    let response = lab.call(&[], &[(1, Some(b"a"))]);
    lab.commit(&response).unwrap();
    lab.chain.fail_round();
    assert_eq!(lab.value(1), None);
    lab.commit(&response).unwrap();
    assert_eq!(code(lab.commit(&response)), 9);
}

#[test]
fn only_the_issuer_revokes_its_certificates() {
    let mut lab = Lab::new();
    let revoke = Revoke { application: APPLICATION, serial: 5 }.encode();
    lab.chain.sender("mallory").call_raw("revoke", &revoke).unwrap();
    let key = |name| revoked_key(&APPLICATION, &public_key(name), 5);
    assert_eq!(lab.chain.stored(&key("issuer")), None);
    lab.chain.sender("issuer").call_raw("revoke", &revoke).unwrap();
    assert_eq!(lab.chain.stored(&key("issuer")), Some(vec![1]));
    let data = [APPLICATION.0.as_slice(), &public_key("issuer").0, &5_u64.to_be_bytes()].concat();
    assert_eq!(lab.events().last().map(|event| event.data.clone()), Some(data));
    let error = lab.chain.sender("issuer").call_raw("revoke", b"x").unwrap_err();
    assert_eq!((error.module.as_str(), error.code), ("ledger", 1));
}
