//! What chaincode's clients and endorsers decide.
//!
//! * [`propose`] makes and seals a proposal; [`endorse`] holds an endorser's ordered checks over what
//!   its enclave has proven, and makes the response; [`collect`] matches responses of several enclaves;
//!   [`release`] decides who gets an output and opens it; [`retry`] says what a client does after a
//!   refusal; [`receipt`] verifies a committed call with the genesis document alone.
//! * All of it is a function of its arguments: no clock, no randomness, no I/O.
//!
//! Specification: systems/chaincode/SPEC.md. Messages: `paralith-chaincode-messages`.

#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::float_arithmetic,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used,
    )
)]

pub mod collect;
pub mod endorse;
mod error;
pub mod hashes;
pub mod propose;
pub mod receipt;
pub mod release;
pub mod respond;
pub mod retry;

pub use error::{ClientError, EndorseError, ReceiptError};
pub use paralith_chaincode_messages as messages;
