//! The protobuf messages. Fields hold what came; the domain types decide whether it is valid.

use paralith_types::Invalid;

use crate::AttestError;

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Claims {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) measurement: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) rak: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) rek: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) node: Vec<u8>,
    #[prost(bytes = "vec", tag = "5")]
    pub(crate) runtime: Vec<u8>,
    #[prost(bytes = "vec", optional, tag = "6")]
    pub(crate) code: Option<Vec<u8>>,
    #[prost(uint64, tag = "7")]
    pub(crate) height: u64,
    #[prost(bytes = "vec", tag = "8")]
    pub(crate) state_root: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct SoftwareQuote {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) claims: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) chain: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) platform: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) signature: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Evidence {
    #[prost(oneof = "EvidenceKind", tags = "1, 2, 3, 4")]
    pub(crate) kind: Option<EvidenceKind>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum EvidenceKind {
    #[prost(message, tag = "1")]
    Software(SoftwareQuote),
    // Reserved: nothing in them is looked at.
    #[prost(bytes = "vec", tag = "2")]
    SgxDcap(Vec<u8>),
    #[prost(bytes = "vec", tag = "3")]
    Tdx(Vec<u8>),
    #[prost(bytes = "vec", tag = "4")]
    SevSnp(Vec<u8>),
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Policy {
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub(crate) platforms: Vec<Vec<u8>>,
    #[prost(bytes = "vec", repeated, tag = "2")]
    pub(crate) measurements: Vec<Vec<u8>>,
    #[prost(uint64, tag = "3")]
    pub(crate) max_age: u64,
}

/// A value of fixed length.
pub(crate) fn fixed<'a, T: TryFrom<&'a [u8], Error = Invalid>>(
    bytes: &'a [u8],
) -> Result<T, AttestError> {
    T::try_from(bytes).map_err(|_| AttestError::malformed())
}
