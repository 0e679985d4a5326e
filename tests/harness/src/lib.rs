//! What the tests of several crates begin with: one set of fixtures over the real application, real
//! headers and real proofs.
//!
//! * [`AppChain`] runs blocks of transactions through the application. Use it wherever the chain
//!   itself is to decide.
//! * [`WrittenChain`] has whatever state a test writes. Use it for states that the application makes
//!   only after a long history, or never.
//! * [`runtimes`], [`rounds`]: descriptors, headers and states to begin with. [`rounds::RoundLog`]
//!   says how rounds ended, by the events of an [`AppChain`].
//!
//! A dev-dependency of the crates under test, and of tests only.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panics")]

mod app_chain;
mod headers;
mod keys;
pub mod rounds;
pub mod runtimes;
mod written;

pub use app_chain::{AppChain, SignedBody};
pub use headers::{GENESIS_SECONDS, HeaderSpec, light_block};
pub use keys::{consensus_key, key};
pub use written::{ENTITY, PLATFORM, VALIDATOR, WrittenChain, set};
