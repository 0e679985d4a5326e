//! ABCI 2.0 over the application: what CometBFT v0.38 calls, and what the solo engine calls in
//! process.
//!
//! * A service never returns an error and never panics: to CometBFT either is the end of the node.
//!   What the application refuses is a code. What stops the application (damaged state, a wrong
//!   genesis) is reported by [`Application::fatal`], and the call is never answered: no vote comes of it.
//! * Nothing is durable before `Commit`, which writes all of a block in one batch; `Info` answers
//!   with exactly what was committed.
//! * What a block gave is written in the same batch, and is read back after any restart
//!   ([`Application::results`]) for as long as the block's state is kept.
//! * There is one pool for all callers: a transaction that was admitted by [`Application::submit`] is not
//!   checked again when CometBFT offers it, and all that wait are rechecked inside `Commit`, so that
//!   no sender's nonce is ever unknown in between.
//! * [`convert`] is the only file in which CometBFT's types become ours and ours CometBFT's.
//!
//! [`serve`] listens on a Unix socket. tower-abci's server does the talking; in front of it stands a
//! relay that admits only the process it expects, bounds every frame, and forwards only what can be
//! read, since that server does neither and ends its connection by a panic.

mod application;
pub mod convert;
mod error;
mod pool;
mod relay;
mod results;
mod serve;
mod services;

pub use application::{Application, BlockEvent};
pub use error::ServeError;
pub use serve::{PeerCheck, Server, serve};
pub use services::{
    APP_VERSION, ConsensusService, InfoService, MempoolService, Services, SnapshotService,
};
