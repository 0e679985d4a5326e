//! Two engines behind one trait: CometBFT as a child process, and a validator alone in process.
//!
//! Both drive the same ABCI services of `consensus-abci`, and both give the same things: admitted
//! transactions become blocks, blocks become events after they are durable, and every header comes
//! with a commit that a light client verifies.
//!
//! * [`CometEngine`] starts an unmodified CometBFT v0.38, watches it, and restarts it when it ends
//!   without having been asked to.
//! * [`SoloEngine`] is the degenerate network of one validator, for development and tests. It signs
//!   real headers and commits, and keeps CometBFT's promises about crashes. It has no peers and never
//!   will have.

mod comet;
mod engine;
mod error;
pub mod headers;
mod lock;
mod solo;

pub use comet::{CometEngine, CometOptions, RpcAddress, Timing, find_binary, node_id, write_home};
pub use engine::{Answer, Engine, Status};
pub use error::EngineError;
pub use solo::{
    Chain, Clock, Committed, Finalised, Proposed, SoloEngine, SoloOptions, Stored, system_clock,
};
