//! Nodes over a real chain of one process: registration, uploads, links, contents and TLS.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod chain;
mod code;
mod data;
mod dev;
mod files;
mod links;
mod members;
mod reflection;
mod registration;
mod results;
mod tls;
