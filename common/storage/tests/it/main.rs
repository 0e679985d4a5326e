//! The crate from outside.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod contract;
mod files;
mod golden;
mod model;
mod overlay;
mod proof;
mod steps;
mod tree;
mod verified;
