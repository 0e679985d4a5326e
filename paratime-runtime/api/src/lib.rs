//! What users send to a ParaTime and what they get back, and what crosses the boundary between a
//! node's host side and its enclave.
//!
//! Pure: domain types with one encoding each, and the cryptography that clients and enclaves share.
//! The recipe of an envelope is complete in [`envelope`]; a client in any language can follow it.

pub mod boundary;
pub mod envelope;
pub mod output;
pub mod query;
pub mod state;
pub mod tx;

mod error;

pub use error::{EnvelopeError, TxError};
