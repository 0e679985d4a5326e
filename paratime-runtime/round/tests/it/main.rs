//! The round machine and the intake of messages, by tables of inputs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod keys;
mod machine;
