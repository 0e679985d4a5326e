use std::collections::BTreeMap;

use paralith_data::{Claim, DataError, Ledger, MAX_OWNERS, Owner, Quota, Quotas, Record, charge};
use paralith_types::{Hash, Height};
use proptest::prelude::*;

fn owner(scope: u8, holder: u8) -> Owner {
    Owner { scope: [scope; 32], holder: [holder; 32] }
}

fn claim(content: u8, owner: Owner, until: u64) -> Claim {
    Claim { content: Hash([content; 32]), length: 5000, owner, until: Height(until) }
}

fn refused(of: Quota, result: Result<(), DataError>) -> bool {
    matches!(result, Err(DataError::Quota { of: found, .. }) if found == of)
}

#[test]
fn a_content_counts_in_blocks_with_one_for_its_record() {
    for (length, bytes) in [(0, 4096), (1, 8192), (4096, 8192), (4097, 12288)] {
        assert_eq!(charge(length), bytes);
    }
    assert_eq!(charge(u64::MAX), u64::MAX);
}

#[test]
fn a_record_has_one_encoding() {
    let holds = BTreeMap::from([(owner(1, 2), Height(300)), (owner(1, 3), Height(0))]);
    let record = Record { length: 5, holds };
    let (scope, two, three) = ("01".repeat(32), "02".repeat(32), "03".repeat(32));
    let golden = format!(
        "08051247{}{}",
        format_args!("0a20{scope}1220{two}18ac02"),
        format_args!("12440a20{scope}1220{three}"),
    );
    assert_eq!(hex::encode(record.encode()), golden);
    assert_eq!(Record::decode(&record.encode()), Some(record.clone()));
    let empty = Record { length: 5, holds: BTreeMap::new() };
    assert_eq!(Record::decode(&empty.encode()), None);
    assert_eq!(Record::decode(&[&record.encode()[..], &[0x20, 0x01]].concat()), None);
    let swapped = golden.replace(&two, &"04".repeat(32));
    assert_eq!(Record::decode(&hex::decode(swapped).unwrap()), None);
}

#[test]
fn each_quota_refuses_what_would_pass_it() {
    let one = charge(5000);
    let mut ledger = Ledger::new(Quotas { total: 5 * one, scope: 3 * one, holder: 2 * one });
    for content in 0..2 {
        ledger.reserve(&claim(content, owner(1, 1), 10)).unwrap();
    }
    assert!(refused(Quota::Holder, ledger.reserve(&claim(2, owner(1, 1), 10))));
    ledger.reserve(&claim(2, owner(1, 2), 10)).unwrap();
    assert!(refused(Quota::Scope, ledger.reserve(&claim(3, owner(1, 3), 10))));
    ledger.reserve(&claim(3, owner(2, 4), 10)).unwrap();
    ledger.reserve(&claim(4, owner(2, 5), 10)).unwrap();
    assert!(refused(Quota::Store, ledger.reserve(&claim(5, owner(3, 6), 10))));
    // What is given back can be taken again.
    ledger.release(&claim(4, owner(2, 5), 10));
    ledger.reserve(&claim(5, owner(3, 6), 10)).unwrap();
}

#[test]
fn a_content_has_a_bounded_number_of_owners() {
    let mut ledger = Ledger::new(Quotas { total: u64::MAX, scope: u64::MAX, holder: u64::MAX });
    for holder in 0..MAX_OWNERS {
        let claim = claim(1, owner(1, u8::try_from(holder).unwrap()), 10);
        ledger.reserve(&claim).unwrap();
        ledger.commit(&claim);
    }
    assert!(refused(Quota::Owners, ledger.reserve(&claim(1, owner(1, 200), 10))));
    ledger.reserve(&claim(1, owner(1, 0), 20)).unwrap();
}

#[test]
fn a_content_goes_with_its_last_hold_and_not_before() {
    let mut ledger = Ledger::new(Quotas { total: u64::MAX, scope: u64::MAX, holder: u64::MAX });
    for claim in [claim(1, owner(1, 1), 10), claim(1, owner(1, 2), 20), claim(1, owner(1, 1), 5)] {
        ledger.reserve(&claim).unwrap();
        ledger.commit(&claim);
    }
    assert_eq!(ledger.used(&owner(1, 1)), (charge(5000), 2 * charge(5000), charge(5000)));
    // Valid at h means h < until; a hold does not become shorter.
    assert_eq!(ledger.expire(Height(9)), None);
    let ended = ledger.expire(Height(10)).unwrap();
    assert_eq!(ended.left.unwrap().holds, BTreeMap::from([(owner(1, 2), Height(20))]));
    assert_eq!(ledger.expire(Height(19)), None);
    assert!(!ledger.extend(&Hash([1; 32]), &owner(1, 1), Height(50)));
    assert!(ledger.extend(&Hash([1; 32]), &owner(1, 2), Height(30)));
    assert!(ledger.extend(&Hash([1; 32]), &owner(1, 2), Height(25)));
    assert_eq!(ledger.expire(Height(29)), None);
    assert_eq!(ledger.expire(Height(30)).unwrap().left, None);
    assert_eq!(ledger.used(&owner(1, 2)), (0, 0, 0));
}

proptest! {
    /// What is taken is what is kept and reserved, whatever happens in which order.
    #[test]
    fn room_is_conserved(steps in prop::collection::vec((0_u8..6, 0_u8..3, 0_u8..2, 0_u8..3, 1_u64..50), 1..80)) {
        let quotas = Quotas { total: u64::MAX, scope: 12 * charge(5000), holder: u64::MAX };
        let mut ledger = Ledger::new(quotas);
        let mut open = Vec::new();
        for (step, content, scope, holder, height) in steps {
            match step {
                0..=2 => {
                    let claim = claim(content, owner(scope, holder), height);
                    if ledger.reserve(&claim).is_ok() {
                        open.push(claim);
                    }
                }
                3 => if let Some(claim) = open.pop() { ledger.commit(&claim) },
                4 => if let Some(claim) = open.pop() { ledger.release(&claim) },
                _ => while ledger.expire(Height(height)).is_some() {},
            }
            for scope in 0..2 {
                let kept = (0..3).filter_map(|content| ledger.record(&Hash([content; 32])));
                let kept: usize =
                    kept.map(|r| r.holds.keys().filter(|o| o.scope == [scope; 32]).count()).sum();
                let open = open.iter().filter(|claim| claim.owner.scope == [scope; 32]).count();
                let used = ledger.used(&owner(scope, 0)).1;
                prop_assert_eq!(used, (kept + open) as u64 * charge(5000));
                prop_assert!(used <= quotas.scope);
            }
        }
        open.iter().for_each(|claim| ledger.release(claim));
        while ledger.expire(Height(1000)).is_some() {}
        prop_assert_eq!(ledger.used(&owner(0, 0)), (0, 0, 0));
    }
}
