//! What a node does besides serving users: the loops that drive its enclaves.
//!
//! Events only wake these loops; each pass reads state, compares it with what the enclave has
//! said, and does what is missing. A pass that fails is tried again with the next block, so there
//! is no step that a crash could skip.

pub mod alarms;
pub mod compute;
pub mod keymanager;
pub mod registration;
pub mod services;
mod start;

pub use alarms::Alarms;
pub use compute::KeySource;
pub use keymanager::prove_freshness;
pub use registration::Registrar;
pub use services::{BridgeServices, WorkerEnclave};
pub use start::{Attested, StartInput, attest_and_start, start_call};
