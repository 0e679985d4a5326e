//! Chaincode as its organisations and callers know it: an endorser process for each of three organisations,
//! a ledger, a key manager. The numbers in names are those of the design's list of tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod adversaries;
mod approval;
mod auction;
mod calls;
mod commits;
mod conflicts;
mod demo;
mod enclaves;
mod hosts;
mod ledger;
mod lives;
mod net;
mod secrecy;
mod shared;
mod tokens;
