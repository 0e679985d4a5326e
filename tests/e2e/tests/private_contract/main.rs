//! Private contracts as their owners, members, senders and attackers know them. Numbers in names are those of the
//! design's list of tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod adversaries;
mod attacks;
mod changes;
mod commands;
mod faults;
mod guesses;
mod hand;
mod hostile;
mod liar;
mod load;
mod money;
mod net;
mod origins;
mod python;
mod recorder;
mod rotation;
mod secrecy;
mod sender;
mod session;
mod votes;
