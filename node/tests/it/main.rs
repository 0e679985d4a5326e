//! Nodes over a real chain of one process: registration, uploads, links and TLS.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod chain;
mod code;
mod files;
mod links;
mod registration;
mod results;
mod tls;
