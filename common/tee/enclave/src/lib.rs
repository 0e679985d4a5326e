//! What every enclave has, whichever role it plays.
//!
//! | file | holds |
//! |---|---|
//! | `start` | what a host may start an enclave with |
//! | `seal` | what an enclave keeps between two runs: one format with a version |
//! | `identity` | what an enclave of an application is, kept between two runs |
//! | `entropy` | where its randomness comes from |
//! | `freshness` | how it learns that the chain it sees is alive |
//!
//! Synchronous, and without any way to the host: `paralith-tee-channel` is that.

mod entropy;
mod error;
mod freshness;
mod identity;
mod seal;
mod start;

pub use entropy::Entropy;
pub use error::TeeError;
pub use freshness::Freshness;
pub use identity::{Identity, IdentityOf};
pub use seal::{SealedFor, SealingKey};
pub use start::{EnclaveId, Opened, open};
