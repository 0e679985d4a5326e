//! Tests of BLS signatures. tests/vectors compares them with another implementation.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod forms;
mod rogue;
mod signing;

use paralith_bls::BlsSecret;

/// Three signers.
fn secrets() -> [BlsSecret; 3] {
    [[1; 32], [2; 32], [3; 32]].map(|ikm| BlsSecret::from_ikm(&ikm))
}
