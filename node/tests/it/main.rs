//! Nodes over a real chain of one process: registration, uploads, links, contents and TLS.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod chain;
mod code;
mod data;
mod files;
mod links;
mod members;
mod registration;
mod results;
mod tls;
