//! The replicated state machine of the consensus layer.
//!
//! Pure: it has no clock, no randomness, no sockets and no threads. Blocks come as values and go
//! as values; the same blocks give the same app hash on every machine. [`App`] shows the order of
//! all modules in every phase; each module has the same files: `mod` (its rules and hooks), `state`
//! (the only place that touches its keys), `execute` (a function a transaction), `epoch`, `query`.

#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::float_arithmetic,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used,
        clippy::wildcard_enum_match_arm,
    )
)]

mod app;
mod base;
mod block;
mod check;
mod context;
mod dispatch;
mod error;
mod estimate;
mod events;
mod fees;
mod gas;
mod invariants;
mod misbehaviour;
mod propose;
mod roots;
#[cfg(test)]
mod testing;

pub mod beacon;
pub mod keymanager;
pub mod query;
pub mod registry;
pub mod roothash;
pub mod scheduler;
pub mod staking;

pub use app::App;
pub use block::{BlockInput, BlockOutput, Info, Misbehaviour, Proven, TxOutcome, ValidatorUpdate};
pub use context::{Context, GasMeter, Signer};
pub use error::AppError;
pub use estimate::estimate_gas;
