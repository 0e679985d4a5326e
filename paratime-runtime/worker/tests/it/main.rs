//! Tests of the round machine by itself, and of whole workers in one process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod faults;
mod host;
mod machine;
mod net;
mod rounds;
