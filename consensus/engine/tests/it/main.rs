//! Both engines over the real application.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod comet;
mod flood;
mod network;
mod results;
mod running;
mod solo;
mod vectors;
