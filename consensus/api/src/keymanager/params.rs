//! Parameters of key managers.

use paralith_proto::pb;

use crate::message::message;

message! {
    /// Parameters of key managers.
    Params = pb::keymanager::v1::Params {
        /// Gas of a policy.
        gas_update_policy: u64,
        /// Gas of a published secret.
        gas_publish_secret: u64,
        /// Share of the committee that must hold a generation before it is accepted, e.g. 66.
        replication_percent: u32,
    }
}
