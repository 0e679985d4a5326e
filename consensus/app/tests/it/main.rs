//! The application from outside: blocks in, state, events and hashes out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod admission;
mod decisions;
mod enclaves;
mod epochs;
mod frame;
mod genesis;
mod registry;
mod staking;
mod support;
mod tee;
mod validators;
mod value;
