//! Stakeholders in one process: real code, real wraps, real votes; the mediator is a model.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod crash;
mod disk;
mod equivocation;
mod executor;
mod golden;
mod guests;
mod keys;
mod model;
mod protocol;
mod world;
