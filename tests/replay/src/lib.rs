//! A recorded network, and what plays it again.
//!
//! `recorded/` holds what one small network once did: its genesis document, its consensus blocks
//! with the app hash after each, the batches of three ParaTimes with their roots, and every call
//! that the hosts made to the enclaves, the key manager's included. The tests play all of it
//! again, in other places: another build profile, other engines, other threads, after restarts. Any
//! difference of a single byte in an app hash, a root, a write log, a sealed output or a key reply
//! is a failure.
//!
//! * [`Recording`] is what is committed. [`record`] makes it anew, from seeds alone: two runs give
//!   the same bytes. Nothing else may write there.
//! * [`blocks`] plays consensus blocks on the application itself.
//! * [`SoloChain`] makes the same blocks with the solo engine, and keeps the headers that enclaves
//!   follow.
//! * [`HostedEnclave`] is an enclave with its host; [`replay_enclave`] makes the recorded calls to one
//!   and compares every reply.
//!
//! **Recording anew** is due when a rule of the chain, an encoding, a gas price, the version of the
//! crates (enclaves are measured by it) or the recorder itself changed on purpose:
//! `cargo run -p replay --example record`. The modules are not built here, so that a runtime's source
//! and its compiler change nothing; to take others, write each `<name>.wasm` that the build of `node`
//! has made to `recorded/<name>.wasm.gz` by `gzip -9nc`, then record.
//!
//! The store is the one in memory: nothing here needs RocksDB.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "only tests use it")]

pub mod blocks;
mod hosted_enclave;
pub mod keys;
pub mod record;
mod recording;
mod solo;

pub use hosted_enclave::{HostedEnclave, Ledger, replay_enclave};
pub use recording::{Batch, Block, Call, Enclave, ParaTime, Raw, Recording, Step, folder, module};
pub use solo::{Made, SoloChain};
