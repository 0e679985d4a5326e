//! The recording, played again. Run in both profiles: what is compared with is committed, so both
//! give the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod abci;
mod batches;
mod blocks;
mod comet;
mod recording;
