//! Attackers on endorsers, clients and receipts.
#![allow(clippy::unwrap_used, reason = "a panic is a failed test")]

mod client;
mod endorse;
mod lab;
mod model;
mod receipt;
