//! The messages of `proto/paralith/data/v1/types.proto`, written by hand; a test compares them with
//! the file.

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct Ticket {
    #[prost(uint32, tag = "1")]
    pub(crate) version: u32,
    #[prost(uint32, tag = "2")]
    pub(crate) action: u32,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) scope: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) content_hash: Vec<u8>,
    #[prost(uint64, tag = "5")]
    pub(crate) length: u64,
    #[prost(uint64, tag = "6")]
    pub(crate) expires: u64,
    #[prost(bytes = "vec", tag = "7")]
    pub(crate) signer: Vec<u8>,
    #[prost(bytes = "vec", tag = "8")]
    pub(crate) credential: Vec<u8>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct Record {
    #[prost(uint64, tag = "1")]
    pub(crate) length: u64,
    #[prost(message, repeated, tag = "2")]
    pub(crate) holds: Vec<Hold>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct Hold {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) scope: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) holder: Vec<u8>,
    #[prost(uint64, tag = "3")]
    pub(crate) until: u64,
}
