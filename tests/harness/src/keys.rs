//! Keys by number.

use paralith_crypto::SigningKey;

/// The key of a node, an entity, an account or a platform.
#[must_use]
pub fn key(number: u8) -> SigningKey {
    SigningKey::from_seed([number; 32])
}

/// The consensus key of a node.
#[must_use]
pub fn consensus_key(number: u8) -> SigningKey {
    let mut seed = [number; 32];
    seed[0] = 255;
    SigningKey::from_seed(seed)
}
