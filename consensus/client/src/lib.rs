//! A client that trusts no node: headers by light client from the genesis document, state by proof,
//! results by the round's final header, the runtimes' keys by the key manager's signature.
//!
//! * [`ChainClient`]: the consensus layer. Typed reads of proven state, and transactions.
//! * [`ParaTimeClient`]: one ParaTime. Encrypted calls, final receipts, queries, proofs of its
//!   state.
//! * [`PortableProof`]: entries of a ParaTime's state, verified with the genesis document and no node.
//! * [`GenesisInfo`]: the genesis document and the identities that follow from it.
//!
//! The crate has no store, no Wasm engine and not the application, so that a wallet compiles in
//! seconds. The caller makes the connection (`tonic::transport::Channel`), with TLS or without.
//! docs/protocol/light-client.md says what is checked, and against what.

mod chain;
mod error;
mod genesis;
mod paratime;
mod portable;
mod prove;
mod shared;
mod submit;

pub use chain::{ChainClient, ClientOptions, Proven, RESPONSE_MAX_BYTES};
pub use error::{ClientError, refused};
pub use genesis::GenesisInfo;
pub use paratime::{Answer, Confirmed, EpochKey, Gas, ParaTimeClient, Sent};
pub use portable::{PortableProof, ProvenEntry, ProvenRound};
pub use prove::ProvenState;
pub use shared::{Proposals, RegisteredEnclave};
pub use submit::{Included, TxOptions};
