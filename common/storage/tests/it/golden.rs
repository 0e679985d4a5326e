//! Frozen: what is hashed, proven and stored. A failure here means another chain.
//!
//! The root was also computed by a ten-line recursion in another language.

use paralith_storage::{Column, Kv, Tree};

use crate::model::{self, key, puts, write};

#[test]
fn the_root_of_a_fixed_map_is_frozen() {
    let tree = model::tree_of(20);
    assert_eq!(
        tree.root(1).unwrap().unwrap().to_string(),
        "252ba5e0b2244484fd2fd517f5d505385082521facb33e19326ffc4c7173518b"
    );
}

#[test]
fn the_bytes_of_proofs_are_frozen() {
    let tree = model::tree_of(4);
    let cases = [
        // nothing where the key would be
        (
            b"absent".to_vec(),
            "000002c0\
             5543644b2717fb01b85a7ae26a56203088242fe9f7a0fd1cfd96f8e0be98f310\
             dc3eacb8191b8c93e37492bb317f6778195721c931dff91b73b8e0968854a2ad",
        ),
        // the key's own leaf
        (
            key(1),
            "010002c0\
             7b415e1ebaf547c1b257222e97a4745f52c3f1bcf3f54fc2b71a94153ae72af7\
             a05f7bdf15f377a1f59958b7a717060aec338e7773566b0d637b523a5c6841be",
        ),
        // another key's leaf
        (
            b"x".to_vec(),
            "02\
             477ab61d9e65b6ff1eab79d33c543c915c0977f97186b8bc5386f59133a89d49\
             e0a44d3c544c8895dacc7c32952766ee4db44122af955826e45c9486639ef5e4\
             0002c0\
             7b415e1ebaf547c1b257222e97a4745f52c3f1bcf3f54fc2b71a94153ae72af7\
             910430b83debe7fe3ad011eabed16e025e76ab2712770b8c8a43dd701e95d653",
        ),
    ];
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
    let dump = [Column::Latest, Column::History, Column::Nodes]
        .into_iter()
        .flat_map(|column| kv.range(column, b"", None, usize::MAX).unwrap())
        .map(|(key, value)| format!("{} = {}", hex::encode(key), hex::encode(value)))
        .collect::<Vec<_>>();
    assert_eq!(dump, STORED);
}

const STORED: [&str; 8] = [
    // latest: namespace, end, key = version, value
    "6e7300006100 = 000000000000000131",
    // history: namespace, end, key (00 escaped), end, inverted version = removed, or present and value
    "6e730000620000fffffffffffffefd = 00",
    "6e730000620000fffffffffffffffe = 0132",
    // journals: base, pages written, pages replaced, keys
    "6e7300006a0000000000000001 = 00000000000000000000000001000000000000000261000000000162",
    "6e7300006a0000000000000102 = \
     01000000000000000100000000000000010000000000000001000000000000000162",
    // a page: present, leaves, slots
    "6e7300006e000000000000000100000000 = 80108010\
     4d3e36cbcbb04c2483e6ec646e3f6f4b0d408aaf371cd9292e270dc21fc93a96\
     d4735e3a265e16eee03f59718b9b5d03019c07d8b6c51f90da3a666eec13ab35\
     f0b113218442ba34d6aa5e86bdc39be38a4c4c51a6e1abe669b517ca51b4a83e\
     6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b",
    // roots: a page with its id, a leaf
    "6e730000760000000000000001 = \
     024a66f0a4fe4b2120df13804280b45978eb83906b6350dc987171176971d3a3b0000000000000000100000000",
    "6e730000760000000000000102 = 01\
     f0b113218442ba34d6aa5e86bdc39be38a4c4c51a6e1abe669b517ca51b4a83e\
     6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b",
];
