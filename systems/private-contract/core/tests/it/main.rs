//! What everybody computes alike, frozen; and a member through crashes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod disclosure;
mod fixture;
mod golden;
mod member;
mod sealing;
mod votes;
