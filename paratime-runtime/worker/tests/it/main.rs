//! Tests of whole workers in one process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod faults;
mod floods;
mod follower;
mod host;
mod net;
mod openings;
mod proofs;
mod rounds;
