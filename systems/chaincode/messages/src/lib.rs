//! What chaincode's ledger, endorsers and clients say to each other, sign and store.
//!
//! Every type has one encoding: the canonical protobuf message of `chaincode.proto`. `decode` refuses
//! every other one, and is bounded before it allocates. Nothing here hashes or verifies: a guest does
//! that by its imports, everything else by `paralith-crypto`; [`framed`] and [`signed_bytes`] give the
//! bytes. Specification: systems/chaincode/SPEC.md.
//!
//! Builds for WebAssembly and inside guests: it uses `prost`, the types and the policies alone.

#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::float_arithmetic,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used,
    )
)]

mod commit;
mod definition;
mod limits;
pub mod order;
mod proposal;
mod receipt;
pub mod state;
mod terms;
mod wire;

pub use commit::{
    Commit, Endorsement, Event, Fault, NewCommit, Read, Response, Revoke, Version, Write, Written,
};
pub use definition::{Definition, DefinitionError, Enclave, Unfit};
pub use limits::*;
pub use proposal::{Envelope, Proposal, SignedProposal};
pub use receipt::{OpenedOutput, Proven, ProvenEnclave, Receipt};
pub use terms::{Terms, TermsError};
pub use wire::{DecodeError, Message};

/// Domain of a client's signature of a [`Proposal`].
pub const PROPOSAL_DOMAIN: &str = "paralith/chaincode/proposal/v1";
/// Domain of an enclave's signature of a [`Response`].
pub const ENDORSEMENT_DOMAIN: &str = "paralith/chaincode/endorsement/v1";
/// Domain of a transaction's id: of the client's key and the encoded proposal.
pub const TX_ID_DOMAIN: &str = "paralith/chaincode/tx-id/v1";
/// Domain of the hash of an encoded [`Response`].
pub const RESPONSE_DOMAIN: &str = "paralith/chaincode/response/v1";
/// Domain of the place of an execution: of the transaction's id and the snapshot's root.
pub const PLACE_DOMAIN: &str = "paralith/chaincode/place/v1";

/// Topic of the event that says that a call was committed.
pub const COMMITTED_TOPIC: &str = "chaincode.committed";
/// Topic of the event that says that a certificate was revoked.
pub const REVOKED_TOPIC: &str = "chaincode.revoked";
/// What the topics of chaincode's own events begin with in the ledger.
pub const EVENT_PREFIX: &str = "chaincode/";

/// The method that prepares an application's state, once.
pub const METHOD_INIT: &str = "app.init";
/// The method that brings the state of other code to this code's form.
pub const METHOD_MIGRATE: &str = "app.migrate";
/// The state key, of the host, under which an application keeps the id of the code that its state is
/// of. Written by `app.init` and `app.migrate`.
pub const CODE_MARKER_KEY: &[u8] = b"\xffcode";

/// What `H(domain, parts)` hashes: the framing of `paralith-crypto`.
#[must_use]
pub fn framed(domain: &str, parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = frame_domain(domain);
    for part in parts {
        bytes.extend((part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

/// What a signature of this chain is over: domain, chain context, message.
#[must_use]
pub fn signed_bytes(domain: &str, chain: &paralith_types::ChainContext, message: &[u8]) -> Vec<u8> {
    let mut bytes = frame_domain(domain);
    bytes.extend_from_slice(chain.as_bytes());
    bytes.extend_from_slice(message);
    bytes
}

fn frame_domain(domain: &str) -> Vec<u8> {
    // Domains are this crate's constants, all shorter than 256 bytes.
    let mut bytes = vec![u8::try_from(domain.len()).unwrap_or(u8::MAX)];
    bytes.extend_from_slice(domain.as_bytes());
    bytes
}
