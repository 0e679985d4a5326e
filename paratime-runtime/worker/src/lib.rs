//! A compute node's rounds for one ParaTime: the host side, which nobody has to trust.
//!
//! ```text
//! user      -> submit_transactions -> `Check` of many in the trusted side -> pool -> workers
//! proposer  -> closes a batch -> signed header, synced -> members
//! member    -> `Execute` in the trusted side -> outcome synced -> vote, synced -> members
//! anyone    -> one `ExecutorCommit` with all votes -> the chain's verdict
//! everyone  -> final header -> write log against its root -> `Release` -> receipts
//! disputed  -> backups get the same batch, execute, vote; their majority decides
//! ```
//!
//! [`round::Machine`] makes every decision and is pure; [`Worker`] gives it state, messages and time
//! and does what it says. What a node signs is synced before it leaves, and a restarted node sends
//! those very bytes: a crash is not equivocation.

mod act;
mod admission;
mod batcher;
mod boundary;
mod byzantine;
mod chain;
mod error;
mod final_round;
mod finality;
mod handle;
mod host;
mod links;
mod passing;
mod pool;
mod recheck;
pub mod round;
mod shared;
mod store;
mod trusted;
mod view;
mod wire;
mod worker;

pub use batcher::Batcher;
pub use byzantine::Byzantine;
pub use chain::{Chain, ChainBlock, HeightValue, ProvenValue};
pub use error::{ChainError, TrustedError, WorkerError};
pub use final_round::FinalRound;
pub use handle::WorkerHandle;
pub use host::HostStore;
pub use links::{LinkError, LinkFuture, Links};
pub use pool::{PoolLimits, PoolTx, TxPool};
pub use shared::{Confirmation, Status, WorkerConfig};
pub use trusted::Trusted;
pub use worker::Worker;
