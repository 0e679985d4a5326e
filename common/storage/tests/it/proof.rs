use paralith_storage::{EMPTY_ROOT, Kv, Proof, ProofError, Tree};
use paralith_types::Hash;
use proptest::prelude::*;

use crate::model::{self, State, apply, key, write};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn presence_and_absence_are_proven_at_every_version(history in model::history()) {
        let tree = Tree::new(Kv::memory(), b"a");
        let mut state = State::new();
        for (version, (_, changes)) in (1u64..).zip(&history) {
            state = apply(&state, changes);
            let root = write(&tree, version, changes);
            for n in 0..42u8 {
                let key = vec![b'k', n];
                let (value, proof) = tree.prove(version, &key).unwrap();
                prop_assert_eq!(value.as_ref(), state.get(&key));
                prop_assert_eq!(proof.verify(&root, &key, value.as_deref()), Ok(()));
                prop_assert_eq!(Proof::from_bytes(&proof.to_bytes()), Ok(proof.clone()));
                // The opposite claim fails.
                let lie = if value.is_some() { None } else { Some(&b""[..]) };
                prop_assert_eq!(proof.verify(&root, &key, lie), Err(ProofError::OtherClaim));
            }
        }
    }

    #[test]
    fn bytes_from_anywhere_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(proof) = Proof::from_bytes(&bytes) {
            prop_assert_eq!(proof.to_bytes(), bytes);
            prop_assert!(proof.verify(&Hash([7; 32]), b"k", None).is_err());
        }
    }
}

#[test]
fn every_mutation_of_a_proof_fails() {
    let tree = model::tree_of(60);
    let root = tree.root(1).unwrap().unwrap();
    let absent = (0..20).map(|n| format!("absent {n}").into_bytes());
    for key in [key(0), key(31), key(59)].into_iter().chain(absent) {
        let (value, proof) = tree.prove(1, &key).unwrap();
        let bytes = proof.to_bytes();
        for at in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[at / 8] ^= 1 << (at % 8);
            if let Ok(other) = Proof::from_bytes(&bytes) {
                assert!(other.verify(&root, &key, value.as_deref()).is_err(), "bit {at}");
            }
        }
        for cut in 0..bytes.len() {
            assert_eq!(Proof::from_bytes(&bytes[..cut]), Err(ProofError::Malformed));
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        assert_eq!(Proof::from_bytes(&longer), Err(ProofError::Malformed));
    }
}

#[test]
fn another_key_value_or_root_fails() {
    let tree = model::tree_of(60);
    let root = tree.root(1).unwrap().unwrap();
    let (value, proof) = tree.prove(1, &key(3)).unwrap();
    let value = value.as_deref();
    assert_eq!(proof.verify(&root, &key(3), value), Ok(()));
    assert_eq!(proof.verify(&root, &key(4), value), Err(ProofError::OtherRoot));
    assert_eq!(proof.verify(&root, &key(3), Some(b"value 4")), Err(ProofError::OtherRoot));
    assert_eq!(proof.verify(&root, &key(3), None), Err(ProofError::OtherClaim));
    assert_eq!(proof.verify(&EMPTY_ROOT, &key(3), value), Err(ProofError::OtherRoot));

    // A proof that one key is absent shows nothing about another, present or absent.
    let (none, absence) = tree.prove(1, b"absent").unwrap();
    assert_eq!(none, None);
    for n in 0..60 {
        assert!(absence.verify(&root, &key(n), None).is_err(), "k{n} is there");
    }
}

#[test]
fn a_proof_is_short() {
    let tree = model::tree_of(1000);
    for n in 0..1000 {
        let (_, proof) = tree.prove(1, &key(n)).unwrap();
        assert!(proof.to_bytes().len() <= 32 * 20 + 8, "{}", proof.to_bytes().len());
    }
    assert!(Proof::from_bytes(&vec![1; Proof::MAX_BYTES + 1]).is_err());
}

#[test]
fn the_empty_tree_has_a_proof_that_holds_for_no_other() {
    let proof = Proof::of_empty();
    assert_eq!(Proof::from_bytes(&proof.to_bytes()), Ok(proof.clone()));
    assert_eq!(proof.verify(&EMPTY_ROOT, b"k", None), Ok(()));
    assert!(proof.verify(&EMPTY_ROOT, b"k", Some(b"")).is_err());
    assert!(proof.verify(&Hash([1; 32]), b"k", None).is_err());
}
