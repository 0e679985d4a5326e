//! Outputs of a round and the tree that commits to them.
//!
//! The I/O root is the Merkle root (RFC 6962 form) over one encoded [`IoLeaf`] a transaction, in
//! the order of the batch, and one for the calls that belong to no transaction, if they have events.
//! Leaves and outputs always agree in number and order. A leaf is public; it commits to the output as
//! H(blinding, output), so that a host and a client cannot together guess a short output before the
//! round is final.

use paralith_consensus_api::roothash::empty_hash;
use paralith_crypto::hash::{Domain, hash};
use paralith_crypto::merkle::merkle_root;
use paralith_proto::{Canonical, DecodeError, Wire, pb, wire_struct};
use paralith_types::Hash;

const COMMITMENT_DOMAIN: Domain = Domain::new("paralith/paratime/output/v1");

/// A refusal by the runtime, its SDK, its host or the envelope.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Error {
    /// Who refused.
    pub module: String,
    /// Its stable code, not 0.
    pub code: u32,
    /// What, why, what to do.
    pub message: String,
}
wire_struct!(Error, pb::paratime::v1::Error, { module, code, message }, {});

/// What a transaction or a query gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// The runtime's value.
    Ok(Vec<u8>),
    /// A refusal.
    Error(Error),
}

impl Wire for Output {
    type Pb = pb::paratime::v1::Output;

    fn to_pb(&self) -> Self::Pb {
        use pb::paratime::v1::output::Result as PbResult;
        Self::Pb {
            result: Some(match self {
                Self::Ok(value) => PbResult::Ok(value.clone()),
                Self::Error(error) => PbResult::Error(error.to_pb()),
            }),
        }
    }

    fn from_pb(pb: Self::Pb) -> Result<Self, DecodeError> {
        use pb::paratime::v1::output::Result as PbResult;
        match pb.result {
            Some(PbResult::Ok(value)) => Ok(Self::Ok(value)),
            Some(PbResult::Error(error)) => Ok(Self::Error(Wire::from_pb(error)?)),
            None => Err(DecodeError::field("result", "is missing")),
        }
    }
}

/// A public event of a transaction.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Event {
    /// What kind.
    #[serde(with = "paralith_types::hex_bytes")]
    pub topic: Vec<u8>,
    /// Free data.
    #[serde(with = "paralith_types::hex_bytes")]
    pub data: Vec<u8>,
}
wire_struct!(Event, pb::paratime::v1::Event, { topic, data }, {});

/// A leaf of the I/O tree.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct IoLeaf {
    /// The transaction.
    pub tx_hash: Hash,
    /// Gas charged.
    pub gas_used: u64,
    /// H(blinding, output).
    pub output_commitment: Hash,
    /// Public events.
    pub events: Vec<Event>,
}
wire_struct!(
    IoLeaf,
    pb::paratime::v1::IoLeaf,
    { tx_hash, gas_used, output_commitment, events },
    {}
);

/// An output before its round is final. In public runtimes `sealed` is the output itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedOutput {
    /// The transaction.
    pub tx_hash: Hash,
    /// AES-256-GCM-SIV under the runtime's output key.
    pub sealed: Vec<u8>,
}
wire_struct!(SealedOutput, pb::paratime::v1::SealedOutput, { tx_hash, sealed }, {});

/// An output of a final round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenedOutput {
    /// The transaction.
    pub tx_hash: Hash,
    /// What makes the commitment hiding; zero in public runtimes.
    pub blinding: Hash,
    /// An encoded [`Output`], or for an encrypted call an encoded [`SealedReply`].
    pub output: Vec<u8>,
}
wire_struct!(OpenedOutput, pb::paratime::v1::OpenedOutput, { tx_hash, blinding, output }, {});

/// A reply to an encrypted call; see [`crate::envelope::open_reply`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedReply {
    /// Of an encoded [`Output`].
    pub sealed: Vec<u8>,
}
wire_struct!(SealedReply, pb::paratime::v1::SealedReply, { sealed }, {});

/// What a leaf says of an output.
pub fn commitment(blinding: &Hash, output: &[u8]) -> Hash {
    hash(COMMITMENT_DOMAIN, &[blinding.as_bytes(), output])
}

impl OpenedOutput {
    /// Whether this is the output that the leaf commits to.
    pub fn matches(&self, leaf: &IoLeaf) -> bool {
        self.tx_hash == leaf.tx_hash
            && commitment(&self.blinding, &self.output) == leaf.output_commitment
    }
}

/// Root over the leaves of a batch, in its order.
pub fn io_root(leaves: &[IoLeaf]) -> Hash {
    if leaves.is_empty() {
        return empty_hash();
    }
    merkle_root(&leaves.iter().map(Canonical::encode).collect::<Vec<_>>())
}
