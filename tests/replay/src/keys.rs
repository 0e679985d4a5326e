//! Who takes part in the recorded network: everybody's key is a number.

use paralith_attest::SoftwarePlatform;
use paralith_consensus_engine::headers::ConsensusKey;
use paralith_crypto::SigningKey;
use paralith_types::{Address, RuntimeId};

/// Alice, Bob and Carol: users of the token and of the ParaTimes.
pub const USERS: [u8; 3] = [10, 11, 12];
/// The two compute nodes.
pub const COMPUTE: [u8; 2] = [1, 2];
/// The key manager's node.
pub const KEY_MANAGER_NODE: u8 = 50;
/// Answers for all nodes, and owns all runtimes.
pub const ENTITY: u8 = 100;
/// The validator's node.
pub const VALIDATOR: u8 = 101;
/// Vouches for enclaves.
pub const PLATFORM: u8 = 103;
/// The key manager.
pub const KEY_MANAGER: RuntimeId = RuntimeId([9; 32]);

/// The key of a person, a node or a platform.
pub fn key(number: u8) -> SigningKey {
    SigningKey::from_seed([number; 32])
}

/// The consensus key of a node.
pub fn consensus_key(number: u8) -> SigningKey {
    let mut seed = [number; 32];
    seed[0] = 255;
    SigningKey::from_seed(seed)
}

/// The account of a person.
pub fn account(number: u8) -> Address {
    paralith_consensus_api::address::of_key(&key(number).public())
}

/// What the solo engine signs with.
pub fn validator() -> ConsensusKey {
    ConsensusKey::from_seed(*consensus_key(VALIDATOR).seed())
}

/// The platform that all enclaves run on.
pub fn platform() -> SoftwarePlatform {
    SoftwarePlatform::new(key(PLATFORM))
}
