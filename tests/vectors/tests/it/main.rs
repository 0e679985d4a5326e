//! What this repository computes is what another implementation has computed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod bls;
mod cosigner;
mod groups;
mod wraps;

use std::path::Path;

use serde_json::Value;

/// The committed vectors of this name.
fn vectors(name: &str) -> Value {
    let path = vectors::folder().join(format!("{name}.json"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Fails if the script computes other vectors than those that are committed.
fn are_computed_again(test: &str, name: &str) {
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
    if let Some(computed) = vectors::run(test, name, &[], scratch).unwrap() {
        let computed: Value = serde_json::from_str(&computed).unwrap();
        assert_eq!(computed, vectors(name));
    }
}

/// A field in hexadecimal.
fn bytes(value: &Value, field: &str) -> Vec<u8> {
    hex::decode(value[field].as_str().unwrap()).unwrap()
}

fn array<const N: usize>(value: &Value, field: &str) -> [u8; N] {
    bytes(value, field).try_into().unwrap()
}
