//! What is derived from the package's secrets: salts, seeds, keys.

use paralith_crypto::kdf::prf;
use paralith_types::Hash;

use crate::domains;

/// The key of the tree under which each batch writes its number: equal roots never show that a call
/// changed nothing.
pub const BATCH_KEY: &[u8] = b"\xffbatch";

/// Length of a salt.
pub const SALT_BYTES: usize = 32;

/// The salt of an entry that this batch writes.
#[must_use]
pub fn salt(group_secret: &Hash, batch: u64, key: &[u8]) -> [u8; SALT_BYTES] {
    prf(&group_secret.0, domains::SALT, &[&batch.to_be_bytes(), key])
}

/// What the tree holds: the salt, then the value (PC-1).
#[must_use]
pub fn salted(group_secret: &Hash, batch: u64, key: &[u8], value: &[u8]) -> Vec<u8> {
    [&salt(group_secret, batch, key), value].concat()
}

/// Salt and value of what the tree holds.
#[must_use]
pub fn unsalted(entry: &[u8]) -> Option<(&[u8; SALT_BYTES], &[u8])> {
    entry.split_first_chunk()
}

/// The seed of `random` in a batch.
#[must_use]
pub fn random_seed(group_secret: &Hash, inputs_hash: &Hash) -> [u8; 32] {
    prf(&group_secret.0, domains::RANDOM, &[&inputs_hash.0])
}

/// `derive_key` of a contract.
#[must_use]
pub fn derive_key(derive_secret: &Hash, purpose: &[u8]) -> [u8; 32] {
    prf(&derive_secret.0, domains::DERIVE_KEY, &[purpose])
}
