//! An auditor verifies results and entries with public roots alone.

use paralith_crypto::wrap::ContentKey;
use paralith_private_contract_core::Class;
use paralith_private_contract_core::disclosure::{
    DisclosedEntry, open_reply, result_holds, seal_reply,
};
use paralith_private_contract_core::messages::{ContractId, FinalBatch};
use paralith_private_contract_core::prf;
use paralith_private_contract_core::vote::{Results, TxResult};
use paralith_storage::{Changes, Durability, Kv, Proof, Tree, WriteBatch};
use paralith_types::Hash;

#[test]
fn a_result_is_proven_at_its_number_and_nowhere_else() {
    let sk = ContentKey::new([1; 32]);
    let results: Vec<TxResult> =
        (4..9).map(|seq| TxResult::of_call(seq, Class::Executed, &sk, vec![seq as u8])).collect();
    let tree = Results::new(&results);
    let batch = FinalBatch {
        root: Hash([1; 32]),
        results_root: tree.root(),
        first_seq: 4,
        last_seq: 8,
        version: 1,
    };
    for (place, result) in results.iter().enumerate() {
        let path = tree.path(place).unwrap();
        assert!(result_holds(&batch, result, &path));
        for (other, other_result) in results.iter().enumerate().filter(|(at, _)| *at != place) {
            assert!(!result_holds(&batch, other_result, &path), "{other}");
        }
        let changed = [
            TxResult { output: b"x".to_vec(), ..result.clone() },
            TxResult { class: Class::Failed, ..result.clone() },
            TxResult { blinding: Hash::ZERO, ..result.clone() },
        ];
        assert!(changed.iter().all(|changed| !result_holds(&batch, changed, &path)));
        // The same leaves, said to be of other numbers.
        for (first_seq, last_seq) in [(3, 8), (4, 9), (5, 9), (0, 0), (4, u64::MAX), (8, 4)] {
            let moved = FinalBatch { first_seq, last_seq, ..batch.clone() };
            assert!(!result_holds(&moved, result, &path), "{first_seq} to {last_seq}");
        }
    }
}

#[test]
fn a_reply_opens_for_its_key_and_its_transaction_only() {
    let (sk, contract) = (ContentKey::new([1; 32]), ContractId([2; 32]));
    let sealed = seal_reply(&sk, &contract, 4, b"output");
    assert_eq!(open_reply(&sk, &contract, 4, &sealed).unwrap().as_slice(), b"output");
    assert!(open_reply(&sk, &contract, 5, &sealed).is_err());
    assert!(open_reply(&sk, &ContractId([3; 32]), 4, &sealed).is_err());
    assert!(open_reply(&ContentKey::new([2; 32]), &contract, 4, &sealed).is_err());
}

const GUESSES: u64 = 1_000_000;
const AMOUNT: u64 = 654_321;

/// A tree in which only bob's amount is unknown, and the path of it. `held` says what the tree has under a key.
fn tree_of(held: impl Fn(&[u8], u64) -> Vec<u8>) -> (Hash, Proof, Proof) {
    let tree = Tree::new(Kv::memory(), b"private/test");
    let entries = [(&b"alice"[..], 7), (b"bob", AMOUNT), (b"carol", 7)];
    let changes: Changes =
        entries.iter().map(|(key, value)| (key.to_vec(), Some(held(key, *value)))).collect();
    let prepared = tree.prepare(None, 1, &changes).unwrap();
    let root = prepared.root();
    tree.commit(prepared, WriteBatch::new(), Durability::Lazy).unwrap();
    let proof = |key: &[u8]| tree.prove(1, key).unwrap().1;
    (root, proof(b"bob"), proof(b"alice"))
}

/// The amounts for which the tree may be this one, as somebody finds who thinks that a value is held so.
fn confirmed(root: &Hash, path: &Proof, held: impl Fn(u64) -> Vec<u8>) -> Vec<u64> {
    (0..GUESSES).filter(|guess| path.verify(root, b"bob", Some(&held(*guess))).is_ok()).collect()
}

#[test]
fn a_million_guesses_of_an_amount_confirm_none_against_public_roots_and_a_disclosed_path() {
    let secret = Hash([9; 32]);
    let (root, bobs, alices) =
        tree_of(|key, value| prf::salted(&secret, 1, key, &value.to_be_bytes()));
    // An auditor knows alice's salt. He is even given the path of bob's amount.
    let known = prf::salt(&secret, 1, b"alice");
    let entry =
        DisclosedEntry { key: b"alice".to_vec(), salt: known, value: 7_u64.to_be_bytes().into() };
    assert!(entry.holds(&root, &alices));
    let with = |salt: [u8; 32]| move |guess: u64| [&salt[..], &guess.to_be_bytes()].concat();
    assert_eq!(confirmed(&root, &bobs, with([0; 32])), [0_u64; 0], "without a salt");
    assert_eq!(confirmed(&root, &bobs, with(known)), [0_u64; 0], "with the neighbour's");
    // The control: the same guesses find the amount in a tree without salts.
    let plain = |value: u64| value.to_be_bytes().to_vec();
    let (root, bobs, _) = tree_of(|_, value| plain(value));
    assert_eq!(confirmed(&root, &bobs, plain), [AMOUNT]);
}

#[test]
fn a_million_guesses_of_an_output_confirm_none_against_the_results_root() {
    let result = |blinding, output: u64| TxResult {
        seq: 4,
        class: Class::Executed,
        blinding,
        output: output.to_be_bytes().to_vec(),
    };
    let sk = ContentKey::new([1; 32]);
    let blinded = TxResult::of_call(4, Class::Executed, &sk, AMOUNT.to_be_bytes().to_vec());
    // A batch of one: its root is the leaf, and nothing else is unknown.
    let confirmed = |root: Hash| {
        let is_it = |guess: &u64| Results::new(&[result(Hash::ZERO, *guess)]).root() == root;
        (0..GUESSES).filter(is_it).collect::<Vec<u64>>()
    };
    assert_eq!(confirmed(Results::new(&[blinded]).root()), [0_u64; 0]);
    assert_eq!(
        confirmed(Results::new(&[result(Hash::ZERO, AMOUNT)]).root()),
        [AMOUNT],
        "the control"
    );
}

/// A tree of which an auditor sees the root, and one entry with its path.
fn disclosed(amount: u64, group_secret: Hash) -> (Hash, DisclosedEntry, Proof) {
    let tree = Tree::new(Kv::memory(), b"private/test");
    let salted = |key: &[u8], value: u64| {
        (key.to_vec(), Some(prf::salted(&group_secret, 1, key, &value.to_be_bytes())))
    };
    let changes: Changes =
        [salted(b"alice", 7), salted(b"bob", amount), salted(b"carol", 7)].into_iter().collect();
    let prepared = tree.prepare(None, 1, &changes).unwrap();
    let root = prepared.root();
    tree.commit(prepared, WriteBatch::new(), Durability::Lazy).unwrap();
    let (held, proof) = tree.prove(1, b"alice").unwrap();
    (root, DisclosedEntry::new(b"alice", &held.unwrap()).unwrap(), proof)
}

#[test]
fn an_entry_is_proven_with_its_salt_and_not_changed() {
    let (root, entry, proof) = disclosed(5, Hash([9; 32]));
    assert!(entry.holds(&root, &proof));
    let mut changed = entry.clone();
    changed.value[7] += 1;
    assert!(!changed.holds(&root, &proof));
    let mut changed = entry.clone();
    changed.salt[0] ^= 1;
    assert!(!changed.holds(&root, &proof));
    assert!(!DisclosedEntry { key: b"carol".to_vec(), ..entry }.holds(&root, &proof));
}

#[test]
fn nobody_without_the_secret_confirms_a_guess_of_a_neighbour() {
    // Everything but bob's amount and the secret is known, alice's disclosed path too.
    let (root, _, proof) = disclosed(5, Hash([9; 32]));
    let unsalted = |amount: u64, salt: &Hash| disclosed(amount, *salt);
    for guess in 0..200 {
        let (guessed, _, path) = unsalted(guess, &Hash::ZERO);
        assert_ne!((guessed, path), (root, proof.clone()), "{guess}");
    }
    // The control: with the secret, one guess is confirmed.
    let hits = (0..200).filter(|guess| unsalted(*guess, &Hash([9; 32])).0 == root).count();
    assert_eq!(hits, 1);
}

#[test]
fn equal_values_of_two_batches_look_different() {
    let secret = Hash([9; 32]);
    assert_ne!(prf::salted(&secret, 1, b"k", b"v"), prf::salted(&secret, 2, b"k", b"v"));
    assert_ne!(prf::salt(&secret, 1, b"k"), prf::salt(&secret, 1, b"l"));
}
