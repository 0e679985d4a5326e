//! Sets of members and their one form.

use std::collections::BTreeSet;

use paralith_policy::{MAX_MEMBERS, Members, PolicyError};
use proptest::prelude::*;

#[test]
fn the_forms_of_a_set_are_frozen() {
    let set = Members::from_iter([0, 3, 9, 63]);
    assert_eq!(hex::encode(set.to_bytes()), "0902000000000080");
    assert_eq!(set.to_bits(), Some(0x8000_0000_0000_0209));
    assert_eq!(Members::new().to_bytes(), [] as [u8; 0]);
    assert_eq!(Members::new().to_bits(), Some(0));
    assert_eq!(Members::from_iter([64]).to_bits(), None);
    assert_eq!(hex::encode(Members::from_iter([64]).to_bytes()), "000000000000000001");
}

#[test]
fn only_the_one_form_of_a_set_within_the_list_is_read() {
    assert_eq!(Members::from_bytes(&[1], 1), Ok(Members::from_iter([0])));
    assert_eq!(Members::from_bytes(&[0x80, 1], 9), Ok(Members::from_iter([7, 8])));
    assert_eq!(Members::from_bytes(&[], 0), Ok(Members::new()));
    for (bytes, members) in [
        (&[0][..], 8),    // an empty set has no bytes
        (&[1, 0], 16),    // a trailing zero
        (&[2], 1),        // a member too many
        (&[0, 2], 9),     // the same in the last byte
        (&[0, 0, 1], 16), // a byte too many
        (&[1], 0),        // a list without members
    ] {
        let refused = Members::from_bytes(bytes, members);
        assert!(matches!(refused, Err(PolicyError::Members { .. })), "{bytes:?}, {members}");
    }
}

#[test]
fn an_index_that_nobody_has_takes_no_memory() {
    let mut set = Members::from_iter([MAX_MEMBERS, u32::MAX]);
    assert!(set.is_empty() && !set.insert(u32::MAX) && !set.contains(u32::MAX));
    assert!(!set.remove(u32::MAX));
    assert!(set.insert(MAX_MEMBERS - 1) && set.contains(MAX_MEMBERS - 1));
    assert_eq!(set.to_bytes().len(), 8192);
    assert_eq!(Members::first(u32::MAX).len(), 65_536);
    let beyond = vec![1; 8193];
    assert!(Members::from_bytes(&beyond, usize::MAX).is_err());
}

proptest! {
    #[test]
    fn it_is_the_set_that_a_tree_of_numbers_is(
        steps in prop::collection::vec((any::<bool>(), 0_u32..80), 0..60)
    ) {
        let (mut set, mut model) = (Members::new(), BTreeSet::new());
        for (add, member) in steps {
            if add {
                prop_assert_eq!(set.insert(member), model.insert(member));
            } else {
                prop_assert_eq!(set.remove(member), model.remove(&member));
            }
            prop_assert!(set.iter().eq(model.iter().copied()));
            prop_assert_eq!(set.len(), model.len());
            prop_assert_eq!(set.is_empty(), model.is_empty());
            prop_assert_eq!(&Members::from_iter(model.iter().copied()), &set);
            prop_assert_eq!(Members::from_bytes(&set.to_bytes(), 80), Ok(set.clone()));
            if let Some(bits) = set.to_bits() {
                prop_assert_eq!(&Members::from_bits(bits), &set);
            }
        }
    }

    #[test]
    fn bytes_are_one_set_or_none(
        bytes in prop::collection::vec(any::<u8>(), 0..6),
        members in 0_usize..50,
    ) {
        if let Ok(set) = Members::from_bytes(&bytes, members) {
            prop_assert_eq!(set.to_bytes(), bytes);
            prop_assert!(set.iter().all(|member| (member as usize) < members));
        }
    }

    #[test]
    fn sets_compare_as_sets(a: u16, b: u16) {
        let (left, right) = (Members::from_bits(a.into()), Members::from_bits(b.into()));
        prop_assert_eq!(left.is_subset(&right), a & !b == 0);
        prop_assert_eq!(left.is_disjoint(&right), a & b == 0);
        prop_assert_eq!(left.len(), a.count_ones() as usize);
    }
}
