//! The gateway against a committee that answers as a test says, and a chain that a test advances.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod fakes;
mod proofs;
mod queries;
mod rotation;
mod rounds;
mod submissions;
