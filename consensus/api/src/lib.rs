//! The chain's language: what every node, client and enclave says to the consensus layer.
//!
//! One folder a module, each with the same files: `types` (what state holds), `tx` (what a
//! transaction asks), `event` (what a block reports), `params`, `keys` (every state key of the module
//! on one screen) and `error` (stable codes). Nothing here decides anything; `consensus-app` does.
//!
//! Every type is the domain type of one message of the protobuf tree and has one encoding
//! ([`paralith_proto::Canonical`]).

pub mod address;
pub mod beacon;
pub mod consensus;
pub mod event;
pub mod genesis;
pub mod keymanager;
pub mod light;
pub mod registry;
pub mod roothash;
pub mod scheduler;
pub mod staking;
pub mod tx;

mod error;
mod key;
mod message;

pub use error::{Error, Fault};
