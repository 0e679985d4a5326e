//! Parameters of epochs.

use paralith_proto::pb;
use paralith_types::Hash;

use crate::message::message;

message! {
    /// Parameters of epochs.
    Params = pb::beacon::v1::Params {
        /// Blocks in an epoch.
        epoch_blocks: u64,
        /// Seed of the beacon. Whoever knows it knows every election beforehand, so a chain that
        /// gives one is a test chain, and every listing says so.
        insecure_seed: Option<Hash>,
    }
}
