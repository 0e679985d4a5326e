//! What a host asks of an endorser's enclave, and what the enclave answers, as messages. They travel
//! in `RuntimeCall.application` and as its reply.

use paralith_chaincode_messages::{MAX_CALL_BYTES, MAX_RESPONSE_BYTES};

/// Longest call that an enclave reads: a response to release, or a proposal.
pub const MAX_CALL_FRAME_BYTES: usize = MAX_RESPONSE_BYTES + 64;

/// Longest query.
pub const MAX_QUERY_BYTES: usize = MAX_CALL_BYTES + 4096;

/// A call.
#[derive(Clone, PartialEq, prost::Message)]
pub struct EndorserCall {
    /// Which.
    #[prost(oneof = "endorser_call::Kind", tags = "1, 2, 3, 4")]
    pub kind: Option<endorser_call::Kind>,
}

/// The kinds of calls.
pub mod endorser_call {
    /// One of them.
    #[derive(Clone, PartialEq, prost::Oneof)]
    pub enum Kind {
        /// An encoded `SignedProposal`. Reply: [`super::Endorsed`].
        #[prost(bytes = "vec", tag = "1")]
        Endorse(Vec<u8>),
        /// Reply: [`super::Answered`].
        #[prost(message, tag = "2")]
        Evaluate(super::EvaluateRequest),
        /// An encoded `Response`. Reply: an encoded `OpenedOutput`.
        #[prost(bytes = "vec", tag = "3")]
        Release(Vec<u8>),
        /// Reply: [`super::Answered`].
        #[prost(message, tag = "4")]
        Reveal(super::RevealRequest),
    }
}

/// A question about the newest final state.
#[derive(Clone, PartialEq, prost::Message)]
pub struct EvaluateRequest {
    /// An encoded `paratime.v1.Query` to the application, sealed.
    #[prost(bytes = "vec", tag = "1")]
    pub query: Vec<u8>,
    /// The consensus height that the state must not lie before: the newest that the client has proven.
    #[prost(uint64, tag = "2")]
    pub at_least: u64,
    /// An encoded `Certificate`, where the application asks for one.
    #[prost(bytes = "vec", optional, tag = "3")]
    pub certificate: Option<Vec<u8>>,
}

/// What a committed call asked to reveal.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RevealRequest {
    /// The call, 32 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub tx_id: Vec<u8>,
    /// What the chaincode gave to `request_reveal`.
    #[prost(bytes = "vec", tag = "2")]
    pub handle: Vec<u8>,
}

/// An endorsed call.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Endorsed {
    /// The encoded `Response`.
    #[prost(bytes = "vec", tag = "1")]
    pub response: Vec<u8>,
    /// An encoded `Endorsement`.
    #[prost(bytes = "vec", tag = "2")]
    pub endorsement: Vec<u8>,
    /// An encoded `OpenedOutput`, where the terms have early results.
    #[prost(bytes = "vec", optional, tag = "3")]
    pub early: Option<Vec<u8>>,
}

/// An answer from a final state of the ledger.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Answered {
    /// The ledger's round that led to the state.
    #[prost(uint64, tag = "1")]
    pub round: u64,
    /// The state's root, 32 bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub state_root: Vec<u8>,
    /// The consensus height at which the root was proven.
    #[prost(uint64, tag = "3")]
    pub height: u64,
    /// Of `Evaluate` an encoded `SealedReply`, of `Reveal` an encoded `Output`.
    #[prost(bytes = "vec", tag = "4")]
    pub output: Vec<u8>,
}
