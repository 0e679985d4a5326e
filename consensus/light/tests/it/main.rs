//! Light client over chains that are signed by seeded keys.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod chain;
mod follow;
mod prove;
mod steps;
