//! The header chain and the proofs that hang on it, for enclaves and clients.
//!
//! * A [`LightBlock`] is a CometBFT header, its commit, and the validator sets that it names.
//! * A [`LightClient`] starts from the genesis validators, or from a [`Trusted`] header that an
//!   enclave has sealed, and moves forward only over blocks that more than two thirds of the voting
//!   power it already trusts, and more than two thirds of the block's own, have signed.
//! * The header at height `H` carries the root of the state after block `H - 1`. The client keeps
//!   the roots of its newest headers and checks state and event proofs against them.
//!
//! * [`Follow`] is the one loop that leads a client to a height, whatever fetches the headers.
//! * A [`ChainView`] is a client over a [`StateSource`] that is not trusted, for enclaves.
//!
//! No clock is read: the time that a host could give proves nothing. After a long absence the age of
//! the trusted header must be bounded by other means (an enclave: by registering anew with a fresh
//! height).

mod block;
mod client;
mod error;
mod follow;
mod trusted;
mod view;

pub use block::{LightBlock, validator, validator_set};
pub use client::LightClient;
pub use error::{LightError, ViewError};
pub use follow::{APPLICATION_KEPT_STEPS, Follow, KEPT_STEPS};
pub use paralith_consensus_api::light::MAX_STEP;
/// Longest value of consensus state: the store takes no longer one, and readers accept every one
/// that it takes.
pub use paralith_storage::MAX_VALUE_BYTES;
pub use trusted::Trusted;
pub use view::{ChainView, StateSource};
