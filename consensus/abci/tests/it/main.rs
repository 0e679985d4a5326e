//! The socket, as CometBFT and others meet it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod socket;
