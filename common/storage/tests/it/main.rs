//! The crate from outside, over both stores.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod golden;
mod model;
mod overlay;
mod proof;
#[cfg(feature = "rocksdb")]
mod rocks;
mod tree;
mod verified;
