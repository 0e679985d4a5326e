//! Tickets, ledger, store, service and client.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod client;
mod ledger;
mod proto;
mod rules;
mod service;
mod store;
mod ticket;
