//! Sealed content and wraps, against Python.

use paralith_crypto::kem::{KEM_X_WING, KEM_X25519, KemSecret};
use paralith_crypto::wrap::{
    ContentKey, Recipient, WrapDomains, first_false_wrap, open_content, seal_content, unwrap, wrap,
};
use paralith_crypto::{Domain, HpkeSecret, Zeroizing};
use paralith_types::Hash;
use serde_json::Value;

use crate::{are_computed_again, array, bytes, vectors};

const DOMAINS: WrapDomains = WrapDomains {
    content: Domain::new("paralith/private-contract/content/v1"),
    commitment: Domain::new("paralith/private-contract/commitment/v1"),
    wrap: Domain::new("paralith/private-contract/wrap/v1"),
};

fn secret(recipient: &Value) -> KemSecret {
    match u32::try_from(recipient["kem"].as_u64().unwrap()).unwrap() {
        KEM_X25519 => KemSecret::X25519(HpkeSecret::from_bytes(array(recipient, "secret"))),
        KEM_X_WING => KemSecret::XWing(Zeroizing::new(array(recipient, "secret"))),
        kem => panic!("unknown KEM {kem}"),
    }
}

#[test]
fn sealed_content_and_wraps_are_those_of_python() {
    let vectors = vectors("wraps");
    let mut seen = Vec::new();
    for case in vectors.as_array().unwrap() {
        let (sk, uri) = (ContentKey::new(array(case, "sk")), case["uri"].as_str().unwrap());
        let (info, plaintext) = (bytes(case, "info"), bytes(case, "plaintext"));
        let commitment = Hash(array(case, "key_commitment"));
        let sealed = seal_content(&DOMAINS, &sk, uri, &info, &plaintext);
        assert_eq!(sealed.content, bytes(case, "content"));
        assert_eq!(sealed.content_hash, array(case, "content_hash"));
        assert_eq!(sealed.key_commitment, commitment);
        let opened = open_content(&DOMAINS, &sk, &info, &sealed.content).unwrap();
        assert_eq!(*opened, plaintext);

        let recipients = case["wraps"].as_array().unwrap();
        let secrets: Vec<KemSecret> = recipients.iter().map(secret).collect();
        let keys: Vec<Vec<u8>> = secrets.iter().map(KemSecret::public).collect();
        let to = |index: usize| Recipient {
            kem: secrets[index].kem(),
            key: &keys[index],
            info: move |commitment: &Hash| {
                [format!("recipient {index} of ").as_bytes(), &commitment.0].concat()
            },
        };
        let to: Vec<_> = (0..secrets.len()).map(to).collect();
        let expected: Vec<Vec<u8>> = recipients.iter().map(|r| bytes(r, "wrap")).collect();
        assert_eq!(wrap(&DOMAINS, &sk, uri, &to).unwrap(), expected);
        assert_eq!(first_false_wrap(&DOMAINS, &sk, uri, &to, &expected), None);
        for ((recipient, secret), key) in recipients.iter().zip(&secrets).zip(&keys) {
            assert_eq!(*key, bytes(recipient, "key"));
            let (info, wrap) = (bytes(recipient, "info"), bytes(recipient, "wrap"));
            let (opened, held) = unwrap(&DOMAINS, secret, &info, &wrap, &commitment).unwrap();
            assert!(opened == sk && held == uri);
            seen.push(secret.kem());
        }
    }
    assert!(seen.len() == 8 && seen.contains(&KEM_X25519) && seen.contains(&KEM_X_WING));
}

#[test]
fn the_wrap_vectors_are_computed_again_in_python() {
    are_computed_again("the_wrap_vectors_are_computed_again_in_python", "wraps");
}
