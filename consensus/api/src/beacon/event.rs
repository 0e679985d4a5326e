//! Events of epochs.

use paralith_proto::pb;
use paralith_types::{Epoch, Height};

use crate::message::message;

message! {
    /// An epoch began.
    EpochStarted = pb::beacon::v1::EpochStarted {
        /// Its number.
        epoch: Epoch,
        /// The block.
        height: Height,
    }
}
