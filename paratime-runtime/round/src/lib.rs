//! A worker's pure decisions.
//!
//! | file | decides |
//! |---|---|
//! | `machine` | a node's part in the rounds of one ParaTime: when to propose, execute, vote, commit |
//! | `run`, `decide`, `commit` | one round: what is known, what is due, what goes to the chain |
//! | `early` | which messages for a later round are kept until it begins |
//! | `intake` | which messages of peers are taken at all, and which batches go to disk |
//! | `pool` | which transactions wait, in which order they leave, which one has to go |
//!
//! Nothing here reads a clock, a socket, a store or randomness: the same inputs give the same
//! outputs. Rules and bounds are specified in `docs/protocol/rounds.md`.

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

mod commit;
mod decide;
mod early;
mod intake;
mod machine;
mod pool;
mod run;

pub use intake::{BatchSize, Intake, IntakeError};
pub use machine::{
    Ballot, ChainSnapshot, CheckedProposal, CheckedVote, Execution, Input, Machine, Output,
    PoolView, config_of,
};
pub use pool::{PoolError, PoolLimits, PoolTx, TxPool};
