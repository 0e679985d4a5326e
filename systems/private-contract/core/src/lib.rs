//! What everybody in a private contract computes alike: hashes and ids, sealing and opening, the class of a
//! transaction, verdicts and votes, disclosures; and what a member decides.
//!
//! Pure: no clock, randomness, files or sockets; it builds for WebAssembly, and the mediator uses the same
//! functions. Specification: `systems/private-contract/SPEC.md`.

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

pub mod class;
pub mod disclosure;
pub mod domains;
mod error;
pub mod ids;
pub mod member;
pub mod prf;
pub mod sealing;
pub mod signed;
pub mod terms;
pub mod vote;

pub use class::{Class, Classes};
pub use error::StakeholderError;
pub use ids::Place;
pub use paralith_private_contract_messages as messages;
pub use paralith_types::Height;
