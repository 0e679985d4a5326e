//! What is signed verifies, and nothing else.

use paralith_bls::{BlsSecret, CheckedKeys, aggregate, verify, verify_possession};
use proptest::prelude::*;

use crate::secrets;

#[test]
fn the_votes_of_all_are_one_signature() {
    let secrets = secrets();
    let keys = secrets.each_ref().map(BlsSecret::public);
    let votes = secrets.each_ref().map(|secret| secret.sign(b"yes"));
    let all = aggregate(&votes).unwrap();
    assert!(verify(&keys, b"yes", &all));
    let reversed = [votes[2], votes[1], votes[0]];
    assert_eq!(aggregate(&reversed), Some(all), "the order does not matter");
    assert!(!verify(&keys, b"no", &all));
    assert!(!verify(&keys[..2], b"yes", &all), "a signer too few");
    let other = BlsSecret::from_ikm(&[4; 32]).public();
    assert!(!verify(&[keys[0], keys[1], other], b"yes", &all), "another signer");
    let [a, b, c] = keys;
    assert!(!verify(&[a, b, c, other], b"yes", &all), "a signer too many");
    // Sums of sums are the sum.
    let two = aggregate(&votes[..2]).unwrap();
    assert_eq!(aggregate(&[two, votes[2]]), Some(all));
    assert_eq!(aggregate(&votes[..1]), Some(votes[0]));
}

#[test]
fn a_key_that_stands_twice_must_have_signed_twice() {
    let [a, b, _] = secrets();
    let once = aggregate(&[a.sign(b"m"), b.sign(b"m")]).unwrap();
    let twice = aggregate(&[a.sign(b"m"), a.sign(b"m"), b.sign(b"m")]).unwrap();
    let (single, double) = ([a.public(), b.public()], [a.public(), a.public(), b.public()]);
    assert!(verify(&single, b"m", &once) && verify(&double, b"m", &twice));
    assert!(!verify(&single, b"m", &twice) && !verify(&double, b"m", &once));
}

#[test]
fn nobody_signs_nothing() {
    let signature = secrets()[0].sign(b"m");
    assert!(!verify(&[], b"m", &signature));
    assert_eq!(aggregate(&[]), None);
}

#[test]
fn a_signature_is_no_proof_of_possession_and_a_proof_is_no_signature() {
    let secret = &secrets()[0];
    let key = secret.public();
    let (signature, proof) = (secret.sign(&key), secret.prove_possession(&key));
    assert!(verify(&[key], &key, &signature) && verify_possession(&key, &key, &proof));
    assert!(!verify(&[key], &key, &proof) && !verify_possession(&key, &key, &signature));
    let other = secrets()[1].public();
    assert!(!verify_possession(&other, &key, &proof));
    assert!(!verify_possession(&key, &other, &proof));
}

#[test]
fn the_secret_is_not_shown() {
    assert_eq!(format!("{:?}", secrets()[0]), "BlsSecret(..)");
}

#[test]
fn remembered_keys_change_no_answer() {
    let all: Vec<BlsSecret> = (0..6).map(|i| BlsSecret::from_ikm(&[i; 32])).collect();
    let keys: Vec<_> = all.iter().map(BlsSecret::public).collect();
    let signatures: Vec<_> = all.iter().map(|secret| secret.sign(b"m")).collect();
    for most in [0, 1, 3, 10] {
        let mut known = CheckedKeys::new(most);
        assert!(known.is_empty());
        for _ in 0..2 {
            for from in 0..4 {
                let group = &keys[from..from + 3];
                let sum = aggregate(&signatures[from..from + 3]).unwrap();
                assert!(known.verify(group, b"m", &sum));
                assert!(!known.verify(group, b"n", &sum));
                assert!(!known.verify(&keys[..2], b"m", &sum));
                assert!(known.len() <= most);
            }
        }
        assert_eq!(known.len(), most.min(6));
        let mut bad = keys[0];
        bad[95] ^= 1;
        let (held, sum) = (known.len(), signatures[0]);
        assert!(!known.verify(&[bad], b"m", &sum), "a bad key is not remembered");
        assert!(!known.verify(&[bad], b"m", &sum));
        assert_eq!(known.len(), held);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_flipped_bit_verifies(ikm: [u8; 32], message: [u8; 8], pick: prop::sample::Index) {
        let secret = BlsSecret::from_ikm(&ikm);
        let (key, signature) = (secret.public(), secret.sign(&message));
        let proof = secret.prove_possession(&message);
        prop_assert!(verify(&[key], &message, &signature));
        prop_assert!(verify_possession(&key, &message, &proof));

        let bit = pick.index((96 + 8 + 48) * 8);
        let flipped = |bytes: &[u8], from: usize| {
            let mut bytes = bytes.to_vec();
            if let Some(byte) = (bit / 8).checked_sub(from).and_then(|at| bytes.get_mut(at)) {
                *byte ^= 1 << (bit % 8);
            }
            bytes
        };
        let key: [u8; 96] = flipped(&key, 0).try_into().unwrap();
        let message = flipped(&message, 96);
        let signature = flipped(&signature, 104).try_into().unwrap();
        let proof = flipped(&proof, 104).try_into().unwrap();
        prop_assert!(!verify(&[key], &message, &signature));
        prop_assert!(!verify_possession(&key, &message, &proof));
        if bit >= 104 * 8 {
            prop_assert_ne!(aggregate(&[signature]), Some(secret.sign(&message)));
        }
    }

    #[test]
    fn random_bytes_are_refused(
        key in prop::collection::vec(any::<u8>(), 96),
        signature in prop::collection::vec(any::<u8>(), 48),
    ) {
        let key: [u8; 96] = key.try_into().unwrap();
        let signature: [u8; 48] = signature.try_into().unwrap();
        prop_assert!(!verify(&[key], b"m", &signature));
        prop_assert!(!verify_possession(&key, b"m", &signature));
        prop_assert_eq!(aggregate(&[signature]), None);
    }
}
