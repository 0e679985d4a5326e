//! Parameters of elections.

use paralith_proto::pb;

use crate::message::message;

message! {
    /// Parameters of elections.
    Params = pb::scheduler::v1::Params {
        /// Fewer stop the election: the old validators stay.
        min_validators: u32,
        /// Most validators.
        max_validators: u32,
        /// Most validators of one entity.
        max_validators_per_entity: u32,
    }
}
