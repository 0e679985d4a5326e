//! What enclaves sign and what the ledger orders.

use std::ops::Deref;

use paralith_types::{CodeId, Hash, Height, PublicKey, Round, RuntimeId, Signature};

use crate::wire::{DecodeError, Message, message};
use crate::{
    ENDORSEMENT_DOMAIN, MAX_ACCESSES, MAX_COMMIT_BYTES, MAX_ENDORSEMENTS, MAX_EVENT_BYTES,
    MAX_EVENTS, MAX_RESPONSE_BYTES, MAX_TOPIC_BYTES, RESPONSE_DOMAIN, VERSION, framed,
    signed_bytes,
};

message! {
    /// Which commit wrote an entry.
    #[derive(Copy, PartialOrd, Ord, Hash)]
    Version, VersionPb, 32, {
        /// The ledger's round.
        [uint64, tag = "1"] round: u64,
        /// The commit's position among those of the round, from 0.
        [uint32, tag = "2"] position: u32,
    }
}

impl Version {
    /// Length of [`Version::to_bytes`].
    pub const LEN: usize = 12;

    /// The form in the ledger's state: both numbers, big-endian.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        let (round, position) = bytes.split_at_mut(8);
        round.copy_from_slice(&self.round.to_be_bytes());
        position.copy_from_slice(&self.position.to_be_bytes());
        bytes
    }

    /// The inverse.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (round, position) = bytes.split_first_chunk::<8>()?;
        let position: [u8; 4] = position.try_into().ok()?;
        Some(Self { round: u64::from_be_bytes(*round), position: u32::from_be_bytes(position) })
    }
}

message! {
    /// An entry that a call read.
    Read, ReadPb, 128, {
        /// The entry's index.
        [bytes = "vec", tag = "1"] index: Hash,
        /// The version that was read; none if the entry was absent.
        [message, optional, tag = "2"] version: Option<Version>,
    }
}

message! {
    /// An entry that a call writes.
    Write, WritePb, MAX_RESPONSE_BYTES, {
        /// The entry's index.
        [bytes = "vec", tag = "1"] index: Hash,
        /// The sealed value; none removes the entry.
        [bytes = "vec", optional, tag = "2"] value: Option<Vec<u8>>,
    }
}

message! {
    /// A public event of a call.
    Event, EventPb, MAX_RESPONSE_BYTES, {
        /// What it is about, in UTF-8.
        [string, tag = "1"] topic: String,
        /// What happened.
        [bytes = "vec", tag = "2"] data: Vec<u8>,
    }
}

message! {
    /// What a call read, writes and gives: the same bytes at every honest enclave.
    Response, ResponsePb, MAX_RESPONSE_BYTES, {
        /// [`VERSION`].
        [uint32, tag = "1"] version: u32,
        /// The transaction.
        [bytes = "vec", tag = "2"] tx_id: Hash,
        /// The ledger.
        [bytes = "vec", tag = "3"] ledger: RuntimeId,
        /// The application.
        [bytes = "vec", tag = "4"] application: RuntimeId,
        /// The sequence of its descriptor.
        [uint64, tag = "5"] sequence: u64,
        /// The code that was executed.
        [bytes = "vec", tag = "6"] code_id: CodeId,
        /// The proposal's anchor.
        [uint64, tag = "7"] anchor: Height,
        /// The ledger's round whose state was read.
        [uint64, tag = "8"] snapshot_round: Round,
        /// That state's root.
        [bytes = "vec", tag = "9"] snapshot_root: Hash,
        /// The proposal's.
        [uint64, tag = "10"] valid_until: Height,
        /// The call has effect only below this height; 0: the call sets no such height.
        [uint64, tag = "11"] commit_before: Height,
        /// Sorted by index, without repetition.
        [message, repeated, tag = "12"] reads: Vec<Read>,
        /// Sorted by index, without repetition.
        [message, repeated, tag = "13"] writes: Vec<Write>,
        /// In the order in which they were emitted.
        [message, repeated, tag = "14"] events: Vec<Event>,
        /// The output, sealed until the call is committed.
        [bytes = "vec", tag = "15"] sealed_output: Vec<u8>,
        /// Commitment to the output.
        [bytes = "vec", tag = "16"] output_commitment: Hash,
    }
}

/// What is wrong with a response by itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Its lists are not sorted by index, or name an index twice.
    #[error("the {list} are not sorted by index, or name an index twice")]
    Unsorted {
        /// "reads" or "writes".
        list: &'static str,
    },
    /// It has more than the limit allows.
    #[error("it has {got} {what}, the limit is {limit}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The most.
        limit: usize,
        /// How many there are.
        got: usize,
    },
    /// Its version is another one.
    #[error("version {got} is not known, this is version 1")]
    Version {
        /// The version.
        got: u32,
    },
}

impl Response {
    /// What its hash is the hash of.
    #[must_use]
    pub fn hash_preimage(encoded: &[u8]) -> Vec<u8> {
        framed(RESPONSE_DOMAIN, &[encoded])
    }

    /// Whether its lists are in order and within their limits: first the order, then the limits, then
    /// the version.
    pub fn check(&self) -> Result<(), Fault> {
        for (list, ordered) in [
            ("reads", self.reads.is_sorted_by(|a, b| a.index < b.index)),
            ("writes", self.writes.is_sorted_by(|a, b| a.index < b.index)),
        ] {
            if !ordered {
                return Err(Fault::Unsorted { list });
            }
        }
        let topic = self.events.iter().map(|event| event.topic.len()).max().unwrap_or(0);
        let data = self.events.iter().map(|event| event.data.len()).max().unwrap_or(0);
        for (what, limit, got) in [
            ("reads", MAX_ACCESSES, self.reads.len()),
            ("writes", MAX_ACCESSES, self.writes.len()),
            ("events", MAX_EVENTS, self.events.len()),
            ("bytes in an event's topic", MAX_TOPIC_BYTES, topic),
            ("bytes in an event's data", MAX_EVENT_BYTES, data),
        ] {
            if got > limit {
                return Err(Fault::TooMany { what, limit, got });
            }
        }
        match self.version {
            VERSION => Ok(()),
            got => Err(Fault::Version { got }),
        }
    }

    /// Whether the call has no effect but its outcome: an error, or nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.events.is_empty()
    }
}

message! {
    /// An enclave's signature of a response.
    Endorsement, EndorsementPb, 256, {
        /// The enclave.
        [bytes = "vec", tag = "1"] rak: PublicKey,
        /// Of the encoded response, under [`ENDORSEMENT_DOMAIN`].
        [bytes = "vec", tag = "2"] signature: Signature,
    }
}

impl Endorsement {
    /// What an enclave signs.
    #[must_use]
    pub fn signed_bytes(chain: &paralith_types::ChainContext, response: &[u8]) -> Vec<u8> {
        signed_bytes(ENDORSEMENT_DOMAIN, chain, response)
    }
}

message! {
    /// The argument of the ledger's `commit`. Field 1 is a nested [`Response`]: its bytes are kept as
    /// they came, because they are what was signed.
    NewCommit, NewCommitPb, MAX_COMMIT_BYTES, {
        /// The encoded response.
        [bytes = "vec", tag = "1"] response: Vec<u8>,
        /// Its endorsements, at most [`MAX_ENDORSEMENTS`].
        [message, repeated, tag = "2"] endorsements: Vec<Endorsement>,
    }
}

/// A commit whose response was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    response: Written<Response>,
    endorsements: Vec<Endorsement>,
}

/// A message together with its one encoding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written<T> {
    value: T,
    bytes: Vec<u8>,
}

impl<T: Message> Written<T> {
    /// Encodes it.
    #[must_use]
    pub fn new(value: T) -> Self {
        let bytes = value.encode();
        Self { value, bytes }
    }

    /// Decodes it.
    pub fn decode(bytes: Vec<u8>) -> Result<Self, DecodeError> {
        Ok(Self { value: T::decode(&bytes)?, bytes })
    }
}

impl<T> Written<T> {
    /// The encoding.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The value alone.
    #[must_use]
    pub fn into_value(self) -> T {
        self.value
    }
}

impl<T> Deref for Written<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl Commit {
    /// Reads a commit: the form alone. A response that is too long is refused as such.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let NewCommit { response, endorsements } = NewCommit::decode(bytes)?;
        if endorsements.len() > MAX_ENDORSEMENTS {
            let reason = format!("at most {MAX_ENDORSEMENTS}, not {}", endorsements.len());
            return Err(DecodeError::Field { field: "endorsements", reason });
        }
        Ok(Self { response: Written::decode(response)?, endorsements })
    }

    /// The response.
    #[must_use]
    pub fn response(&self) -> &Written<Response> {
        &self.response
    }

    /// The endorsements.
    #[must_use]
    pub fn endorsements(&self) -> &[Endorsement] {
        &self.endorsements
    }
}

message! {
    /// The argument of the ledger's `revoke`: a certificate that its sender issued is revoked.
    Revoke, RevokePb, 128, {
        /// The application, the certificate's scope.
        [bytes = "vec", tag = "1"] application: RuntimeId,
        /// The certificate's serial.
        [uint64, tag = "2"] serial: u64,
    }
}
