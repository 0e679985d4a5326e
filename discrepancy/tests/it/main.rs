//! The pool against its rules: tables, laws, an exhaustive model check, and replays.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod committee;
mod laws;
mod model;
mod outcomes;
mod parts;
mod replay;
mod rules;
mod script;
