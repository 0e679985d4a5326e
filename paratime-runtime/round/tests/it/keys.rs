//! Nodes by number.

use paralith_crypto::ed25519::SigningKey;
use paralith_types::{ChainContext, PublicKey, RuntimeId};

pub(crate) const CHAIN: ChainContext = ChainContext([7; 32]);
pub(crate) const RUNTIME: RuntimeId = RuntimeId([8; 32]);

pub(crate) fn key(index: usize) -> SigningKey {
    let mut seed = [1; 32];
    seed[..8].copy_from_slice(&(index as u64).to_be_bytes());
    SigningKey::from_seed(seed)
}

pub(crate) fn id(index: usize) -> PublicKey {
    key(index).public()
}
