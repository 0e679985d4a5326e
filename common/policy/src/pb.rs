//! The messages of `proto/paralith/policy/v1/types.proto`, for messages that contain them.
//!
//! Written by hand, so that guests build without a protobuf compiler; a test compares them with the
//! file. Generated code refers to them by `extern_path(".paralith.policy.v1", "::paralith_policy::pb")`.

/// A policy: see [`crate::Policy`].
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct Policy {
    /// Never missing in a valid message.
    #[prost(oneof = "policy::Kind", tags = "1, 2")]
    pub kind: Option<policy::Kind>,
}

/// The kinds of a policy.
pub mod policy {
    /// One of the two kinds.
    #[derive(Clone, PartialEq, Eq, Hash, prost::Oneof)]
    pub enum Kind {
        /// The index of a member.
        #[prost(uint32, tag = "1")]
        Member(u32),
        /// A threshold over other policies.
        #[prost(message, tag = "2")]
        AtLeast(super::AtLeast),
    }
}

/// A threshold.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct AtLeast {
    /// What the satisfied children weigh together, at least.
    #[prost(uint64, tag = "1")]
    pub weight: u64,
    /// The children.
    #[prost(message, repeated, tag = "2")]
    pub of: Vec<Weighted>,
}

/// A child of a threshold.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct Weighted {
    /// What it weighs.
    #[prost(uint32, tag = "1")]
    pub weight: u32,
    /// The child. Never missing in a valid message.
    #[prost(message, optional, tag = "2")]
    pub policy: Option<Policy>,
}

/// A certificate: see [`crate::Certificate`].
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct Certificate {
    /// Version of the form: 1.
    #[prost(uint32, tag = "1")]
    pub version: u32,
    /// The issuer's key.
    #[prost(bytes = "vec", tag = "2")]
    pub issuer: Vec<u8>,
    /// The key that it is about.
    #[prost(bytes = "vec", tag = "3")]
    pub subject: Vec<u8>,
    /// Where it is valid, 32 bytes.
    #[prost(bytes = "vec", tag = "4")]
    pub scope: Vec<u8>,
    /// Free text of at most 255 bytes.
    #[prost(string, tag = "5")]
    pub attributes: String,
    /// The issuer's number for it, by which it is revoked.
    #[prost(uint64, tag = "6")]
    pub serial: u64,
    /// The first height at which it is valid.
    #[prost(uint64, tag = "7")]
    pub not_before: u64,
    /// The first height at which it is no longer valid.
    #[prost(uint64, tag = "8")]
    pub not_after: u64,
    /// The issuer's signature.
    #[prost(bytes = "vec", tag = "9")]
    pub signature: Vec<u8>,
}
