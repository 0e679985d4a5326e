//! Key-manager enclaves on a chain of the real application, behind the real boundary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod answers;
mod birth;
mod chain;
mod erasure;
mod fork;
mod hosts;
mod node;
