//! What state holds of the chain itself.

use paralith_proto::{pb, wire_struct};
use paralith_types::{Hash, Height};
use serde::{Deserialize, Serialize};

/// Root over the events of the newest block that had any. Proven at the header after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventsRoot {
    /// The block.
    pub height: Height,
    /// Merkle root over the encoded events, in order.
    pub root: Hash,
    /// How many there are.
    pub count: u32,
}
wire_struct!(EventsRoot, pb::consensus::v1::EventsRoot, { height, root, count }, {});
/// The root of the state after a block: the app hash that the next header carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateRoot {
    /// The block.
    pub height: Height,
    /// The root.
    pub root: Hash,
}
wire_struct!(StateRoot, pb::consensus::v1::StateRoot, { height, root }, {});

/// For how many heights state keeps roots of its own past.
pub const STATE_ROOTS_KEPT: u64 = 1024;
