//! BLS signatures, against py_ecc.

use paralith_bls::{BlsSecret, aggregate, verify, verify_possession};

use crate::{are_computed_again, array, bytes, vectors};

#[test]
fn bls_signatures_are_those_of_py_ecc() {
    let vectors = vectors("bls");
    let signers = vectors["signers"].as_array().unwrap();
    assert_eq!(signers.len(), 4);
    for signer in signers {
        let secret = BlsSecret::from_ikm(&array(signer, "ikm"));
        let (key, message) = (secret.public(), bytes(signer, "message"));
        assert_eq!(key, array(signer, "key"));
        assert_eq!(secret.sign(&message), array(signer, "signature"));
        assert_eq!(secret.prove_possession(&key), array(signer, "possession"));
        assert!(verify(&[key], &message, &array(signer, "signature")));
        assert!(verify_possession(&key, &key, &array(signer, "possession")));
    }
    let all = &vectors["aggregate"];
    let message = bytes(all, "message");
    let secrets = signers.iter().map(|signer| BlsSecret::from_ikm(&array(signer, "ikm")));
    let signatures: Vec<_> = secrets.map(|secret| secret.sign(&message)).collect();
    assert_eq!(aggregate(&signatures), Some(array(all, "signature")));
    let keys: Vec<_> = signers.iter().map(|signer| array(signer, "key")).collect();
    assert!(verify(&keys, &message, &array(all, "signature")));
}

#[test]
fn the_bls_vectors_are_computed_again_in_python() {
    are_computed_again("the_bls_vectors_are_computed_again_in_python", "bls");
}
