//! Endorsers' enclaves, spoken to as their hosts do, on a chain of real headers and proofs. The ledger's
//! state is written as its guest writes it; the chaincode is real.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(missing_docs, unreachable_pub, missing_debug_implementations)]

mod answers;
mod chaincode;
mod endorse;
mod endorser;
#[path = "../../../../../paratime-runtime/vm/tests/guest/mod.rs"]
mod guest;
mod host;
mod identity;
mod keys;
mod ledgers;
mod refusals;
mod silence;
mod world;
