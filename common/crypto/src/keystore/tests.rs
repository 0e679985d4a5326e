use super::*;

const CHEAP: KdfParams = KdfParams { memory_kib: 1024, iterations: 1, lanes: 1 };

/// Name, password, salt, nonce as below; Argon2id and AES-256-GCM-SIV by Python's `cryptography`,
/// framing and hashes by Python's `hashlib`.
const GOLDEN: &str = include_str!("golden.json");

fn key() -> SigningKey {
    SigningKey::from_seed([1; 32])
}

fn written() -> String {
    encrypt("validator-1", &key(), b"correct horse", [2; 16], [3; 12], CHEAP).unwrap()
}

/// The file with one field set to something else, and the checksum that it had.
fn edited(field: &str, value: serde_json::Value) -> String {
    let mut file: serde_json::Value = serde_json::from_str(&written()).unwrap();
    match field.split_once('.') {
        Some((outer, inner)) => file[outer][inner] = value,
        None => file[field] = value,
    }
    file.to_string()
}

#[test]
fn the_file_is_frozen_and_agrees_with_another_implementation() {
    assert_eq!(written(), GOLDEN);
    assert_eq!(decrypt(GOLDEN, b"correct horse").unwrap().seed(), key().seed());
    let entry = Entry { name: "validator-1".to_owned(), public: key().public(), params: CHEAP };
    assert_eq!(inspect(GOLDEN), Ok(entry));
}

#[test]
fn a_wrong_password_is_called_that() {
    for password in [&b"correct horsf"[..], b"correct horse ", b""] {
        let error = decrypt(GOLDEN, password).unwrap_err();
        assert_eq!(error, KeystoreError::WrongPassword);
        assert_eq!(error.code(), 1);
    }
}

#[test]
fn every_changed_character_of_a_value_is_noticed_before_the_password_is_used() {
    // With the right password and with a wrong one: damage is never taken for a wrong password.
    let good = written();
    for (at, byte) in good.bytes().enumerate().filter(|(_, byte)| byte.is_ascii_alphanumeric()) {
        let replacement = if byte == b'0' { "1" } else { "0" };
        let bad = format!("{}{replacement}{}", &good[..at], &good[at + 1..]);
        let error = inspect(&bad).map(|_| bad.clone()).unwrap_err();
        assert_ne!(error, KeystoreError::WrongPassword, "at {at}");
        assert_eq!(decrypt(&bad, b"correct horse").err(), Some(error), "at {at}");
    }
}

#[test]
fn a_file_that_is_cut_off_is_damaged() {
    let good = written();
    for len in 0..good.trim_end().len() {
        let error = inspect(&good[..len]).unwrap_err();
        assert!(matches!(error, KeystoreError::Damaged { .. }), "{len}: {error}");
        assert_eq!(error.code(), 2);
    }
    assert!(matches!(inspect(&"x".repeat(5000)), Err(KeystoreError::Damaged { .. })));
    let padded = format!("{good}{}", " ".repeat(MAX_FILE_LEN - good.len()));
    assert!(inspect(&padded).is_ok());
    assert!(matches!(inspect(&format!("{padded} ")), Err(KeystoreError::Damaged { .. })));
}

#[test]
fn what_another_version_wrote_is_called_that() {
    for version in [0, 2, u32::MAX] {
        let error = inspect(&edited("version", version.into())).unwrap_err();
        assert_eq!(error, KeystoreError::UnsupportedVersion { version });
        assert_eq!(error.code(), 3);
    }
    // Even when its other fields are unknown.
    let error = inspect(r#"{"version": 2, "vault": {}}"#).unwrap_err();
    assert_eq!(error, KeystoreError::UnsupportedVersion { version: 2 });
    for (field, value) in [("kind", "x25519"), ("kdf.algorithm", "scrypt")] {
        let error = inspect(&edited(field, value.into())).unwrap_err();
        assert!(matches!(error, KeystoreError::Unsupported { .. }), "{error}");
        assert_eq!(error.code(), 4);
    }
}

#[test]
fn unknown_fields_are_refused() {
    let error = inspect(&edited("comment", "x".into())).unwrap_err();
    assert!(matches!(error, KeystoreError::Damaged { .. }), "{error}");
}

#[test]
fn parameters_are_bounded_for_writing_and_for_reading() {
    let limits = [
        ("kdf.memory_kib", 1023, false),
        ("kdf.memory_kib", 1024, true),
        ("kdf.memory_kib", 1024 * 1024, true),
        ("kdf.memory_kib", 1024 * 1024 + 1, false),
        ("kdf.iterations", 0, false),
        ("kdf.iterations", 1, true),
        ("kdf.iterations", 16, true),
        ("kdf.iterations", 17, false),
        ("kdf.lanes", 0, false),
        ("kdf.lanes", 1, true),
        ("kdf.lanes", 8, true),
        ("kdf.lanes", 9, false),
    ];
    for (field, value, allowed) in limits {
        let refused = match inspect(&edited(field, value.into())) {
            Err(error @ KeystoreError::Params(_)) => {
                assert_eq!(error.code(), 5);
                true
            }
            _ => false,
        };
        assert_eq!(refused, !allowed, "reading {field} {value}");
    }
    for bad in [
        KdfParams { memory_kib: 1023, ..CHEAP },
        KdfParams { iterations: 17, ..CHEAP },
        KdfParams { lanes: 0, ..CHEAP },
    ] {
        let error = encrypt("a", &key(), b"", [0; 16], [0; 12], bad).unwrap_err();
        assert_eq!(error, KeystoreError::Params(bad));
    }
    assert!(KdfParams::RECOMMENDED.bounded());
}

#[test]
fn names_are_plain() {
    let longest = "x".repeat(MAX_NAME_LEN);
    for good in ["a", "Node_1.key-2", longest.as_str()] {
        let json = encrypt(good, &key(), b"p", [2; 16], [3; 12], CHEAP).unwrap();
        assert_eq!(inspect(&json).unwrap().name, good);
    }
    let longer = "x".repeat(MAX_NAME_LEN + 1);
    for bad in ["", "a b", "../a", "a\n", "ä", longer.as_str()] {
        let error = encrypt(bad, &key(), b"p", [2; 16], [3; 12], CHEAP).unwrap_err();
        assert_eq!(error, KeystoreError::Name, "{bad:?}");
        assert_eq!(error.code(), 6);
    }
}

#[test]
fn an_attacker_who_fixes_the_checksum_still_cannot_rename_a_key() {
    let mut file = parse(&written()).unwrap();
    file.entry.name = "treasury".to_owned();
    let forged = file.to_json();
    assert!(inspect(&forged).is_ok());
    assert_eq!(decrypt(&forged, b"correct horse").err(), Some(KeystoreError::WrongPassword));
}
