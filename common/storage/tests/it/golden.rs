//! Frozen: what is hashed, proven and stored. A failure here means another chain.

use paralith_storage::{Column, Kv, Tree};

use crate::model::{self, key, puts, write};

#[test]
fn the_root_of_a_fixed_map_is_frozen() {
    let tree = model::tree_of(20);
    assert_eq!(tree.root(1).unwrap().unwrap().to_string(), "ROOT20");
}

#[test]
fn the_bytes_of_proofs_are_frozen() {
    let tree = model::tree_of(4);
    let cases = [(key(1), "PROOF0"), (b"x".to_vec(), "PROOF1"), (b"absent".to_vec(), "PROOF2")];
    for (key, want) in cases {
        let (_, proof) = tree.prove(1, &key).unwrap();
        assert_eq!(hex::encode(proof.to_bytes()), want, "{}", String::from_utf8_lossy(&key));
    }
}

#[test]
fn the_stored_bytes_are_frozen() {
    let kv = Kv::memory();
    let tree = Tree::new(kv.clone(), b"ns");
    write(&tree, 1, &puts([(b"a\0".to_vec(), b"1".to_vec()), (b"b".to_vec(), b"2".to_vec())]));
    write(&tree, 258, &[(b"b".to_vec(), None)].into());
    let dump = [Column::Flat, Column::Nodes]
        .into_iter()
        .flat_map(|column| kv.range(column, b"", None, usize::MAX).unwrap())
        .map(|(key, value)| format!("{} = {}", hex::encode(key), hex::encode(value)))
        .collect::<Vec<_>>();
    assert_eq!(dump, STORED);
}

const STORED: [&str; 0] = [];
