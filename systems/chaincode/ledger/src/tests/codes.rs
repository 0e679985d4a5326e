//! Every refusal of a commit, and that it changes nothing.

use paralith_chaincode_messages::{
    Event, MAX_ACCESSES, MAX_RESPONSE_BYTES, Message, NewCommit, Read, Response, Version, Write,
};
use paralith_sdk::testing::public_key;
use paralith_sdk::{Hash, RuntimeId};
use paralith_types::{CodeId, Height};

use super::lab::{APPLICATION, Lab, code, index};

/// Refuses a response that is changed, and leaves the state but the sender's nonce as it was.
fn refuses(expected: u32, change: impl FnOnce(&mut Lab, &mut Response)) {
    let mut lab = Lab::new();
    lab.chain.next_round();
    let mut response = lab.call(&[], &[(1, Some(b"a"))]);
    change(&mut lab, &mut response);
    let before = without_nonces(&lab);
    assert_eq!(code(lab.commit(&response)), expected);
    assert_eq!(without_nonces(&lab), before);
    assert!(lab.events().is_empty());
}

fn without_nonces(lab: &Lab) -> Vec<(Vec<u8>, Vec<u8>)> {
    let entries = lab.chain.entries().into_iter();
    entries.filter(|(key, _)| !key.starts_with(b"\0\0nonce/")).collect()
}

#[test]
fn an_endorsed_response_is_committed_with_its_events() {
    let mut lab = Lab::new();
    let mut response = lab.call(&[1], &[(1, Some(b"a")), (2, None)]);
    response.events = vec![Event { topic: "bid".into(), data: b"x".to_vec() }];
    lab.commit(&response).unwrap();
    let round = lab.chain.round();
    assert_eq!(lab.version(1), Some(Version { round, position: 0 }));
    assert_eq!((lab.value(1), lab.value(2)), (Some(b"a".to_vec()), None));
    let topics: Vec<String> = lab.events().into_iter().map(|event| event.topic).collect();
    assert_eq!(topics, ["chaincode/bid", "chaincode.committed"]);
    let data = [APPLICATION.0, response.tx_id.0].concat();
    assert_eq!(lab.events()[1].data, data);
    // The next one in the round has the next position, the first of the next round position 0.
    let second = lab.call(&[], &[(3, Some(b"b"))]);
    lab.commit(&second).unwrap();
    assert_eq!(lab.version(3), Some(Version { round, position: 1 }));
    lab.chain.next_round();
    let third = lab.call(&[], &[(3, Some(b"b"))]);
    lab.commit(&third).unwrap();
    assert_eq!(lab.version(3), Some(Version { round: round + 1, position: 0 }));
}

#[test]
fn what_is_no_commit_is_refused() {
    let mut lab = Lab::new();
    let response = lab.response();
    let good = lab.endorsed(&response, &["rak of org-0", "rak of org-1"]);
    for bytes in [vec![], vec![1, 2, 3], [good.encode(), vec![0x1a, 0]].concat()] {
        assert_eq!(code(lab.submit(&bytes)), 1);
    }
    let many = NewCommit { endorsements: vec![good.endorsements[0].clone(); 17], ..good.clone() };
    assert_eq!(code(lab.submit(&many.encode())), 1);
    let large = NewCommit { response: vec![0; MAX_RESPONSE_BYTES + 1], ..good };
    assert_eq!(code(lab.submit(&large.encode())), 16);
    assert_eq!(code(lab.submit(&vec![0; MAX_RESPONSE_BYTES * 2])), 16);
    refuses(1, |_, response| response.version = 2);
}

/// t05
#[test]
fn lists_that_are_unsorted_or_repeat_or_are_too_long_are_refused() {
    let read = |number| Read { index: index(number), version: None };
    let write = |number| Write { index: index(number), value: None };
    refuses(17, |_, response| response.reads = vec![read(2), read(1)]);
    refuses(17, |_, response| response.reads = vec![read(1), read(1)]);
    refuses(17, |_, response| response.writes = vec![write(2), write(1)]);
    refuses(17, |_, response| response.writes = vec![write(1), write(1)]);
    refuses(16, |_, response| {
        response.writes = (0..=MAX_ACCESSES)
            .map(|n| {
                let mut index = [0; 32];
                index[..8].copy_from_slice(&(n as u64).to_be_bytes());
                Write { index: Hash(index), value: None }
            })
            .collect();
    });
    refuses(16, |_, response| {
        response.events = vec![Event { topic: "t".repeat(247), data: Vec::new() }];
    });
}

#[test]
fn a_response_for_another_ledger_or_definition_is_refused() {
    refuses(2, |_, response| response.ledger = RuntimeId([1; 32]));
    refuses(3, |_, response| response.application = RuntimeId([1; 32]));
    refuses(3, |lab, _| lab.change_terms(|terms| terms.ledger = RuntimeId([1; 32])));
    refuses(4, |_, response| response.sequence = 2);
    refuses(4, |_, response| response.sequence = 4);
    refuses(5, |_, response| response.code_id = CodeId([1; 32]));
    let changes: [fn(&mut Lab); 6] = [
        |lab| lab.descriptor.kind = 1,
        |lab| lab.descriptor.confidential = false,
        |lab| lab.descriptor.approval = None,
        |lab| lab.descriptor.terms = vec![1, 2, 3],
        |lab| lab.descriptor.code = None,
        |lab| lab.descriptor.id = vec![1; 32],
    ];
    for change in changes {
        refuses(3, |lab, _| {
            change(lab);
            lab.publish();
        });
    }
    // An upgrade takes effect: what was endorsed before is refused, although its code is the same.
    refuses(4, |lab, _| {
        lab.descriptor.sequence = 4;
        lab.publish();
    });
}

#[test]
fn heights_are_judged_at_the_pinned_one() {
    let at = |lab: &Lab, offset: i64| Height(lab.chain.height().wrapping_add_signed(offset));
    refuses(6, |lab, response| response.valid_until = at(lab, 0));
    refuses(7, |lab, response| response.commit_before = at(lab, 0));
    refuses(8, |lab, response| response.anchor = at(lab, 1));
    refuses(8, |lab, response| response.anchor = at(lab, -11));
    let mut lab = Lab::new();
    lab.chain.next_round();
    let mut response = lab.response();
    (response.valid_until, response.commit_before) = (at(&lab, 1), at(&lab, 1));
    response.anchor = at(&lab, -9);
    lab.commit(&response).unwrap();
}

/// t04 and t09: what does not count at the pinned height, whenever it was signed.
#[test]
fn each_endorsement_counts_for_itself() {
    let both = ["rak of org-0", "rak of org-1"];
    let by = |expected, raks: &[&str], change: &dyn Fn(&mut Lab)| {
        let mut lab = Lab::new();
        let response = lab.call(&[], &[(1, Some(b"a"))]);
        change(&mut lab);
        assert_eq!(code(lab.commit_by(&response, raks)), expected, "{raks:?}");
        assert_eq!(lab.value(1), None);
    };
    let nothing = |_: &mut Lab| {};
    by(10, &["rak of org-0", "a stranger"], &nothing);
    by(10, &both, &|lab| lab.revoke_enclave("rak of org-1"));
    // Its enclave is of another application, and registered there.
    by(10, &["rak of org-0", "of another application"], &|lab| {
        lab.enclave_of(RuntimeId([1; 32]), "of another application", |_| {});
    });
    // The present sequence is of another code, and the enclave of the one before.
    by(5, &both, &|lab| {
        lab.descriptor.code = Some(super::lab::Code { id: vec![1; 32] });
        lab.publish();
    });
    by(11, &both, &|lab| {
        let now = lab.chain.height();
        lab.enclave("rak of org-0", |enclave| enclave.expires = now);
    });
    by(19, &both, &|lab| lab.enclave("rak of org-0", |e| e.measurement = vec![1; 32]));
    by(19, &both, &|lab| lab.enclave("rak of org-0", |e| e.code = Some(vec![1; 32])));
    by(19, &both, &|lab| lab.enclave("rak of org-0", |e| e.code = None));
    by(19, &both, &|lab| {
        lab.enclave("rak of org-0", |e| e.entity = public_key("outsider").0.to_vec());
    });
    // The present descriptor does not allow the measurement any more, and nothing else has changed.
    by(19, &both, &|lab| {
        lab.descriptor.tee = Some(super::lab::Tee { measurements: vec![vec![1; 32]] });
        lab.publish();
    });
    by(13, &["rak of org-0", "rak of org-0", "rak of org-1"], &nothing);
    by(14, &[], &nothing);
    by(14, &["rak of org-0"], &nothing);
    by(14, &["rak of org-0", "second of org-0"], &|lab| lab.enclave("second of org-0", |_| {}));
    let mut lab = Lab::new();
    let now = lab.chain.height();
    lab.enclave("rak of org-0", |enclave| enclave.expires = now + 1);
    let response = lab.response();
    lab.commit_by(&response, &["rak of org-2", "rak of org-0", "rak of org-1"]).unwrap();
}

#[test]
fn faults_come_in_the_order_of_the_specification() {
    let mut lab = Lab::new();
    let now = lab.chain.height();
    lab.enclave("rak of org-0", |enclave| {
        (enclave.expires, enclave.measurement) = (now, vec![1; 32]);
    });
    let mut response = lab.call(&[], &[(1, None)]);
    response.reads =
        vec![Read { index: index(9), version: Some(Version { round: 1, position: 0 }) }];
    let mut commit = lab.endorsed(&response, &["rak of org-0", "rak of org-0"]);
    commit.endorsements[0].signature.0[0] ^= 1;
    // Expired before not allowed, not allowed before the signature, the signature before repetition,
    // all of them before the policy and the conflict.
    assert_eq!(code(lab.submit(&commit.encode())), 11);
    lab.enclave("rak of org-0", |enclave| enclave.measurement = vec![1; 32]);
    assert_eq!(code(lab.submit(&commit.encode())), 19);
    lab.enclave("rak of org-0", |_| {});
    assert_eq!(code(lab.submit(&commit.encode())), 12);
    commit.endorsements[0] = commit.endorsements[1].clone();
    assert_eq!(code(lab.submit(&commit.encode())), 13);
    commit.endorsements.pop();
    assert_eq!(code(lab.submit(&commit.encode())), 14);
    assert_eq!(code(lab.commit(&response)), 15);
}

/// t05
#[test]
fn a_signature_of_another_response_chain_or_domain_is_refused() {
    let mut lab = Lab::new();
    let (one, two) = (lab.response(), lab.response());
    let mut swapped = lab.endorsed(&one, &["rak of org-0", "rak of org-1"]);
    swapped.endorsements = lab.endorsed(&two, &["rak of org-0", "rak of org-1"]).endorsements;
    assert_eq!(code(lab.submit(&swapped.encode())), 12);
    let mut commit = lab.endorsed(&one, &["rak of org-0", "rak of org-1"]);
    for message in [commit.response.clone(), [b"x", commit.response.as_slice()].concat()] {
        commit.endorsements[0].signature = paralith_sdk::testing::sign("rak of org-0", &message);
        assert_eq!(code(lab.submit(&commit.encode())), 12);
    }
}

/// t05
#[test]
fn every_changed_byte_of_a_commit_is_refused() {
    let mut lab = Lab::new();
    let response = lab.call(&[4], &[(1, Some(b"a"))]);
    let commit = lab.endorsed(&response, &["rak of org-0", "rak of org-1"]).encode();
    let before = without_nonces(&lab);
    for at in 0..commit.len() {
        let mut changed = commit.clone();
        changed[at] ^= 1;
        assert!(lab.submit(&changed).is_err(), "byte {at}");
    }
    assert_eq!(without_nonces(&lab), before);
    lab.submit(&commit).unwrap();
}

#[test]
fn the_first_of_two_that_conflict_in_one_batch_wins() {
    let mut lab = Lab::new();
    let first = lab.call(&[1], &[(1, Some(b"first"))]);
    let second = lab.call(&[1], &[(1, Some(b"second"))]);
    lab.commit(&first).unwrap();
    let error = lab.commit(&second).unwrap_err();
    assert_eq!(error.code, 15);
    let round = lab.chain.round();
    assert!(error.message.contains("absent"), "{}", error.message);
    assert!(error.message.contains(&format!("version {round}.0")), "{}", error.message);
    assert_eq!(lab.value(1), Some(b"first".to_vec()));
    // Write skew: each reads what the other writes.
    let (a, b) = (lab.call(&[2], &[(3, Some(b"a"))]), lab.call(&[3], &[(2, Some(b"b"))]));
    lab.commit(&a).unwrap();
    assert_eq!(code(lab.commit(&b)), 15);
}

#[test]
fn an_unchanged_write_conflicts_and_so_does_an_entry_that_was_made_anew() {
    let mut lab = Lab::new();
    let make = lab.call(&[], &[(1, Some(b"same"))]);
    lab.commit(&make).unwrap();
    let stale = lab.call(&[1], &[(2, Some(b"x"))]);
    let again = lab.call(&[], &[(1, Some(b"same"))]);
    lab.commit(&again).unwrap();
    assert_eq!(code(lab.commit(&stale)), 15);
    let stale = lab.call(&[1], &[(2, Some(b"x"))]);
    let remove = lab.call(&[], &[(1, None)]);
    lab.commit(&remove).unwrap();
    assert_eq!((lab.version(1), code(lab.commit(&stale))), (None, 15));
    let anew = lab.call(&[], &[(1, Some(b"same"))]);
    lab.commit(&anew).unwrap();
    assert_eq!(code(lab.commit(&stale)), 15);
}

#[test]
fn blind_writes_never_conflict() {
    let mut lab = Lab::new();
    let (a, b) = (lab.call(&[], &[(1, Some(b"a"))]), lab.call(&[], &[(1, Some(b"b"))]));
    lab.commit(&b).unwrap();
    lab.commit(&a).unwrap();
    assert_eq!(lab.value(1), Some(b"a".to_vec()));
}

#[test]
fn an_application_cannot_reach_the_entries_of_another() {
    let mut lab = Lab::new();
    let response = lab.call(&[], &[(1, Some(b"a"))]);
    lab.commit(&response).unwrap();
    let other = paralith_chaincode_messages::state::entry_key(&RuntimeId([1; 32]), &index(1));
    assert_eq!(lab.chain.stored(&other), None);
}
