//! The mediator over the SDK's chain in memory, with real signatures and wraps.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    missing_docs
)]

mod changes;
mod codes;
mod disputes;
mod fixture;
mod hooks;
mod life;
mod many;
mod model;
mod votes;
