//! The header chain and the proofs that hang on it, for enclaves and clients.
//!
//! * A [`LightBlock`] is a CometBFT header, its commit, and the validator sets that it names.
//! * A [`LightClient`] starts from the genesis validators, or from a [`Trusted`] header that an
//!   enclave has sealed, and moves forward only over blocks that more than two thirds of the voting
//!   power it already trusts, and more than two thirds of the block's own, have signed.
//! * The header at height `H` carries the root of the state after block `H - 1`. The client keeps
//!   the roots of its newest headers and checks state and event proofs against them.
//!
//! No clock is read: the time that a host could give proves nothing. Who follows a chain after a
//! long absence must bound the age of what it trusts by other means (an enclave: by registering
//! anew with a fresh height).
//!
//! [`chain`] makes headers and commits, for the engine of one validator and for tests.

mod block;
pub mod chain;
mod client;
mod error;
mod trusted;

pub use block::LightBlock;
pub use client::LightClient;
pub use error::LightError;
pub use trusted::Trusted;
