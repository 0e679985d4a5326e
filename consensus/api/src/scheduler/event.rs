//! Events of elections.

use paralith_proto::pb;

use super::types::{Committee, Validators};
use crate::message::message;

message! {
    /// A runtime has a committee for this epoch.
    CommitteeElected = pb::scheduler::v1::CommitteeElected {
    }
    nested {
        /// The committee.
        committee: Committee,
    }
}

message! {
    /// The validators for this epoch.
    ValidatorsElected = pb::scheduler::v1::ValidatorsElected {
    }
    nested {
        /// The validators.
        validators: Validators,
    }
}
