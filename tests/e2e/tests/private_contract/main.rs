//! Private contracts as their owners, members, senders and attackers know them. Numbers in names are those of the
//! design's list of tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod adversaries;
mod attacks;
mod commands;
mod faults;
mod money;
mod net;
mod python;
mod secrecy;
