//! What state holds of epochs.

use paralith_proto::pb;
use paralith_types::{Epoch, Hash, Height};

use crate::message::message;

message! {
    /// The epoch that runs.
    EpochState = pb::beacon::v1::EpochState {
        /// Its number.
        epoch: Epoch,
        /// The block in which it began.
        height: Height,
        /// The block in which the next begins.
        next_height: Height,
        /// Its randomness.
        entropy: Hash,
    }
}
